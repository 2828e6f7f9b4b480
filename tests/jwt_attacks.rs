//! Tokens that are not what they seem: each is refused, with the reason that was meant.
//!
//! Each attack differs from a token that is taken in one thing, and that such a token is taken is checked beside it. So
//! it is this one thing that has it refused.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::Utc;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::harness::{
    auth::{Answer, Person},
    fake_keycloak::{Endpoint, FakeKeycloak},
    keycloak::Realm,
    signing_key::{SigningKey, claims, part, read_part, sign_with_secret},
    system::{Plan, System},
};

/// What is done, what comes of it, and a word of the reason that is told.
type Attack = (&'static str, String, &'static str);

async fn all_are_refused(system: &System, good: &str, attacks: Vec<Attack>) {
    assert_eq!(system.validate(good).await.status, 200, "a good token is taken");
    for (what, token, reason) in attacks {
        let answer = system.validate(&token).await;
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("invalid_token")), "{what}: {answer:?}");
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.starts_with("Bearer realm=\"usher\", error=\"invalid_token\", error_description=\""),
            "{what}"
        );
        assert!(challenge.contains(reason), "{what}: {challenge}");
    }
    assert_eq!(system.validate(good).await.status, 200, "a good token is still taken");
}

/// An issuer of the test's own: it can say whatever it likes, with a good signature.
struct Forge {
    keycloak: FakeKeycloak,
    system: System,
    key: SigningKey,
}

impl Forge {
    async fn open() -> Self {
        let (keycloak, key) = (FakeKeycloak::start().await, SigningKey::generate());
        keycloak.set_keys([key.jwk()]);
        let system = Plan::on(keycloak.access()).workers(0).set("TOKEN_KEYS_COOLDOWN", "1h").start().await;
        Self { keycloak, system, key }
    }

    fn claims(&self) -> Value {
        claims(self.keycloak.access())
    }

    fn good(&self) -> String {
        self.key.sign(&self.key.header(), &self.claims())
    }

    /// A good token but for one claim; null takes it away.
    fn claiming(&self, name: &str, value: Value) -> String {
        self.key.sign(&self.key.header(), &with(self.claims(), name, value))
    }

    /// A good token but for one word in the header.
    fn headed(&self, name: &str, value: Value) -> String {
        self.key.sign(&with(self.key.header(), name, value), &self.claims())
    }
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    let fields = object.as_object_mut().expect("an object");
    if value.is_null() {
        fields.remove(name);
    } else {
        fields.insert(name.to_owned(), value);
    }
    object
}

#[tokio::test]
async fn claims_that_are_not_those_of_an_access_token_for_us() {
    let forge = Forge::open().await;
    let now = Utc::now().timestamp();
    let issuer = forge.keycloak.access().issuer();
    let attacks = vec![
        ("another issuer", forge.claiming("iss", json!("http://evil.example/realms/usher")), "another issuer"),
        ("an issuer that begins like ours", forge.claiming("iss", json!(format!("{issuer}2"))), "another issuer"),
        ("no issuer", forge.claiming("iss", Value::Null), "lacks a claim"),
        ("another audience", forge.claiming("aud", json!("another-api")), "another service"),
        ("several other audiences", forge.claiming("aud", json!(["account", "another-api"])), "another service"),
        ("an empty audience", forge.claiming("aud", json!([])), "another service"),
        ("no audience", forge.claiming("aud", Value::Null), "lacks a claim"),
        ("expired", forge.claiming("exp", json!(now - 31)), "expired"),
        ("no end", forge.claiming("exp", Value::Null), "can read"),
        ("an end that is no number", forge.claiming("exp", json!("tomorrow")), "can read"),
        ("not valid yet", forge.claiming("nbf", json!(now + 60)), "not valid yet"),
        ("made in the future", forge.claiming("iat", json!(now + 60)), "not valid yet"),
        ("made at no time", forge.claiming("iat", Value::Null), "lacks a claim"),
        ("nobody's", forge.claiming("sub", Value::Null), "lacks a claim"),
        ("an ID token", forge.claiming("typ", json!("ID")), "not an access token"),
        ("a refresh token", forge.claiming("typ", json!("Refresh")), "not an access token"),
        ("a logout token", forge.claiming("typ", json!("Logout")), "not an access token"),
        ("of no type", forge.claiming("typ", Value::Null), "not an access token"),
        ("another client's", forge.claiming("azp", json!("another-app")), "another client"),
        ("no client's", forge.claiming("azp", Value::Null), "another client"),
    ];
    all_are_refused(&forge.system, &forge.good(), attacks).await;
}

