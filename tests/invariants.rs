//! The invariants of ARCHITECTURE.md that can be read off the source or off a run.

use std::{fs, process::Command};

use crate::harness::source::{below, root};

/// I1: the api cannot reach what a registration must not wait for.
#[test]
fn the_api_knows_neither_the_broker_nor_mail() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "api", "--edges", "normal", "--prefix", "none"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&tree.stdout);
    assert!(tree.contains("sqlx"), "this is no dependency tree:\n{tree}");
    for absent in ["lapin", "lettre"] {
        assert!(!tree.lines().any(|line| line.starts_with(&format!("{absent} "))), "the api depends on {absent}");
    }
}

/// What lets a process die on demand is for tests: the Dockerfile builds these two packages, and nothing else.
#[test]
fn no_release_can_be_told_to_crash() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "api", "--package", "worker", "--edges", "normal,features"])
        .args(["--prefix", "none", "--format", "{p} {f}"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&tree.stdout);
    assert!(tree.contains("shared v"), "this is no dependency tree:\n{tree}");
    assert!(!tree.contains("crash-points"), "a release would have crash points:\n{tree}");
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).expect("the Dockerfile is there");
    assert!(
        dockerfile.contains("cargo auditable build --release --locked --package api --package worker"),
        "{dockerfile}"
    );
}

/// Or the image could not be built: cargo wants to see all of them.
#[test]
fn every_package_goes_to_the_builder_of_the_image() {
    let read = |name: &str| fs::read_to_string(root().join(name)).expect("the file can be read");
    let (manifest, ignored) = (read("Cargo.toml"), read(".dockerignore"));
    let members = manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next());
    let members: Vec<&str> = members.expect("a list of members").split('"').skip(1).step_by(2).collect();
    assert!(members.len() >= 5, "{members:?}");
    for member in members {
        let folder = member.split('/').next().unwrap_or(member);
        assert!(ignored.lines().any(|line| line == format!("!{folder}")), "{folder} is not in .dockerignore");
    }
}

/// I1: nor does it ask Keycloak, unless it is for a token.
#[test]
fn only_the_token_endpoints_touch_keycloak() {
    only_in(".tokens.", &["api/src"], |path| matches!(path, "api/src/routes/auth.rs" | "api/src/lib.rs"));
    only_in("reqwest::", &["api/src"], |path| path.starts_with("api/src/tokens/") || path == "api/src/lib.rs");
}

/// I2: SQL stands in the store.
#[test]
fn sql_stands_in_the_store_only() {
    only_in("sqlx::query", &["shared/src", "api/src", "worker/src"], |path| path.starts_with("shared/src/store/"));
}

/// What is asked on a pool itself can cost it a session, for as long as a dead connection looks alive.
#[test]
fn statements_are_asked_on_a_session() {
    only_in("lend(pool)", &["shared/src"], |path| path.starts_with("shared/src/store/"));
    for source in below(&["shared/src", "api/src", "worker/src"]) {
        for way in [".execute", ".fetch_one", ".fetch_optional", ".fetch_all"] {
            for pool in ["(pool)", "(&pool)", "(&self.pool)"] {
                assert!(!source.code.contains(&format!("{way}{pool}")), "{} asks a pool itself", source.path);
            }
        }
        assert!(!source.code.contains("pool.begin"), "{} begins on a pool itself", source.path);
    }
}

/// I3: what a user is and what is said about one needs no I/O.
#[test]
fn the_domain_does_no_io() {
    for source in below(&["shared/src/domain"])
        .into_iter()
        .chain(below(&["shared/src"]).into_iter().filter(|source| source.path == "shared/src/event.rs"))
    {
        for io in ["sqlx", "tokio", "std::net", "std::fs", "std::env", "async fn"] {
            assert!(!source.code.contains(io), "{} uses {io}", source.path);
        }
    }
}

/// I5: there is one way to provision.
#[test]
fn only_the_provisioner_claims_users_and_talks_to_keycloak_about_them() {
    only_in("provisioning::claim(", &["worker/src"], |path| path.starts_with("worker/src/provisioner/"));
    only_in(".send_setup(", &["worker/src"], |path| path.starts_with("worker/src/provisioner/"));
    only_in("account::ensure(", &["worker/src"], |path| path.starts_with("worker/src/provisioner/"));
}

/// I6: one place acknowledges.
#[test]
fn only_settle_acknowledges() {
    for call in [".ack(", ".nack(", ".reject("] {
        only_in(call, &["worker/src"], |path| path == "worker/src/settle.rs");
    }
}

