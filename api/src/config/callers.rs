//! Whom the api believes: proxies about addresses, browsers about pages.

use axum::http::HeaderValue;
use serde::Deserialize;
use shared::config::{Environment, Setting};
use url::Url;

use crate::limits::address::TrustedProxies;

/// `TRUSTED_*`
#[derive(Debug, Default, Deserialize)]
pub struct TrustedSection {
    proxies: Option<String>,
}

impl TrustedSection {
    pub const PREFIX: &'static str = "TRUSTED_";

    pub(super) fn read(environment: &mut Environment) -> Option<TrustedProxies> {
        let raw: Self = environment.section(Self::PREFIX);
        environment.or_derived("TRUSTED_PROXIES", raw.proxies, TrustedProxies::default(), "none")
    }
}

/// `CORS_*`
#[derive(Debug, Default, Deserialize)]
pub struct CorsSection {
    origins: Option<String>,
}

/// The pages whose scripts may call the api; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(pub Vec<HeaderValue>);

impl CorsSection {
    pub const PREFIX: &'static str = "CORS_";

    pub(super) fn read(environment: &mut Environment) -> Option<Origins> {
        let raw: Self = environment.section(Self::PREFIX);
        environment.or_derived("CORS_ORIGINS", raw.origins, Origins::default(), "none")
    }
}

impl Setting for Origins {
    const EXPECTED: &'static str = "a list of origins, such as https://app.example.org,https://example.org";

    /// `*` is none: whoever may call from a browser is named.
    fn parse(raw: &str) -> Option<Self> {
        raw.split(',').map(|origin| origin_of(origin.trim())).collect::<Option<_>>().map(Self)
    }

    fn written(&self) -> String {
        self.0.iter().filter_map(|origin| origin.to_str().ok()).collect::<Vec<_>>().join(",")
    }
}

/// As browsers write it: scheme, host and port, and no path (RFC 6454, section 6.2).
fn origin_of(raw: &str) -> Option<HeaderValue> {
    let url = Url::parse(raw).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let origin = url.origin().ascii_serialization();
    if origin == raw { HeaderValue::from_str(raw).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_do() {
        let origins = Origins::parse("https://app.example.org, http://localhost:3000").unwrap();
        assert_eq!(origins.0, ["https://app.example.org", "http://localhost:3000"]);
        for bad in ["*", "app.example.org", "https://example.org/", "https://example.org/app", "ftp://example.org"] {
            assert_eq!(Origins::parse(bad), None, "{bad}");
        }
    }
}
