//! What becomes of a request: written down, perhaps stopped, perhaps hit by a fault, perhaps answered.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::Utc;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Account, Answer, Endpoint, Fault, Mail, Request, accounts::Accounts, fault::Faults, gate::Gates, tokens::Tokens,
};
use crate::harness::keycloak_access::KeycloakAccess;

pub(super) struct Service {
    access: KeycloakAccess,
    accounts: Mutex<Accounts>,
    tokens: Mutex<Tokens>,
    faults: Mutex<Faults>,
    gates: Mutex<Gates>,
    requests: Mutex<Vec<Request>>,
    /// How many are being answered.
    crowds: Mutex<HashMap<Endpoint, usize>>,
    /// JWKs.
    keys: Mutex<Vec<Value>>,
}

impl Service {
    pub(super) fn new(access: KeycloakAccess) -> Self {
        Self {
            access,
            accounts: Mutex::default(),
            tokens: Mutex::default(),
            faults: Mutex::default(),
            gates: Mutex::default(),
            requests: Mutex::default(),
            crowds: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    pub(super) fn accounts(&self) -> MutexGuard<'_, Accounts> {
        locked(&self.accounts)
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        locked(&self.tokens)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        locked(&self.faults)
    }

    pub(super) fn gates(&self) -> MutexGuard<'_, Gates> {
        locked(&self.gates)
    }

