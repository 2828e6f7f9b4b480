//! Reading the fields of a JSON object, and finding every fault in them before saying anything.

use std::fmt::{Display, Write as _};

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// So many fields that are unknown, or there more than once, are named; an answer must not be much longer than its
/// question.
const MAX_NAMED: usize = 20;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Stable, for programs.
    #[schema(example = "domain")]
    pub code: &'static str,
    /// For people.
    #[schema(example = "must end in a domain name with a dot, such as example.org")]
    pub detail: String,
    /// Where it is in the body (RFC 6901, as a URI fragment).
    #[schema(example = "#/email")]
    pub pointer: String,
}

/// The fields of a body while they are collected. Each must be there once: of two, one reader would take the first and
/// another the last.
#[derive(Debug, Default)]
pub struct Members {
    fields: Map<String, Value>,
    faults: Vec<Fault>,
}

/// The fields of an object that are not read yet, and the faults found so far.
#[derive(Debug)]
pub struct Fields {
    unread: Map<String, Value>,
    faults: Vec<Fault>,
}

impl Fault {
    pub fn new(code: &'static str, detail: impl Display, field: &str) -> Self {
        Self { code, detail: detail.to_string(), pointer: pointer(field) }
    }

    /// Of the body as a whole.
    pub fn of_all(code: &'static str, detail: &str) -> Self {
        Self { code, detail: detail.to_owned(), pointer: "#".to_owned() }
    }
}

impl Members {
    pub fn add(&mut self, field: &str, value: Value) {
        let is_repeated = self.fields.insert(field.to_owned(), value).is_some();
        if is_repeated && self.faults.len() < MAX_NAMED {
            self.faults.push(Fault::new("repeated", "must be there once", field));
        }
    }

    pub fn once(self) -> Result<Map<String, Value>, Vec<Fault>> {
        if self.faults.is_empty() { Ok(self.fields) } else { Err(self.faults) }
    }
}

impl Fields {
    pub fn of(object: Map<String, Value>) -> Self {
        Self { unread: object, faults: Vec::new() }
    }

    /// A text that must be there and that `parse` must take; `code` names the reason when it does not.
    pub fn text<T, E: Display + Copy>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
        code: impl FnOnce(E) -> &'static str,
    ) -> Option<T> {
        let fault = match self.unread.remove(field) {
            Some(Value::String(raw)) => match parse(&raw) {
                Ok(value) => return Some(value),
                Err(error) => Fault::new(code(error), error, field),
            },
            None | Some(Value::Null) => Fault::new("required", "must be given", field),
            Some(_) => Fault::new("type", "must be a text", field),
        };
        self.faults.push(fault);
        None
    }

    /// A text that may be left out.
    pub fn text_if_given<T, E: Display + Copy>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
        code: impl FnOnce(E) -> &'static str,
    ) -> Option<T> {
        if self.unread.get(field).is_none_or(Value::is_null) {
            self.unread.remove(field);
            return None;
        }
        self.text(field, parse, code)
    }

    /// All faults: those of the fields read, and every field that nobody asked for.
    pub fn into_faults(mut self) -> Vec<Fault> {
        let unknown = self.unread.keys().take(MAX_NAMED);
        self.faults.extend(unknown.map(|field| Fault::new("unknown", "is not a field of this request", field)));
        self.faults
    }
}

/// `#/field`: escaped as RFC 6901 asks, and then once more to stand in a URI.
fn pointer(field: &str) -> String {
    let mut pointer = "#/".to_owned();
    for byte in field.replace('~', "~0").replace('/', "~1").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            pointer.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(pointer, "%{byte:02X}").ok();
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_escaped() {
        assert_eq!(pointer("email"), "#/email");
        assert_eq!(pointer("a/b~c d"), "#/a~1b~0c%20d");
        assert_eq!(pointer("ä\"\n"), "#/%C3%A4%22%0A");
    }

    #[test]
    fn only_some_unknown_fields_are_named() {
        let object = (0..1000).map(|n| (format!("field{n}"), Value::Null)).collect();
        assert_eq!(Fields::of(object).into_faults().len(), MAX_NAMED);
    }
}
