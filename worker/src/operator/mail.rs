//! `usher-worker mail`

use std::path::PathBuf;

use clap::Subcommand;
use shared::config::Environment;

use super::answer;
use crate::{
    config::mail::MailSection,
    mailer::{
        preview,
        template::{Template, Variables},
    },
};

#[derive(Subcommand)]
pub enum Command {
    /// Write the mails, filled in with a sample, as files to look at
    Preview {
        /// The mail; all that there are by default
        #[arg(long)]
        template: Option<Template>,
        /// The language; all that there are by default
        #[arg(long)]
        locale: Option<String>,
        /// Where the files go
        #[arg(long, default_value = "mail-preview")]
        folder: PathBuf,
    },
}

impl Command {
    pub fn run(self) -> anyhow::Result<()> {
        let Self::Preview { template, locale, folder } = self;
        let mut environment = Environment::of_process();
        let text = MailSection::preview(&mut environment);
        let (text, lifespan) = environment.finish(text)?;
        let variables = Variables::sample(&text.product, lifespan);
        let files = preview::write(&text.templates, template, &variables, locale.as_deref(), &folder)?;
        let text = files.iter().fold(String::new(), |text, file| text + &format!("{}\n", file.display()));
        answer::write(&text).map(drop)
    }
}
