//! The whole way of one person, by the pages that people see: Swagger's, the mail catcher's, Keycloak's.
//!
//! Each step leaves a picture in `.dev/screenshots/keycloak/`, or in `smtp/` when the mail is our own. Three of them are
//! copied by hand to `docs/screenshots/`, which README.md shows.

mod keycloak;
mod mail;
mod rabbitmq;
mod swagger;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{
    auth::Answer,
    browser::{Browser, HOST},
    http,
    keycloak::Realm,
    reserved_port::ReservedPort,
    stack::Stack,
    system::{Plan, System},
};
use swagger::Swagger;

const FORM: &str = "application/x-www-form-urlencoded";
const PASSWORD: &str = "Correct.horse.1";

/// Usher, at an address that the realm lets the links in its mails lead back to.
struct Site {
    realm: Realm,
    system: System,
    docs: String,
}

impl Site {
    async fn start(mails: impl FnOnce(Plan) -> Plan) -> Self {
        let realm = Realm::create(Stack::get().smtp_port).await;
        let port = ReservedPort::new();
        let docs = format!("http://{HOST}:{}/docs/", port.number());
        realm.change_login_client(&json!({ "redirectUris": [docs] })).await;
        let plan = mails(Plan::on(realm.access())).set("API_LISTEN", &port.address().to_string());
        let system = plan.set("MAIL_REDIRECT_URI", &docs).start().await;
        Self { realm, system, docs }
    }
}

#[tokio::test]
async fn a_person_registers_and_logs_in_by_the_browser() {
    goes_the_whole_way("keycloak", Site::start(|plan| plan).await).await;
}

#[tokio::test]
async fn so_does_whom_we_mail_ourselves() {
    goes_the_whole_way("smtp", Site::start(|plan| plan.by_smtp(Stack::get().smtp_port)).await).await;
}

async fn goes_the_whole_way(album: &str, site: Site) {
    let browser = Browser::start(album).await;
    // The mail catcher is everybody's.
    let email = format!("ada-{}@example.org", &Uuid::new_v4().simple().to_string()[..8]);

    browser.open(&site.docs).await;
    browser.see(".opblock").await;
    browser.picture("html", "swagger").await;
    everything_can_be_tried(&browser, &site.system).await;

    browser.open(&site.docs).await;
    register(&browser, &email).await;

    mail::open(&browser, &email).await;
    browser.picture("html", "mail").await;
    mail::follow_link(&browser).await;

    keycloak::begin(&browser).await;
    keycloak::set_password(&browser, "short").await;
    let refusal = keycloak::refusal(&browser).await;
    assert!(refusal.starts_with("Invalid password: "), "{refusal}");
    keycloak::set_password(&browser, PASSWORD).await;
    keycloak::go_back(&browser).await;
    browser.until_at(&site.docs).await;

    let tokens = log_in(&browser).await;
    Swagger(&browser).authorize(tokens["access_token"].as_str().expect("a token is text")).await;
    validate(&browser, &email).await;

    browser.open(&site.docs).await;
    refresh(&browser, &tokens).await;
    Swagger(&browser).log_in("ada", PASSWORD).await;
    validate(&browser, &email).await;

    assert_eq!(browser.complaints().await, [""; 0], "in the console");
    browser.quit().await;
    site.system.stop().await;
    drop(site.realm);
}

async fn everything_can_be_tried(browser: &Browser, system: &System) {
    let description = Answer::of(http::client().get(format!("{}/openapi.json", system.api_url()))).await.json();
    let paths = description["paths"].as_object().expect("there are paths");
    for (path, operations) in paths {
        for method in operations.as_object().expect("a path has operations").keys() {
            Swagger(browser).try_out(method, path).await;
        }
    }
}

async fn register(browser: &Browser, email: &str) {
    let register = Swagger(browser).try_out("post", "/users/register").await;
    let body = json!({ "username": "ada", "email": email, "firstName": "Ada", "lastName": "Lovelace" });
    register.write_body(&body).await;
    register.picture("swagger-register").await;
    let (status, user) = register.execute().await;
    register.picture_of_answer("swagger-registered").await;
    assert_eq!((status.as_str(), &user["status"]), ("201", &json!("pending")), "{user}");
}

async fn log_in(browser: &Browser) -> Value {
    let token = Swagger(browser).try_out("post", "/auth/token").await;
    token.send_as(FORM).await;
    token.write_body(&json!({ "username": "ada", "password": PASSWORD })).await;
    token.picture("swagger-token").await;
    let (status, tokens) = token.execute().await;
    token.picture_of_answer("swagger-tokens").await;
    assert_eq!(status, "200", "{tokens}");
    tokens
}

async fn validate(browser: &Browser, email: &str) {
    let validate = Swagger(browser).try_out("get", "/auth/validate-token").await;
    let (status, answer) = validate.execute().await;
    validate.picture_of_answer("swagger-validated").await;
    assert_eq!(status, "200", "{answer}");
    let user = &answer["user"];
    assert_eq!(
        (&user["username"], &user["email"], &user["emailVerified"]),
        (&json!("ada"), &json!(email), &json!(true))
    );
}

async fn refresh(browser: &Browser, tokens: &Value) {
    let token = Swagger(browser).try_out("post", "/auth/token").await;
    token.send_as(FORM).await;
    token.write_body(&json!({ "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"] })).await;
    let (status, fresh) = token.execute().await;
    token.picture_of_answer("swagger-refreshed").await;
    assert_eq!(status, "200", "{fresh}");
    assert_ne!(fresh["access_token"], tokens["access_token"]);
}
