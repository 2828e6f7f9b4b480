//! The users, and what can be done to them. Every refusal is the answer that Keycloak gives.

use std::collections::{BTreeMap, HashMap};

use super::{
    Account, Answer, Mail,
    rules::{account_of, is_action},
};

#[derive(Default)]
pub(super) struct Accounts {
    /// In the order in which they came.
    numbered: BTreeMap<usize, Account>,
    came: usize,
    /// Their numbers by id, by username and by address.
    ids: HashMap<String, usize>,
    usernames: HashMap<String, usize>,
    addresses: HashMap<String, usize>,
    /// By id.
    mails: HashMap<String, Vec<Mail>>,
}

impl Accounts {
    pub(super) fn all(&self) -> Vec<Account> {
        self.numbered.values().cloned().collect()
    }

    /// Returns the id.
    pub(super) fn create(&mut self, body: &str) -> Result<String, Answer> {
        let account = account_of(body)?;
        if self.usernames.contains_key(&account.username) {
            return Err(Answer::refused(409, "User exists with same username"));
        }
        if account.email.as_ref().is_some_and(|email| self.addresses.contains_key(email)) {
            return Err(Answer::refused(409, "User exists with same email"));
        }
        let id = account.id.clone();
        self.came += 1;
        self.ids.insert(id.clone(), self.came);
        self.usernames.insert(account.username.clone(), self.came);
        self.addresses.extend(account.email.clone().map(|email| (email, self.came)));
        self.numbered.insert(self.came, account);
        Ok(id)
    }

    pub(super) fn get(&self, id: &str) -> Result<&Account, Answer> {
        self.ids.get(id).and_then(|number| self.numbered.get(number)).ok_or_else(not_found)
    }

    pub(super) fn by_username(&self, username: &str) -> Option<Account> {
        self.numbered.get(self.usernames.get(&username.to_lowercase())?).cloned()
    }

    pub(super) fn confirm_address(&mut self, username: &str) {
        let account = self.usernames.get(username).and_then(|number| self.numbered.get_mut(number));
        let account = account.expect("an account");
        account.email_verified = true;
        account.required_actions.retain(|action| action != "VERIFY_EMAIL");
    }

    pub(super) fn change_address(&mut self, username: &str, email: &str) {
        let number = self.usernames[username];
        let account = self.numbered.get_mut(&number).expect("an account");
        let before = account.email.replace(email.to_owned());
        before.and_then(|before| self.addresses.remove(&before));
        self.addresses.insert(email.to_owned(), number);
    }

    /// Without `exact` a part of the name is enough, as it is in Keycloak.
    pub(super) fn search(&self, username: Option<&str>, email: Option<&str>, exact: bool) -> Vec<Account> {
        let fits = |value: &str, wanted: Option<&str>| {
            wanted.map(str::to_lowercase).is_none_or(
                |wanted| {
                    if exact { value == wanted } else { value.contains(&wanted) }
                },
            )
        };
        let is_meant = |account: &&Account| {
            fits(&account.username, username) && fits(account.email.as_deref().unwrap_or_default(), email)
        };
        self.numbered.values().filter(is_meant).cloned().collect()
    }

    pub(super) fn delete(&mut self, id: &str) -> Result<(), Answer> {
        let number = self.ids.remove(id).ok_or_else(not_found)?;
        let account = self.numbered.remove(&number).ok_or_else(not_found)?;
        self.usernames.remove(&account.username);
        if let Some(email) = &account.email {
            self.addresses.remove(email);
        }
        Ok(())
    }

    /// `client` is the only one there is, and `redirects` begins every address that it may lead back to.
    pub(super) fn send_mail(&mut self, id: &str, mail: Mail, client: &str, redirects: &str) -> Result<(), Answer> {
        self.can_be_led(id)?;
        valid(&mail, client, redirects)?;
        self.mails.entry(id.to_owned()).or_default().push(mail);
        Ok(())
    }

    /// What the provider of `deploy/keycloak/action-link` asks for beyond what a mail must have.
    pub(super) fn hand_out_link(&self, id: &str, link: &Mail, client: &str, redirects: &str) -> Result<(), Answer> {
        self.can_be_led(id)?;
        if link.client_id.is_none() {
            return Err(Answer::refused(400, "Client id missing"));
        }
        valid(link, client, redirects)?;
        if link.actions.is_empty() {
            return Err(Answer::refused(400, "Provided invalid required actions"));
        }
        let lifespan = link.lifespan.is_none_or(|seconds| (60..=30 * 24 * 3600).contains(&seconds));
        if lifespan { Ok(()) } else { Err(Answer::refused(400, "Invalid lifespan")) }
    }

    fn can_be_led(&self, id: &str) -> Result<(), Answer> {
        let account = self.get(id)?;
        if account.email.is_none() {
            return Err(Answer::refused(400, "User email missing"));
        }
        if account.enabled { Ok(()) } else { Err(Answer::refused(400, "User is disabled")) }
    }

    pub(super) fn mails_to(&self, username: &str) -> Vec<Mail> {
        let account = self.by_username(username);
        account.and_then(|account| self.mails.get(&account.id)).cloned().unwrap_or_default()
    }
}

fn valid(mail: &Mail, client: &str, redirects: &str) -> Result<(), Answer> {
    if mail.redirect_uri.is_some() && mail.client_id.is_none() {
        return Err(Answer::refused(400, "Client id missing"));
    }
    if mail.actions.iter().any(|alias| !is_action(alias)) {
        return Err(Answer::refused(400, "Provided invalid required actions"));
    }
    if mail.client_id.as_deref().is_some_and(|id| id != client) {
        return Err(Answer::refused(400, "Client doesn't exist"));
    }
    if mail.redirect_uri.as_deref().is_some_and(|uri| !uri.starts_with(redirects)) {
        return Err(Answer::refused(400, "Invalid redirect uri."));
    }
    Ok(())
}

fn not_found() -> Answer {
    Answer::error(404, "User not found")
}