    pub(super) fn keys(&self) -> MutexGuard<'_, Vec<Value>> {
        locked(&self.keys)
    }

    pub(super) fn requests(&self, endpoint: Endpoint) -> Vec<Request> {
        locked(&self.requests).iter().filter(|request| request.endpoint == endpoint).cloned().collect()
    }

    pub(super) fn count(&self, endpoint: Endpoint) -> usize {
        locked(&self.requests).iter().filter(|request| request.endpoint == endpoint).count()
    }

    /// `None`: the connection ends without an answer.
    pub(super) async fn answer(&self, mut request: Request) -> Option<Answer> {
        let _stay = self.enter(&mut request);
        locked(&self.requests).push(request.clone());
        let before_effect = self.gates().stop_before_effect(request.endpoint);
        before_effect.wait().await;

        let username = self.username_in(&request);
        let fault = self.faults().meet(&request, username.as_deref());
        match &fault {
            Some(Fault::Status(answer)) => return Some(answer.clone()),
            Some(Fault::DropBeforeEffect) => return None,
            Some(Fault::Hang) => pending().await,
            // The delay is the fault itself; nobody waits for anything here.
            Some(Fault::Delay(delay)) => sleep(*delay).await,
            Some(Fault::DropAfterEffect) | None => {}
        }
        let answer = self.effect(&request).unwrap_or_else(|refusal| refusal);

        let before_answer = self.gates().stop_before_answer(request.endpoint);
        before_answer.wait().await;
        (!matches!(fault, Some(Fault::DropAfterEffect))).then_some(answer)
    }

    fn enter(&self, request: &mut Request) -> Stay<'_> {
        let mut crowds = locked(&self.crowds);
        let crowd = crowds.entry(request.endpoint).or_default();
        *crowd += 1;
        request.at_once = *crowd;
        Stay { crowds: &self.crowds, endpoint: request.endpoint }
    }

    fn effect(&self, request: &Request) -> Result<Answer, Answer> {
        match request.endpoint {
            Endpoint::Token => return self.token(request),
            Endpoint::Keys => return Ok(Answer::new(200).json(json!({ "keys": *self.keys() }))),
            // It has handed out none that it could know.
            Endpoint::Introspect => return Ok(Answer::new(200).json(json!({ "active": false }))),
            _ => {}
        }
        self.admit(request)?;
        let id = request.user_id.as_deref().unwrap_or_default();
        match request.endpoint {
            Endpoint::CreateUser => self.create_user(request),
            Endpoint::FindUser => Ok(self.find_user(request)),
            Endpoint::ReadUser => Ok(Answer::new(200).json(self.accounts().get(id)?.representation())),
            Endpoint::SendMail => self.send_mail(id, request, serde_json::from_str(&request.body).unwrap_or_default()),
            Endpoint::SendVerification => self.send_mail(id, request, vec!["VERIFY_EMAIL".to_owned()]),
            Endpoint::ActionLink => self.action_link(request),
            Endpoint::DeleteUser => self.accounts().delete(id).map(|()| Answer::new(204)),
            Endpoint::Token | Endpoint::Keys | Endpoint::Introspect | Endpoint::Unknown => {
                Err(Answer::error(404, "Unable to find matching target resource method"))
            }
        }
    }

    fn token(&self, request: &Request) -> Result<Answer, Answer> {
        if request.realm != self.access.realm {
            return Err(Answer::error(404, "Realm does not exist"));
        }
        let refuse = |error: &str, description: &str| {
            Answer::new(401).json(json!({ "error": error, "error_description": description }))
        };
        let (client, secret) = request.credentials();
        if client != self.access.admin_client_id {
            return Err(refuse("invalid_client", "Invalid client or Invalid client credentials"));
        }
        if secret != self.access.admin_client_secret {
            return Err(refuse("unauthorized_client", "Invalid client or Invalid client credentials"));
        }
        Ok(self.tokens().issue())
    }

    fn admit(&self, request: &Request) -> Result<(), Answer> {
        if !request.bearer.as_deref().is_some_and(|token| self.tokens().is_good(token)) {
            return Err(Answer::error(401, "HTTP 401 Unauthorized"));
        }
        if request.realm != self.access.realm {
            return Err(Answer::error(404, "Realm not found."));
        }
        Ok(())
    }

    fn create_user(&self, request: &Request) -> Result<Answer, Answer> {
        let id = self.accounts().create(&request.body)?;
        // Keycloak names itself as the request named it.
        let location = format!("http://{}/admin/realms/{}/users/{id}", request.host, request.realm);
        Ok(Answer::new(201).header("location", &location))
    }

    fn find_user(&self, request: &Request) -> Answer {
        let query = |name: &str| request.query.get(name).map(String::as_str);
        let found = self.accounts().search(query("username"), query("email"), query("exact") == Some("true"));
        let show = match query("briefRepresentation") {
            Some("true") => Account::brief_representation,
            _ => Account::representation,
        };
        let limit = query("max").and_then(|max| max.parse().ok()).unwrap_or(100);
        let found: Vec<Value> = found.iter().map(show).take(limit).collect();
        Answer::new(200).json(json!(found))
    }

    fn send_mail(&self, id: &str, request: &Request, actions: Vec<String>) -> Result<Answer, Answer> {
        let query = |name: &str| request.query.get(name).cloned();
        let mail = Mail {
            actions,
            client_id: query("client_id"),
            redirect_uri: query("redirect_uri"),
            lifespan: query("lifespan").and_then(|seconds| seconds.parse().ok()),
        };
        let redirects = self.access.redirect_uri.trim_end_matches("welcome");
        self.accounts().send_mail(id, mail, &self.access.client_id, redirects)?;
        Ok(Answer::new(204))
    }

    /// The link leads nowhere.
    fn action_link(&self, request: &Request) -> Result<Answer, Answer> {
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let id = body["userId"].as_str().ok_or_else(|| Answer::refused(400, "User id missing"))?.to_owned();
        let asked: Mail = serde_json::from_value(body).map_err(|_| Answer::error(400, "unknown_error"))?;
        let redirects = self.access.redirect_uri.trim_end_matches("welcome");
        self.accounts().hand_out_link(&id, &asked, &self.access.client_id, redirects)?;
        let email = self.accounts().get(&id)?.email.clone();
        let link = format!("{}/login-actions/action-token?key={id}", self.access.issuer());
        let expiration = Utc::now().timestamp() + asked.lifespan.unwrap_or(43_200);
        Ok(Answer::new(200).json(json!({ "link": link, "expiration": expiration, "email": email })))
    }

    /// Whom a request is about, as far as it says so.
    fn username_in(&self, request: &Request) -> Option<String> {
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        if let Some(id) = request.user_id.as_deref().or_else(|| body["userId"].as_str()) {
            return self.accounts().get(id).ok().map(|account| account.username.clone());
        }
        body["username"].as_str().map(str::to_owned).or_else(|| request.query.get("username").cloned())
    }
}

/// From a request to its answer.
struct Stay<'a> {
    crowds: &'a Mutex<HashMap<Endpoint, usize>>,
    endpoint: Endpoint,
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        if let Some(crowd) = locked(self.crowds).get_mut(&self.endpoint) {
            *crowd -= 1;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