#[tokio::test]
async fn clocks_may_differ_a_little() {
    let forge = Forge::open().await;
    let now = Utc::now().timestamp();
    for token in [
        forge.claiming("exp", json!(now - 10)),
        forge.claiming("nbf", json!(now + 10)),
        forge.claiming("iat", json!(now + 10)),
    ] {
        assert_eq!(forge.system.validate(&token).await.status, 200);
    }
}

#[tokio::test]
async fn keys_that_a_token_brings_along_or_points_at() {
    let forge = Forge::open().await;
    let (evil, elsewhere) = (SigningKey::generate(), FakeKeycloak::start().await);
    elsewhere.set_keys([evil.jwk()]);
    let keys_url = format!("{}/protocol/openid-connect/certs", elsewhere.access().issuer());
    let claims = forge.claims();
    let (ours, its_own) = (forge.key.header(), evil.header());
    let evil_by = |header: &Value, name: &str, value: Value| evil.sign(&with(header.clone(), name, value), &claims);
    let unknown = "not signed by a key of the issuer";
    let attacks = vec![
        ("an unknown kid", evil.sign(&its_own, &claims), unknown),
        ("no kid", forge.headed("kid", Value::Null), unknown),
        ("somebody else's signature under our kid", evil.sign(&ours, &claims), unknown),
        ("jwk", evil_by(&ours, "jwk", evil.jwk()), unknown),
        ("jwk with its own kid", evil_by(&its_own, "jwk", evil.jwk()), unknown),
        ("jku", evil_by(&ours, "jku", json!(keys_url)), unknown),
        ("jku with its own kid", evil_by(&its_own, "jku", json!(keys_url)), unknown),
        ("x5u", evil_by(&ours, "x5u", json!(keys_url)), unknown),
    ];
    all_are_refused(&forge.system, &forge.good(), attacks).await;
    assert!(elsewhere.requests(Endpoint::Keys).is_empty(), "an address out of a token was asked");
}

#[tokio::test]
async fn headers_that_would_have_a_token_read_in_another_way() {
    let forge = Forge::open().await;
    let (header, claims) = (forge.key.header(), forge.claims());
    let none = |header: Value| format!("{}.{}.", part(&with(header, "alg", json!("none"))), part(&claims));
    let by = |algorithm, name: &str| forge.key.sign_by(algorithm, &with(header.clone(), "alg", json!(name)), &claims);
    let attacks = vec![
        ("alg none", none(json!({ "typ": "JWT" })), "can read"),
        ("alg none with our kid", none(header.clone()), "can read"),
        ("alg none, signed", forge.headed("alg", json!("none")), "can read"),
        ("another algorithm in the header", forge.headed("alg", json!("RS512")), "signed in a way"),
        ("RS512 with a key for RS256", by(Algorithm::RS512, "RS512"), "signed in a way"),
        ("PS256 with a key for RS256", by(Algorithm::PS256, "PS256"), "signed in a way"),
        ("ES256 with a key for RS256", forge.headed("alg", json!("ES256")), "signed in a way"),
        ("crit", forge.headed("crit", json!(["b64"])), "can read"),
        ("of another type", forge.headed("typ", json!("logout+jwt")), "not an access token"),
        ("of no type", forge.headed("typ", Value::Null), "not an access token"),
    ];
    all_are_refused(&forge.system, &forge.good(), attacks).await;
    // RFC 9068's type is as good as JWT.
    assert_eq!(forge.system.validate(&forge.headed("typ", json!("at+jwt"))).await.status, 200);
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let forge = Forge::open().await;
    let header = with(forge.key.header(), "alg", json!("HS256"));
    let (jwk, claims) = (forge.key.jwk(), forge.claims());
    let modulus = jwk["n"].as_str().expect("a modulus");
    let attacks = [modulus.as_bytes().to_vec(), jwk.to_string().into_bytes()]
        .map(|secret| ("HS256 with the public key", sign_with_secret(&secret, &header, &claims), "signed in a way"));
    all_are_refused(&forge.system, &forge.good(), attacks.to_vec()).await;
}

