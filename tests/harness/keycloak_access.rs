//! Where a Keycloak is, and by which clients it is entered: the real one and the fake are given to the application, and
//! to the contract tests, in the same way.

#[derive(Clone, Debug)]
pub struct KeycloakAccess {
    /// The server's, without the realm.
    pub url: String,
    pub realm: String,
    /// The client that people log in with; set-up mails bear its name.
    pub client_id: String,
    pub client_secret: String,
    /// The worker's service account.
    pub admin_client_id: String,
    pub admin_client_secret: String,
    /// One that the login client allows.
    pub redirect_uri: String,
}

impl KeycloakAccess {
    pub fn issuer(&self) -> String {
        format!("{}/realms/{}", self.url, self.realm)
    }

    pub fn token_url(&self) -> String {
        format!("{}/protocol/openid-connect/token", self.issuer())
    }

    pub fn users_url(&self) -> String {
        format!("{}/admin/realms/{}/users", self.url, self.realm)
    }
}
