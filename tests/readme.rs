//! The calls that the README shows, each as it stands there.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::{
    eventually::eventually,
    keycloak::Realm,
    mailbox::Mailbox,
    set_up_pages::set_password,
    source,
    system::{PATIENCE, Plan},
};

/// Where a person has to do something in between.
const MEANWHILE: &str = "# Once the password is set by the mailed link";

/// The calls before and after that, for an api at this address.
fn calls(api_url: &str) -> (String, String) {
    let readme = fs::read_to_string(source::root().join("README.md")).expect("README.md is there");
    let block = readme.split("```sh\nAPI=").nth(1).and_then(|rest| rest.split("```").next());
    let (_, calls) = block.and_then(|block| block.split_once('\n')).expect("the README shows calls");
    let (before, after) = calls.split_once(MEANWHILE).expect("the README says when the password is set");
    let with_address = |calls: &str| format!("API={api_url}\n{calls}");
    (with_address(before), with_address(&format!("#{after}")))
}

async fn run(script: &str, folder: &TempDir) -> String {
    let ran = Command::new("sh").args(["-euc", script]).current_dir(folder.path()).output().await.expect("a shell");
    let said = String::from_utf8(ran.stdout).expect("text");
    assert!(ran.status.success(), "{script}\n{said}{}", String::from_utf8_lossy(&ran.stderr));
    said
}

#[tokio::test]
async fn the_calls_work_as_they_are_shown() {
    let mailbox = Mailbox::start().await;
    let realm = Realm::create(mailbox.port()).await;
    let (system, folder) = (Plan::on(realm.access()).start().await, TempDir::new().expect("a folder"));
    let (before, after) = calls(&system.api_url());
    let password = after.split("password=").nth(1).and_then(|rest| rest.split_whitespace().next());

    let said = run(&before, &folder).await;
    for line in ["HTTP/1.1 201 Created", "location: /users/", "HTTP/1.1 202 Accepted"] {
        assert!(said.contains(line), "{line} is missing in {said}");
    }
    let mails = async || mailbox.mails_to("bob@example.org").pop();
    let mail = eventually("the mail is there", PATIENCE, mails).await;
    set_password(mail.link(), password.expect("the README shows a password")).await;

    let said = run(&after, &folder).await;
    let answers: Vec<Value> =
        serde_json::Deserializer::from_str(&said).into_iter().collect::<Result<_, _>>().expect("answers in JSON");
    let [tokens, whose, renewed] = &answers[..] else { panic!("three answers: {said}") };
    assert!(tokens["access_token"].is_string() && renewed["access_token"].is_string(), "{said}");
    assert_eq!((&whose["active"], &whose["user"]["username"]), (&true.into(), &"bob".into()), "{said}");
    system.stop().await;
}
