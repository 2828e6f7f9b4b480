//! `deploy/kubernetes/`: manifests that Kubernetes would take, and that speak of the Usher there is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::{
    configuration::example,
    harness::{source::root, stack::required},
};

/// Kinds of operators, whose schemas Kubernetes does not know.
const OF_OPERATORS: [&str; 4] = ["ExternalSecret", "ScaledObject", "TriggerAuthentication", "ServiceMonitor"];

fn folder(name: &str) -> PathBuf {
    root().join("deploy/kubernetes").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All but the lists of kustomize.
fn manifests() -> Vec<PathBuf> {
    let files = ["base", "production"].into_iter().flat_map(|name| fs::read_dir(folder(name)).expect("a folder"));
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| !path.ends_with("kustomization.yaml"));
    paths.sort();
    paths
}

fn kinds(path: &Path) -> Vec<String> {
    read(path).lines().filter_map(|line| line.strip_prefix("kind: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_schemas_of_kubernetes_allow_every_manifest() {
    let (others, ours): (Vec<_>, Vec<_>) =
        manifests().into_iter().partition(|path| kinds(path).iter().all(|kind| OF_OPERATORS.contains(&kind.as_str())));
    assert!(ours.len() >= 5 && others.len() >= 3, "{ours:?} {others:?}");
    let program = required("KUBERNETES_VALIDATE");
    let run = Command::new(&program).arg("--strict").args(&ours).env_clear().output().await;
    let output = run.unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn every_manifest_is_listed() {
    for name in ["base", "production"] {
        let list = read(&folder(name).join("kustomization.yaml"));
        for path in manifests().iter().filter(|path| path.starts_with(folder(name))) {
            let file = path.file_name().and_then(|file| file.to_str()).expect("a name");
            assert!(list.contains(&format!("  - {file}\n")), "{name} does not list {file}");
        }
    }
}

/// Variables stand in the lists, and the names of secrets where they come from.
#[test]
fn every_variable_is_one_that_usher_reads() {
    let known: Vec<String> = example().into_iter().map(|(name, _)| name).collect();
    let lists = ["base", "production"].map(|name| read(&folder(name).join("kustomization.yaml")));
    let literals = lists.iter().flat_map(|list| list.lines()).filter_map(|line| line.trim().strip_prefix("- "));
    let literals = literals.filter_map(|literal| Some(literal.split_once('=')?.0.to_owned()));
    let secrets = read(&folder("production/secrets.yaml"));
    let secrets = secrets.split("secretKey: ").skip(1).filter_map(|rest| rest.split(',').next());
    let names: Vec<String> = literals.chain(secrets.map(str::to_owned)).collect();
    assert!(names.len() > 15, "variables were not found: {names:?}");
    for name in names {
        assert!(known.contains(&name), "nobody reads {name}");
    }
}

/// The api has no way to what a registration must not wait for, and no process more rights than it needs.
#[test]
fn every_pod_is_held_to_what_it_needs() {
    for file in ["base/api.yaml", "base/worker.yaml", "base/migrate.yaml"] {
        let manifest = read(&folder(file));
        for needed in [
            "automountServiceAccountToken: false",
            "runAsNonRoot: true",
            "allowPrivilegeEscalation: false",
            "readOnlyRootFilesystem: true",
            "capabilities: { drop: [ALL] }",
            "limits: { memory: ",
        ] {
            assert!(manifest.contains(needed), "{file} lacks {needed}");
        }
    }
    let secrets = read(&folder("production/secrets.yaml"));
    let (api, worker) = secrets.split_once("\n---\n").expect("two secrets");
    assert!(!api.contains("AMQP") && !api.contains("ADMIN"), "the api needs neither: {api}");
    assert!(!worker.contains("secretKey: KEYCLOAK_CLIENT_SECRET"), "the worker needs it not: {worker}");
    assert!(read(&folder("production/scaling-worker.yaml")).contains("minReplicaCount: 2"), "the sweep lives there");
}
