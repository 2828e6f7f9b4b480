//! A real browser, led as a person leads it: Chromium without a window, by way of chromedriver.
//!
//! Elements are named by CSS selectors, or by an `XPath`, which begins with a slash. Whatever is done waits until it can be
//! done, since pages take their time.

use std::{cell::Cell, fs, path::PathBuf};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;
use thirtyfour::{
    ChromeCapabilities, ChromiumLikeCapabilities as _, LoggingPrefsLogLevel, error::no_such_element, prelude::*,
};

use super::{
    account::Account,
    eventually::eventually,
    http,
    process::{Binary, Process},
    source, stack,
    system::PATIENCE,
};

/// The browser finds loopback by this name and nothing else by any: a page that wants something of the outside world
/// does not get it, and says so in the console. It is no address that a page may take for a developer's machine.
pub const HOST: &str = "usher.test";

/// The bar of a window takes 143 of the height.
const WINDOW: &str = "--window-size=1280,1043";

/// Killed when dropped.
pub struct Browser {
    driver: WebDriver,
    chromium: Option<Pid>,
    _chromedriver: Process,
    _home: TempDir,
    album: PathBuf,
    pictures: Cell<usize>,
}

impl Browser {
    /// Its pictures go to this folder in `.dev/screenshots/`, in place of those of the run before.
    pub async fn start(album: &str) -> Self {
        let home = TempDir::new().expect("a directory for the browser");
        let path = stack::variable("PATH").unwrap_or_default();
        let chromedriver = Binary::server("chromedriver", &Account::default()).arg("--port=0").env("PATH", path);
        let chromedriver = chromedriver.env("HOME", home.path()).env("TMPDIR", home.path()).start();
        let port = eventually("chromedriver says its port", PATIENCE, async || port(&chromedriver.output())).await;
        let driver = WebDriver::builder(format!("http://127.0.0.1:{port}"), capabilities()).client(http::client());
        let driver = driver.await.unwrap_or_else(|error| panic!("no Chromium: {error}; run `cargo dev test`"));
        let chromium = Some(process_of(driver.capabilities()));
        let album = empty_album(album);
        Self { driver, chromium, _chromedriver: chromedriver, _home: home, album, pictures: Cell::default() }
    }

    pub async fn quit(mut self) {
        self.driver.clone().quit().await.expect("the browser ends");
        self.chromium = None;
    }

    pub async fn open(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|error| panic!("{url} does not open: {error}"));
    }

    pub async fn until_at(&self, url: &str) {
        eventually(&format!("the page is {url}"), PATIENCE, async || {
            let at = self.driver.current_url().await.expect("a page has an address");
            if at.as_str() == url { Ok(()) } else { Err(at.to_string()) }
        })
        .await;
    }

    pub async fn see(&self, selector: &str) {
        self.at(selector, async |element| element.is_displayed().await?.then_some(()).ok_or_else(nothing)).await;
    }

    /// What a person reads there, once there is something.
    pub async fn read(&self, selector: &str) -> String {
        let text =
            async |element: WebElement| Some(element.text().await?).filter(|it| !it.is_empty()).ok_or_else(nothing);
        self.at(selector, text).await
    }

    pub async fn count(&self, selector: &str) -> usize {
        self.driver.find_all(by(selector)).await.expect("a page can be searched").len()
    }

    pub async fn click(&self, selector: &str) {
        self.at(selector, async |element| element.click().await).await;
    }

    /// In place of what stands there, and all at once: key by key, a token keeps Swagger's page busy for half a minute.
    pub async fn paste(&self, selector: &str, text: &str) {
        let paste = "arguments[0].select(); return document.execCommand('insertText', false, arguments[1])";
        let pasted = async |element: WebElement| {
            element.focus().await?;
            let taken = self.driver.execute(paste, vec![element.to_json()?, text.into()]).await?;
            taken.convert::<bool>()?.then_some(()).ok_or_else(nothing)
        };
        self.at(selector, pasted).await;
    }

    pub async fn enter_frame(&self, selector: &str) {
        self.at(selector, async |element| element.enter_frame().await).await;
    }

    /// To the tab that was opened last.
    pub async fn follow_to_new_tab(&self) {
        let tabs = eventually("there is another tab", PATIENCE, async || {
            self.driver.windows().await.ok().filter(|tabs| tabs.len() > 1)
        });
        let tab = tabs.await.pop().expect("there are two");
        self.driver.switch_to_window(tab).await.expect("a tab can be shown");
    }

    /// Of what shows, an element at the top.
    pub async fn picture(&self, top: &str, name: &str) {
        let scroll = async |element: WebElement| {
            self.driver.execute("arguments[0].scrollIntoView()", vec![element.to_json()?]).await.map(drop)
        };
        self.at(top, scroll).await;
        self.pictures.update(|count| count + 1);
        let file = self.album.join(format!("{:02}-{name}.png", self.pictures.get()));
        self.driver.screenshot(&file).await.expect("a picture can be taken");
    }

    /// What the console was told since the last time: failed requests, broken policies, scripts gone wrong.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.driver.browser_log().await.expect("the console can be read");
        log.into_iter().map(|entry| format!("{}: {}", entry.level, entry.message)).collect()
    }

    /// Scripts may put another element in the place of one at any time: it is looked for and used in one go.
    async fn at<T>(&self, selector: &str, act: impl AsyncFn(WebElement) -> WebDriverResult<T>) -> T {
        let look = async || act(self.driver.find(by(selector)).await?).await;
        eventually(&format!("{selector} is there and can be used"), PATIENCE, look).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Nobody says goodbye: the runtime that carries the session is about to end, and may be in a panic.
        self.driver.clone().leak().ok();
        // It would outlive chromedriver.
        if let Some(chromium) = self.chromium {
            kill(chromium, Signal::SIGKILL).ok();
        }
    }
}

fn process_of(capabilities: &Capabilities) -> Pid {
    let id = capabilities.get("goog:processID").and_then(Value::as_i64).and_then(|id| id.try_into().ok());
    Pid::from_raw(id.expect("chromedriver says which process Chromium is"))
}

fn by(selector: &str) -> By {
    if selector.starts_with('/') { By::XPath(selector) } else { By::Css(selector) }
}

fn port(output: &str) -> Option<u16> {
    let (_, rest) = output.split_once("started successfully on port ")?;
    rest.split('.').next()?.parse().ok()
}

fn capabilities() -> ChromeCapabilities {
    let mut capabilities = DesiredCapabilities::chrome();
    let rules = format!("--host-resolver-rules=MAP {HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    // Without the sandbox, which does not work for root: only our own pages are opened.
    for argument in ["--headless=new", "--no-sandbox", "--no-proxy-server", WINDOW, &rules] {
        capabilities.add_arg(argument).expect("an argument is a string");
    }
    capabilities.set_browser_log_level(LoggingPrefsLogLevel::Warning).expect("a level is a string");
    capabilities
}

fn empty_album(name: &str) -> PathBuf {
    let album = source::root().join(".dev/screenshots").join(name);
    // It may not be there yet.
    fs::remove_dir_all(&album).ok();
    fs::create_dir_all(&album).expect("a directory for the pictures");
    album
}

fn nothing() -> WebDriverError {
    no_such_element("it shows nothing".to_owned())
}
