//! Finding a text in whatever a program writes, however it was encoded on the way.

use std::collections::BTreeMap;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use url::{Url, form_urlencoded};

/// Texts that must not be found, and what each of them is.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    pub(super) fn add(&mut self, what: &'static str, text: &str) {
        assert!(text.len() > 7, "{what}: {text:?} is short enough to be found by chance");
        self.0.push((what, text.to_owned()));
    }

    /// Every part of it: the payload tells who somebody is, the signature makes it worth something.
    pub(super) fn add_token(&mut self, what: &'static str, token: &str) {
        token.split('.').for_each(|part| self.add(what, part));
    }

    /// Those of the processes themselves. The tokens that they get for them are not known here, but how each begins.
    pub(super) fn add_logins(&mut self, settings: &BTreeMap<String, String>) {
        self.add("the login client's secret", &settings["KEYCLOAK_CLIENT_SECRET"]);
        self.add("the service account's secret", &settings["KEYCLOAK_ADMIN_CLIENT_SECRET"]);
        self.add("the key of the passwords", settings["PASSWORD_KEYS"].split(':').next_back().expect("a key"));
        for (what, name) in [("the database's login", "DATABASE_URL"), ("the broker's login", "AMQP_URL")] {
            let url = Url::parse(&settings[name]).expect("an address");
            let (user, password) = (url.username(), url.password().expect("an address with a login"));
            self.add(what, &format!("{user}:{password}@"));
            // SASL's PLAIN.
            self.add(what, &format!("\0{user}\0{password}"));
        }
        self.add("a token", &URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"#));
    }

    /// What was found, how it was written, and what stood around it.
    pub(super) fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let hay = plain(&String::from_utf8_lossy(bytes));
        let needles = self.0.iter().flat_map(|(what, text)| forms(text).map(move |(form, text)| (what, form, text)));
        needles
            .filter_map(|(what, form, needle)| {
                let at = hay.find(&needle)?;
                Some(format!("{what}, {form}: {}", around(&hay, at)))
            })
            .collect()
    }
}

/// Whether a text that must be there is there.
pub(super) fn is_found(text: &str, bytes: &[u8]) -> bool {
    plain(&String::from_utf8_lossy(bytes)).contains(&plain(text))
}

/// Without what differs from one way of quoting to the next: case, and how often something was escaped.
fn plain(text: &str) -> String {
    text.replace('\\', "").to_lowercase()
}

fn forms(text: &str) -> impl Iterator<Item = (&'static str, String)> {
    let bytes = text.as_bytes();
    let list =
        |number: fn(u8) -> String, separator| bytes.iter().copied().map(number).collect::<Vec<_>>().join(separator);
    let forms = [
        ("as it is", text.to_owned()),
        ("in ASCII", text.chars().map(in_ascii).collect()),
        ("in a form", form_urlencoded::byte_serialize(bytes).collect()),
        ("in an address", list(in_address, "")),
        ("in hexadecimal", list(|byte| format!("{byte:02x}"), "")),
        ("as a list of bytes", list(|byte| byte.to_string(), ", ")),
    ];
    let encodings = [("in base64", STANDARD_NO_PAD), ("in base64url", URL_SAFE_NO_PAD)].into_iter();
    let base64 = encodings.flat_map(|(form, engine)| (0..3).map(move |shift| (form, shift, engine.clone())));
    let base64 = base64.map(|(form, shift, engine)| (form, inner(&engine.encode(shifted(bytes, shift)), bytes, shift)));
    forms.into_iter().chain(base64.collect::<Vec<_>>()).map(|(form, text)| (form, plain(&text)))
}

/// JSON may write what is not ASCII as `\u00fc`.
fn in_ascii(c: char) -> String {
    let escaped =
        |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat();
    if c.is_ascii() { c.to_string() } else { escaped(c) }
}

fn in_address(byte: u8) -> String {
    let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if is_plain { char::from(byte).to_string() } else { format!("%{byte:02x}") }
}

fn shifted(bytes: &[u8], shift: usize) -> Vec<u8> {
    [&vec![0; shift], bytes].concat()
}

/// The characters that no neighbour of the text has a part in, when it begins at any byte of a longer one.
fn inner(encoded: &str, bytes: &[u8], shift: usize) -> String {
    encoded[(shift * 8).div_ceil(6)..(shift + bytes.len()) * 8 / 6].to_owned()
}

fn around(hay: &str, at: usize) -> String {
    let start = hay.floor_char_boundary(at.saturating_sub(300));
    let end = hay.ceil_char_boundary((at + 300).min(hay.len()));
    hay[start..end].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let text = "Jürgen \"J\" Quartermain@Example.org";
        let mut secrets = Secrets::default();
        secrets.add("name", text);
        let json = json!({ "name": text }).to_string();
        let pad = |number| format!("{}{text}x", "x".repeat(number));
        for (written, how) in [
            (format!("hello {text}!"), "as it is"),
            (text.to_uppercase(), "in capitals"),
            (json.clone(), "in JSON"),
            (json!({ "line": json }).to_string(), "in JSON in JSON"),
            (json.replace('ü', "\\u00fc"), "in ASCII"),
            (format!("{text:?}"), "as it debugs"),
            (format!("{:?}", text.as_bytes()), "as a list"),
            ("x=J%C3%BCrgen+%22J%22+Quartermain%40Example.org".to_owned(), "in a form"),
            ("x=J%C3%BCrgen%20%22J%22%20Quartermain%40Example.org".to_owned(), "in an address"),
            (STANDARD_NO_PAD.encode(pad(0)), "in base64"),
            (STANDARD_NO_PAD.encode(pad(1)), "in base64"),
            (URL_SAFE_NO_PAD.encode(pad(2)), "in base64"),
        ] {
            assert!(!secrets.found_in(written.as_bytes()).is_empty(), "{how}: {written}");
        }
        assert!(secrets.found_in(b"hello").is_empty());
    }
}
