//! Everything that a whole journey passes: a database, a vhost, a realm and a mail server of the run's own.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{
    Database, Ground, NAME, Vhost,
    mail_sink::MailSink,
    realm::{REDIRECT, Realm},
};

pub(crate) struct Scene {
    pub(crate) database: Database,
    pub(crate) vhost: Vhost,
    pub(crate) mails: MailSink,
    pub(crate) realm: Realm,
}

impl Scene {
    pub(crate) async fn set(ground: &Ground) -> Result<Self> {
        Self::named(ground, NAME).await
    }

    /// Another one beside it.
    pub(crate) async fn second(ground: &Ground) -> Result<Self> {
        Self::named(ground, &format!("{NAME}_2")).await
    }

    async fn named(ground: &Ground, name: &str) -> Result<Self> {
        let (settings, mails) = (&ground.settings, MailSink::start().await?);
        Ok(Self {
            database: Database::named(&settings.database_url, name).await?,
            vhost: Vhost::named(&settings.rabbitmq_management_url, &settings.amqp_url, name).await?,
            realm: Realm::fresh(settings, name, mails.port).await?,
            mails,
        })
    }

    /// What api and worker are told in it.
    pub(crate) fn settings(&self, ground: &Ground) -> BTreeMap<String, String> {
        let mut settings = ground.settings.of_usher(&self.database.url, &self.vhost.url);
        settings.extend(
            [("KEYCLOAK_REALM", &*self.realm.name), ("MAIL_REDIRECT_URI", REDIRECT)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        settings
    }

    /// The same with mails of our own.
    pub(crate) fn by_smtp(&self, ground: &Ground) -> BTreeMap<String, String> {
        let mut settings = self.settings(ground);
        let port = self.mails.port.to_string();
        let smtp = [
            ("MAIL_VIA", "smtp"),
            ("MAIL_FROM", "no-reply@usher.test"),
            ("SMTP_HOST", "127.0.0.1"),
            ("SMTP_PORT", &port),
            ("SMTP_TLS", "none"),
        ];
        settings.extend(smtp.map(|(name, value)| (name.to_owned(), value.to_owned())));
        settings
    }

    pub(crate) async fn remove(self) -> Result<()> {
        self.realm.remove().await?;
        self.vhost.remove().await?;
        self.database.remove().await
    }
}
