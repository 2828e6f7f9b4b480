//! Swagger's page, and one operation on it.

use serde_json::Value;

use crate::harness::browser::Browser;

pub(super) struct Swagger<'a>(pub &'a Browser);

impl<'a> Swagger<'a> {
    /// Puts a token where the page takes it from for every request from now on.
    pub(super) async fn authorize(&self, token: &str) {
        let browser = self.0;
        browser.click(".auth-wrapper .authorize").await;
        browser.paste(BEARER, token).await;
        browser.picture("html", "swagger-authorize").await;
        browser.click(&format!("{BEARER_SECTION} button.authorize")).await;
        browser.click(&format!("{BEARER_SECTION} button.btn-done")).await;
    }

    /// The same, with a token that the page gets by itself.
    pub(super) async fn log_in(&self, username: &str, password: &str) {
        let browser = self.0;
        browser.click(".auth-wrapper .authorize").await;
        browser.paste("#oauth_username", username).await;
        browser.paste("#oauth_password", password).await;
        browser.click(&format!("{LOGIN_SECTION} button.authorize")).await;
        browser.click(&format!("{LOGIN_SECTION} button.btn-done")).await;
    }

    /// Unfolds an operation and makes its fields ready.
    pub(super) async fn try_out(&self, method: &str, path: &str) -> Operation<'a> {
        let browser = self.0;
        let operation = Operation { browser, block: format!(".opblock-{method}:has([data-path='{path}'])") };
        operation.click(".opblock-summary-control").await;
        operation.click(".try-out__btn").await;
        browser.see(&operation.part("button.execute")).await;
        operation
    }
}

const BEARER: &str = "#auth-bearer-value";
const BEARER_SECTION: &str = ".auth-container:has(h4 code)";
const LOGIN_SECTION: &str = ".auth-container:has(.flow)";

pub(super) struct Operation<'a> {
    browser: &'a Browser,
    block: String,
}

impl Operation<'_> {
    pub(super) async fn send_as(&self, media_type: &str) {
        self.click(&format!(".body-param-content-type option[value='{media_type}']")).await;
    }

    pub(super) async fn write_body(&self, body: &Value) {
        self.browser.paste(&self.part("textarea.body-param__text"), &format!("{body:#}")).await;
    }

    /// Says with which status and what it was answered.
    pub(super) async fn execute(&self) -> (String, Value) {
        // Or the answer before would be taken for the one to come.
        if self.browser.count(&self.part("button.btn-clear")).await > 0 {
            self.click("button.btn-clear").await;
        }
        self.click("button.execute").await;
        let status = self.browser.read(&self.part(".live-responses-table .response .response-col_status")).await;
        let body = self.browser.read(&self.part(".live-responses-table .highlight-code code")).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    pub(super) async fn picture(&self, name: &str) {
        self.browser.picture(&self.block, name).await;
    }

    pub(super) async fn picture_of_answer(&self, name: &str) {
        self.browser.picture(&self.part(".responses-inner"), name).await;
    }

    async fn click(&self, selector: &str) {
        self.browser.click(&self.part(selector)).await;
    }

    fn part(&self, selector: &str) -> String {
        format!("{} {selector}", self.block)
    }
}
