//! The pages of the mail catcher.

use crate::harness::{browser::Browser, eventually::eventually, stack::Stack, system::PATIENCE};

/// The newest mail to this address, once it is there.
pub(super) async fn open(browser: &Browser, address: &str) {
    let mail = format!("//tr[contains(., '{address}')]//a");
    eventually("the mail is listed", PATIENCE, async || {
        browser.open(&Stack::get().mail_url).await;
        browser.count(&mail).await == 1
    })
    .await;
    browser.click(&mail).await;
}

/// The page shows the mail in a frame of its own, and its links open in a tab of their own.
pub(super) async fn follow_link(browser: &Browser) {
    browser.enter_frame("iframe").await;
    browser.click("a").await;
    browser.follow_to_new_tab().await;
}
