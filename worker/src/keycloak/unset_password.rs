//! What stands in for the password of an account that has none yet.
//!
//! Keycloak computes a hash for a login with an unknown name, so that the time does not tell whether there is somebody,
//! but none for an account without a password: whoever had registered and not set one yet would be refused in a fifth of
//! the time. So the account gets a hash that takes as long to compare with, and that nothing matches.

use serde_json::{Value, json};

/// What Keycloak's own default comes to (`Argon2PasswordHashProviderFactory`). A realm whose `passwordPolicy` names
/// another algorithm or effort takes another time for unknown names than for these accounts.
const EFFORT: &str = r#"{"algorithm":"argon2","hashIterations":5,"additionalParameters":{
    "type":["id"],"version":["1.3"],"memory":["7168"],"parallelism":["1"],"hashLength":["32"]}}"#;

/// A salt and a hash of nothing but zeros: to find a password for it is to invert Argon2.
const NOBODYS: &str = r#"{"salt":"AAAAAAAAAAAAAAAAAAAAAA==","additionalParameters":{},
    "value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#;

/// As Keycloak takes it with a new account. It is stored as it is: no hash is computed, no policy asked.
pub fn credential() -> Value {
    json!({ "type": "password", "credentialData": EFFORT, "secretData": NOBODYS })
}