#[tokio::test]
async fn a_key_that_encrypts_signs_nothing() {
    let forge = Forge::open().await;
    let key = SigningKey::generate();
    forge.keycloak.set_keys([with(key.jwk(), "use", json!("enc")), forge.key.jwk()]);
    let system = Plan::on(forge.keycloak.access()).workers(0).start().await;
    let token = key.sign(&key.header(), &forge.claims());
    all_are_refused(&system, &forge.good(), vec![("a key to encrypt with", token, "not signed by a key")]).await;
}

#[tokio::test]
async fn tokens_that_are_cut_stretched_or_changed() {
    let forge = Forge::open().await;
    let good = forge.good();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, _, signature] = parts[..] else { panic!("a token has three parts") };
    let admin = with(forge.claims(), "realm_access", json!({ "roles": ["admin"] }));
    let attacks = vec![
        ("tampered claims", format!("{header}.{}.{signature}", part(&admin)), "not signed by a key of the issuer"),
        ("tampered signature", changed_in_the_signature(&good), "not signed by a key of the issuer"),
        ("truncated by a byte", good[..good.len() - 1].to_owned(), ""),
        ("truncated by half", good[..good.len() / 2].to_owned(), ""),
        ("without its signature", good[..=good.rfind('.').expect("a dot")].to_owned(), ""),
        ("two parts", good[..good.rfind('.').expect("a dot")].to_owned(), "can read"),
        ("four parts", format!("{good}.{signature}"), ""),
        ("five parts, as if encrypted", format!("{good}.{signature}.{signature}"), ""),
        ("no JSON", "bm8.anNvbg.YXQgYWxs".to_owned(), "can read"),
        ("one word", "opaque".to_owned(), "can read"),
        ("64 KiB of a good token", forge.claiming("padding", json!("x".repeat(64 * 1024))), "longer than 8 KiB"),
        ("64 KiB of nothing", "x".repeat(64 * 1024), "longer than 8 KiB"),
    ];
    all_are_refused(&forge.system, &good, attacks).await;
    let fits = forge.claiming("padding", json!("x".repeat(5000)));
    assert_eq!(forge.system.validate(&fits).await.status, 200, "{} bytes", fits.len());
}

/// In the middle, where every bit counts.
fn changed_in_the_signature(token: &str) -> String {
    let position = token.rfind('.').expect("a dot") + 100;
    let other = if token.as_bytes()[position] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &token[..position], &token[position + 1..])
}

/// The same on Keycloak's own tokens, which are what an attacker has.
#[tokio::test]
async fn keycloaks_own_tokens_are_good_for_what_they_are() {
    let (realm, other_realm) = (Realm::shared(), Realm::create(1).await);
    let person = Person::invent();
    let id = realm.create_user(&person.account()).await;
    other_realm.create_user(&person.account()).await;
    let system = Plan::on(realm.access()).workers(0).start().await;
    let login: Answer = system.log_in(&person.username, &person.password).await;
    let good = login.token("access_token");
    let elsewhere = Plan::on(other_realm.access()).workers(0).start().await;
    let foreign = elsewhere.log_in(&person.username, &person.password).await.token("access_token");
    assert_eq!(elsewhere.validate(&foreign).await.status, 200, "it is good where it is from");

    let der = STANDARD.decode(realm.public_key().await).expect("a key in base64");
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(&der));
    let (header, claims) = (read_part(&good, 0), read_part(&good, 1));
    let hs256 = with(header.clone(), "alg", json!("HS256"));
    let tampered = with(claims.clone(), "preferred_username", json!("somebody-else"));
    let signature = good.rsplit('.').next().expect("a signature");
    let attacks = vec![
        ("its ID token", login.token("id_token"), "another service"),
        ("its refresh token", login.token("refresh_token"), "signed in a way"),
        ("another realm's token", foreign.clone(), "not signed by a key of the issuer"),
        ("HS256 with the public key as PEM", sign_with_secret(pem.as_bytes(), &hs256, &claims), "signed in a way"),
        ("HS256 with the public key as DER", sign_with_secret(&der, &hs256, &claims), "signed in a way"),
        ("HS256 with its hash", sign_with_secret(digest(&SHA256, &der).as_ref(), &hs256, &claims), "signed in a way"),
        ("alg none", format!("{}.{}.", part(&with(header.clone(), "alg", json!("none"))), part(&claims)), ""),
        ("tampered claims", format!("{}.{}.{signature}", part(&header), part(&tampered)), "not signed by a key"),
        ("truncated", good[..good.len() - 10].to_owned(), "not signed by a key"),
    ];
    all_are_refused(&system, &good, attacks).await;
    realm.delete_user(&id).await;
}
