//! Keycloak's pages behind the link of a set-up mail, as a browser without scripts walks through them.

use std::collections::BTreeMap;

use reqwest::{
    Client, RequestBuilder, Response,
    header::{COOKIE, LOCATION, SET_COOKIE},
    redirect::Policy,
};

use super::keycloak_access::KeycloakAccess;

/// As a person who has got the mail: follows the link and sets a password.
pub async fn set_password(link: &str, password: &str) {
    PasswordForm::open(link).await.send(password).await;
}

/// Open before a person who has followed the link.
pub struct PasswordForm {
    visitor: Visitor,
    action: String,
}

impl PasswordForm {
    pub async fn open(link: &str) -> Self {
        let mut visitor = Visitor::default();
        let told = visitor.open(link).await;
        let page = visitor.open(&attribute(&told, "id=\"kc-info-message\"", "href")).await;
        Self { visitor, action: attribute(&page, "id=\"kc-passwd-update-form\"", "action") }
    }

    pub async fn send(mut self, password: &str) {
        let form = [("password-new", password), ("password-confirm", password)];
        let sent = self.visitor.http.post(self.action).form(&form);
        let told = self.visitor.land(sent).await;
        assert!(told.contains("Your account has been updated"), "{told}");
    }
}

/// Open before a person who has logged in on Keycloak's own page.
pub struct BegunLogin {
    visitor: Visitor,
    /// As it was shown last.
    pub page: String,
    url: String,
}

impl BegunLogin {
    pub async fn with(keycloak: &KeycloakAccess, username: &str, password: &str) -> Self {
        let mut visitor = Visitor::default();
        let query = [
            ("client_id", keycloak.client_id.as_str()),
            ("redirect_uri", &keycloak.redirect_uri),
            ("response_type", "code"),
            ("scope", "openid"),
        ];
        let url = format!("{}/protocol/openid-connect/auth", keycloak.issuer());
        let page = visitor.land(visitor.http.get(url).query(&query)).await;
        let action = attribute(&page, "id=\"kc-form-login\"", "action");
        let login = visitor.http.post(action).form(&[("username", username), ("password", password)]);
        let answer = visitor.follow(login).await;
        let url = answer.url().to_string();
        Self { page: answer.text().await.expect("a page is text"), visitor, url }
    }

    /// Looks whether it goes on by now.
    pub async fn reload(&mut self) {
        let answer = self.visitor.follow(self.visitor.http.get(&self.url)).await;
        self.url = answer.url().to_string();
        self.page = answer.text().await.expect("a page is text");
    }

    /// Whether Keycloak has led back to who asked for the login, with a code to fetch tokens by.
    pub fn is_let_in(&self) -> bool {
        self.url.contains("code=")
    }
}

/// As a person who chose a password before: follows the link, and says that the address is right.
pub async fn confirm_address(link: &str) {
    let mut visitor = Visitor::default();
    let told = visitor.open(link).await;
    let told = visitor.open(&attribute(&told, "id=\"kc-info-message\"", "href")).await;
    assert!(told.contains("kc-info-message"), "{told}");
}

struct Visitor {
    http: Client,
    cookies: BTreeMap<String, String>,
}

impl Default for Visitor {
    fn default() -> Self {
        let http = Client::builder().no_proxy().tls_certs_only([]).redirect(Policy::none()).build();
        Self { http: http.expect("an HTTP client"), cookies: BTreeMap::new() }
    }
}

impl Visitor {
    async fn open(&mut self, url: &str) -> String {
        self.land(self.http.get(url)).await
    }

    async fn land(&mut self, request: RequestBuilder) -> String {
        self.follow(request).await.text().await.expect("a page is text")
    }

    /// Follows wherever the answer leads, with the cookies that were handed out on the way.
    async fn follow(&mut self, request: RequestBuilder) -> Response {
        let mut answer = self.send(request).await;
        while let Some(target) = answer.headers().get(LOCATION) {
            let target = target.to_str().expect("an address is ASCII");
            let target = answer.url().join(target).expect("an address");
            answer = self.send(self.http.get(target)).await;
        }
        answer
    }

    async fn send(&mut self, request: RequestBuilder) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header(COOKIE, cookies.join("; ")).send().await.expect("Keycloak answers");
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().expect("a cookie is ASCII").split(';').next().unwrap_or_default();
            let (name, value) = cookie.split_once('=').expect("a cookie has a name");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

/// The first attribute of this name behind the mark.
fn attribute(page: &str, mark: &str, name: &str) -> String {
    let behind = page.find(mark).map(|start| &page[start..]);
    let value =
        behind.and_then(|page| page.split(&format!("{name}=\"")).nth(1)).and_then(|rest| rest.split('"').next());
    value.unwrap_or_else(|| panic!("no {name} behind {mark} in {page}")).replace("&amp;", "&")
}