/// I7: one place names exchanges and queues.
#[test]
fn only_the_topology_names_queues() {
    for name in ["\"usher.events", "\"usher.dead", "\"usher.parked", "\"usher.user-", "\"usher.password-"] {
        only_in(name, &["shared/src", "api/src", "worker/src"], |path| path == "worker/src/broker/topology.rs");
    }
}

/// I8: one place starts long-running tasks and sees signals.
#[test]
fn only_the_lifecycle_spawns_and_sees_signals() {
    for call in ["tokio::spawn(", "tokio::signal"] {
        only_in(call, &["shared/src", "api/src", "worker/src"], |path| path == "shared/src/lifecycle.rs");
    }
}

/// I9: an event is written in the statement of its cause, or in a transaction that is open.
#[test]
fn an_event_is_written_beside_its_cause() {
    for source in below(&["shared/src/store"]) {
        for statement in source.code.split("r#\"").skip(1).filter_map(|text| text.split("\"#").next()) {
            if !statement.contains("INSERT INTO outbox") {
                continue;
            }
            let beside_its_cause = statement.contains("INSERT INTO users") || statement.contains("UPDATE users");
            let in_the_relays_transaction = source.code.contains("tx: &mut Transaction");
            assert!(beside_its_cause || in_the_relays_transaction, "{}: {statement}", source.path);
        }
    }
}

/// I11: what a run writes after its claim, it writes only while the claim is its own.
#[test]
fn every_write_of_a_run_is_fenced() {
    // A request for a mail is no run: it claims nothing, and what a run writes it touches only while nothing is open.
    let mut store = below(&["shared/src/store"]);
    store.retain(|source| source.path != "shared/src/store/mail_requests.rs");
    let writes =
        store.iter().flat_map(|source| source.code.split("r#\"").skip(1)).filter_map(|text| text.split("\"#").next());
    let updates: Vec<&str> = writes.filter(|sql| sql.contains("UPDATE users")).collect();
    assert!(updates.len() >= 5, "the statements were not found");
    for sql in updates {
        let claims = sql.contains("claim_no = claim_no + 1");
        assert!(claims || sql.contains("WHERE id = $1 AND claim_no = $2"), "not fenced: {sql}");
    }
}

fn only_in(text: &str, folders: &[&str], allowed: impl Fn(&str) -> bool) {
    let found: Vec<String> =
        below(folders).into_iter().filter(|source| source.code.contains(text)).map(|source| source.path).collect();
    assert!(!found.is_empty(), "{text} is found nowhere: has the rule lost its subject?");
    let strays: Vec<&String> = found.iter().filter(|path| !allowed(path)).collect();
    assert!(strays.is_empty(), "{text} stands in {strays:?}");
}

/// What a document tells a reader to open is there.
#[test]
fn every_path_in_the_documents_exists() {
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "docs/integrating.md", "docs/upgrading.md"] {
        let text = fs::read_to_string(root().join(document)).expect("the document is there");
        let paths = text.split('`').skip(1).step_by(2).filter(|word| {
            let folder =
                ["api/", "worker/", "shared/", "tests/", "dev/", "deploy/", "docs/", "migrations/", "examples/"];
            folder.iter().any(|folder| word.starts_with(folder)) && !word.contains([' ', '{', '*', '…'])
        });
        for path in paths.filter(|path| !path.contains("YYYY")) {
            assert!(root().join(path).exists(), "{document} names {path}, which is not there");
        }
    }
}

/// These documents say which test shows what they promise: `` `limits.rs`: `one_account_is…` ``, below `tests/`.
#[test]
fn every_test_that_the_documents_name_exists() {
    for document in ["docs/security.md", "docs/upgrading.md"] {
        let text = fs::read_to_string(root().join(document)).expect("the document is there");
        let words: Vec<&str> = text.split('`').collect();
        let named = words.windows(3).filter(|words| words[1] == ": " && words[0].contains(['.', '/']));
        let mut number = 0;
        for words in named {
            let (path, promise) = (format!("tests/{}", words[0]), words[2].trim_end_matches('…'));
            assert!(tests_below(&path).contains(&format!("fn {promise}")), "{document}: no {promise} in {path}");
            number += 1;
        }
        assert!(number >= 3, "{document} names {number} tests: has the rule lost its subject?");
    }
}

/// The text of a file, or of all files in a folder.
fn tests_below(path: &str) -> String {
    let path = root().join(path);
    let files = if path.is_dir() {
        fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    } else {
        vec![path]
    };
    files.iter().filter(|file| file.is_file()).filter_map(|file| fs::read_to_string(file).ok()).collect()
}
