//! `/openapi.json` and the Swagger UI at `/docs`, both from inside the binary.

use utoipa::{
    OpenApi,
    openapi::{
        self, LicenseBuilder, RefOr,
        security::{Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::users::REPLAYED;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Usher",
        description = "Registers users, and leads each of them safely into Keycloak.\n\n\
            A registration is committed before it is answered. The account in Keycloak and the mail with which the \
            person sets a password follow by themselves; `GET /users/{id}/status` says how far they are.\n\n\
            Errors are problem documents (RFC 9457): `code` is for programs and stable, `detail` is for people.",
    ),
    tags((name = "users", description = "Registering, and what became of it"), (name = "auth", description = "Tokens, made by Keycloak"),
        (name = "service", description = "What runs here")),
)]
struct Description;

/// Two ways to the same header: by hand, or by logging in, which Swagger's own page can do.
fn security_schemes() -> [(&'static str, SecurityScheme); 2] {
    let by_hand = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let by_hand = by_hand.description(Some("An access token from `POST /auth/token`"));
    let log_in = Flow::Password(Password::new("/auth/token", Scopes::new()));
    let log_in = OAuth2::with_description([log_in], "Username and password; leave the client empty");
    [("bearer", SecurityScheme::Http(by_hand.build())), ("password", SecurityScheme::OAuth2(log_in))]
}

/// A router that collects the descriptions of the handlers put into it.
pub fn described<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    let mut description = Description::openapi();
    description.info.license =
        Some(LicenseBuilder::new().name("MIT").identifier(Some(env!("CARGO_PKG_LICENSE"))).build());
    let components = description.components.get_or_insert_default();
    components.security_schemes.extend(security_schemes().map(|(name, scheme)| (name.to_owned(), scheme.into())));
    OpenApiRouter::with_openapi(description)
}

/// Every header that is described is on every answer with its status, except the one that marks a repetition.
/// [`openapi::Header`] has no field for that.
pub fn promise_headers(document: &mut openapi::OpenApi) {
    let operations = document.paths.paths.values_mut().flat_map(|item| [item.get.as_mut(), item.post.as_mut()]);
    let answers = operations.flatten().flat_map(|operation| operation.responses.responses.values_mut());
    let headers = answers.filter_map(described_here).flat_map(|answer| &mut answer.headers);
    let promised = headers.filter(|(name, _)| REPLAYED.as_str() != name.to_ascii_lowercase());
    for header in promised.filter_map(|(_name, header)| described_here(header)) {
        header.extensions = Some([("required", true)].into_iter().collect());
    }
}

fn described_here<T>(item: &mut RefOr<T>) -> Option<&mut T> {
    match item {
        RefOr::T(item) => Some(item),
        RefOr::Ref(_) => None,
    }
}

/// The page, with the description it shows. Without the badge of an outside validator, which would be told this address.
pub fn swagger(document: openapi::OpenApi) -> SwaggerUi {
    SwaggerUi::new("/docs").url("/openapi.json", document).config(Config::default().validator_url("none"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::routes;

    fn document() -> Value {
        serde_json::to_value(routes::openapi()).unwrap()
    }

    #[test]
    fn every_operation_is_described_with_its_errors() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        let register = &document["paths"]["/users/register"]["post"];
        for status in ["201", "400", "409", "413", "415", "422", "503"] {
            assert!(register["responses"][status].is_object(), "{status}");
        }
        let status = &document["paths"]["/users/{id}/status"]["get"];
        for code in ["200", "404", "503"] {
            assert!(status["responses"][code].is_object(), "{code}");
        }
    }

    #[test]
    fn a_header_is_promised_unless_it_marks_a_repetition() {
        let document = document();
        let headers = &document["paths"]["/users/register"]["post"]["responses"]["201"]["headers"];
        assert_eq!(headers["Location"]["required"], true);
        assert!(headers["Idempotent-Replayed"]["required"].is_null());
        let headers = &document["paths"]["/version"]["get"]["responses"]["503"]["headers"];
        assert_eq!(headers["Retry-After"]["required"], true);
    }

    #[test]
    fn the_examples_are_real() {
        let document = document();
        let responses = &document["paths"]["/users/register"]["post"]["responses"];
        let taken = &responses["409"]["content"]["application/problem+json"]["example"];
        assert_eq!(taken["code"], "username_taken");
        assert_eq!(taken["errors"][0]["pointer"], "#/username");
        let schema = &document["components"]["schemas"]["RegisterRequest"];
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"].as_array().unwrap().len(), 4);
    }
}
