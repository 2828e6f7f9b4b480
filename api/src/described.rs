//! The rules of `shared::domain` in the words of JSON Schema. `tests/rules/` holds them to the same examples.

use shared::domain::{
    email::EmailAddress, examples::Examples, locale::Locale, name::PersonName, password::Password, username::Username,
};
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

pub fn username() -> Object {
    text("3 to 64 letters a to z, digits, dots, hyphens and underscores; begins and ends with a letter or a digit, and not with service-account-. Upper case is lowered.")
        .min_length(Some(3))
        .max_length(Some(64))
        .pattern(Some("^(?![Ss][Ee][Rr][Vv][Ii][Cc][Ee]-[Aa][Cc][Cc][Oo][Uu][Nn][Tt]-)[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]$"))
        .examples(of(&Username::EXAMPLES))
        .build()
}

/// Without `format`: about what an address is, validators do not agree, and with white space around it is none.
pub fn email() -> Object {
    text("An ASCII address at a domain name with a dot. White space around it is dropped.")
        .max_length(Some(254))
        .pattern(Some(format!("^[{BLANK}{BREAK}]*{EMAIL}[{BLANK}{BREAK}]*$")))
        .examples(of(&EmailAddress::EXAMPLES))
        .build()
}

pub fn name() -> Object {
    text(
        "Any script; without control characters, invisible ones and `< > & \" $ % ! # ? § ; * ~ / \\ | ^ = [ ] { } ( )`. \
         Joiners (U+200C, U+200D) may stand between two characters of U+0620 to U+0DFF. White space around it is \
         dropped; kept in normal form C.",
    )
    .min_length(Some(1))
    .max_length(Some(100))
    .pattern(Some(format!(
        "^(?!{BEYOND})[{BLANK}{BREAK}]*(?![{BLANK}]){any}+[{BLANK}{BREAK}]*$",
        any = any_of_a_name()
    )))
    .examples(of(&PersonName::EXAMPLES))
    .build()
}

pub fn locale() -> Object {
    text("A language tag (RFC 5646), such as de or pt-BR, for the language of the mails; another one if they are not written in it.")
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .pattern(Some("^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}$"))
        .examples(of(&Locale::EXAMPLES))
        .build()
}

/// By the default rules; that it must be neither the username nor the address, no pattern can say.
pub fn password() -> Object {
    let no_control = "[^\\x00-\\x1f\\x7f-\\x9f]";
    let has = |class: &str| format!("(?={no_control}*[{class}])");
    let classes: String = ["a-z", "A-Z", "0-9", "@$!%*#?&."].into_iter().map(has).collect();
    text(
        "Where passwords are taken at the registration: it is valid once the address is confirmed. Has a lower-case \
          letter, an upper-case one, a digit and one of `@$!%*#?&.`; is neither the username nor the address.",
    )
    .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
    .min_length(Some(8))
    .max_length(Some(128))
    .pattern(Some(format!("^{classes}{no_control}*$")))
    .examples(of(&Password::EXAMPLES))
    .build()
}

/// A character of a name, with the joiner that may follow it.
fn any_of_a_name() -> String {
    format!("([^{PROHIBITED}]|{JOINED}[\\u200c\\u200d](?={JOINED}))")
}

const JOINED: &str = "[\\u0620-\\u0dff]";

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn of<E>(examples: &Examples<E>) -> Vec<&'static str> {
    let kept = examples.accepted.iter().filter(|(typed, kept)| typed == kept).map(|(_typed, kept)| *kept);
    kept.take(3).collect()
}

/// A dot-atom of at most 64, and labels of which the last has a letter. What must not follow is said, rather than what
/// must: programs that make texts up from a pattern can leave the former out.
const EMAIL: &str = "(?![^@]{65})[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\
    @([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+(?![0-9-]+([^0-9A-Za-z-]|$))[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]";

/// White space that is no control character; dialects do not agree about `\s`.
const BLANK: &str = " \\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000";

/// The other white space.
const BREAK: &str = "\\x09-\\x0d\\x85\\u2028\\u2029";

/// Inside of a class. Escapes that every dialect knows; what lies beyond four digits stands for itself.
const PROHIBITED: &str = "\\x00-\\x1f\\x7f-\\x9f<>&\"$%!#?\u{A7};*~/\\\\|\\^=\\[\\]{}()\\u00ad\\u034f\\u061c\\u115f\
    \\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ue000-\\uf8ff\
    \\ufdd0-\\ufdef\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff\u{1BCA0}-\u{1BCA3}\u{1D173}-\u{1D17A}\
    \u{1FFFE}\u{1FFFF}\u{2FFFE}\u{2FFFF}\u{3FFFE}\u{3FFFF}\u{4FFFE}\u{4FFFF}\u{5FFFE}\u{5FFFF}\u{6FFFE}\u{6FFFF}\
    \u{7FFFE}\u{7FFFF}\u{8FFFE}\u{8FFFF}\u{9FFFE}\u{9FFFF}\u{AFFFE}\u{AFFFF}\u{BFFFE}\u{BFFFF}\u{CFFFE}\u{CFFFF}\
    \u{DFFFE}\u{DFFFF}";

/// A character of the last planes, tags and private ones, anywhere. Apart from the class, which programs that make texts
/// up spell out: here are 131,072 more.
const BEYOND: &str = "[\\s\\S]*[\u{E0000}-\u{10FFFF}]";
