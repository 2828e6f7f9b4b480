//! The types that a variable can have, how each is written, and what is expected of it.

use std::{net::SocketAddr, time::Duration};

use url::Url;

/// A type that a variable can have.
pub trait Setting: Sized {
    /// What is expected, for the fault.
    const EXPECTED: &'static str;
    fn parse(raw: &str) -> Option<Self>;
    /// As it would be written.
    fn written(&self) -> String;
}

impl Setting for String {
    const EXPECTED: &'static str = "a text";
    fn parse(raw: &str) -> Option<Self> {
        Some(raw.to_owned())
    }

    fn written(&self) -> String {
        self.clone()
    }
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a duration longer than zero, such as 15s or 200ms";
    fn parse(raw: &str) -> Option<Self> {
        humantime::parse_duration(raw).ok().filter(|duration| !duration.is_zero())
    }

    fn written(&self) -> String {
        duration(*self)
    }
}

/// In one unit, so that a day is `24h`, as everybody writes it.
fn duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.as_millis());
    if u128::from(seconds) * 1000 != millis {
        return humantime::format_duration(duration).to_string();
    }
    match seconds {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

impl Setting for u32 {
    const EXPECTED: &'static str = "a whole number of 1 or more";
    fn parse(raw: &str) -> Option<Self> {
        raw.parse().ok().filter(|number| *number > 0)
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

impl Setting for u16 {
    const EXPECTED: &'static str = "a whole number from 1 to 65535";
    fn parse(raw: &str) -> Option<Self> {
        raw.parse().ok().filter(|number| *number > 0)
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

impl Setting for SocketAddr {
    const EXPECTED: &'static str = "an address and a port, such as 0.0.0.0:8080";
    fn parse(raw: &str) -> Option<Self> {
        raw.parse().ok()
    }

    fn written(&self) -> String {
        self.to_string()
    }
}

impl Setting for Url {
    const EXPECTED: &'static str = "an http:// or https:// address";
    fn parse(raw: &str) -> Option<Self> {
        Self::parse(raw).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    }

    /// Without a password.
    fn written(&self) -> String {
        let mut shown = self.clone();
        if shown.password().is_some() {
            // An address with a host takes one.
            shown.set_password(Some("***")).ok();
        }
        shown.to_string()
    }
}
