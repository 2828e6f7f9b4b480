//! Addresses beneath an address.

use url::Url;

/// `base` with more path segments, each escaped; a path that `base` has already is kept.
pub fn beneath(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_and_a_prefix_is_kept() {
        let base = Url::parse("http://localhost:8080/auth/").unwrap();
        let url = beneath(&base, &["admin", "realms", "a b/c"]);
        assert_eq!(url.as_str(), "http://localhost:8080/auth/admin/realms/a%20b%2Fc");
    }
}
