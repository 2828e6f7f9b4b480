//! Keycloak's pages behind the link of a mail.

use crate::harness::browser::Browser;

const TITLE: &str = "#kc-page-title";

/// What is left to do, and on to doing it.
pub(super) async fn begin(browser: &Browser) {
    assert_eq!(browser.read(TITLE).await, "Perform the following action(s)");
    browser.picture("html", "keycloak-actions").await;
    browser.click("#kc-info-message a").await;
}

pub(super) async fn set_password(browser: &Browser, password: &str) {
    browser.paste("#password-new", password).await;
    browser.paste("#password-confirm", password).await;
    browser.picture("html", "keycloak-password").await;
    browser.click("#kc-submit").await;
}

/// Why it does not take the password.
pub(super) async fn refusal(browser: &Browser) -> String {
    let refusal = browser.read(".pf-v5-c-alert.pf-m-danger .kc-feedback-text").await;
    browser.picture("html", "keycloak-refusal").await;
    refusal
}

/// All is done, and on to where the mail came from.
pub(super) async fn go_back(browser: &Browser) {
    // The first page bears the same id: this one is known by its text.
    browser.see("//*[@id='kc-page-title'][contains(., 'Account updated')]").await;
    browser.picture("html", "keycloak-done").await;
    browser.click("#kc-info-message a").await;
}
