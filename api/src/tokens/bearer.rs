//! The token that a caller shows: in the header `Authorization` and nowhere else, since addresses end up in logs.

use axum::http::{HeaderMap, header::AUTHORIZATION};
use secrecy::SecretString;

use super::error::AuthError;

/// Reads `Authorization: Bearer …` (RFC 6750, section 2.1). Another scheme is none of ours: no token was shown.
pub fn token(headers: &HeaderMap) -> Result<SecretString, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthError::MissingToken)?;
    if values.next().is_some() {
        return Err(AuthError::MalformedHeader);
    }
    let value = value.to_str().map_err(|_not_ascii| AuthError::MalformedHeader)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(AuthError::MissingToken);
    }
    let token = token.trim_matches(' ');
    if is_b64token(token) { Ok(token.into()) } else { Err(AuthError::MalformedHeader) }
}

/// `b64token`: some of these characters, then perhaps equals signs.
fn is_b64token(token: &str) -> bool {
    let digits = token.trim_end_matches('=');
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn of(values: &[&'static str]) -> Result<String, &'static str> {
        let headers = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value)));
        let token = token(&headers.collect::<HeaderMap>());
        token.map(|token| token.expose_secret().to_owned()).map_err(|error| error.kind().1)
    }

    #[test]
    fn one_bearer_token_is_taken() {
        assert_eq!(of(&["Bearer a.b-c_d~e+f/g=="]), Ok("a.b-c_d~e+f/g==".to_owned()));
        assert_eq!(of(&["bearer  a.b.c"]), Ok("a.b.c".to_owned()));
    }

    #[test]
    fn no_token_and_a_broken_header_are_told_apart() {
        for (values, code) in [
            (&[][..], "token_required"),
            (&["Basic dXNlcjpwYXNz"], "token_required"),
            (&["Bearer"], "invalid_request"),
            (&["Bearer "], "invalid_request"),
            (&["Bearer ="], "invalid_request"),
            (&["Bearer a b"], "invalid_request"),
            (&["Bearer a,b"], "invalid_request"),
            (&["Bearer a", "Bearer b"], "invalid_request"),
        ] {
            assert_eq!(of(values), Err(code), "{values:?}");
        }
    }
}
