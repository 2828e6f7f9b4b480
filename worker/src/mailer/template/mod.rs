//! What the mail says, in the languages there are: `worker/templates/`, or a folder of the operator's own.
//!
//! [`sources`] finds the files, [`variables`] is what they can name. All of it is filled in once at the start, so that
//! a fault in a template is told there and not with the first mail.

mod sources;
mod variables;

use std::{collections::BTreeSet, fmt, path::Path, time::Duration};

use clap::ValueEnum;
use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;

use crate::keycloak::users::Purpose;

pub use variables::{Lifespan, Variables};

/// The mails there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Template {
    PasswordSetup,
    EmailVerification,
}

impl Template {
    pub const ALL: [Self; 2] = [Self::PasswordSetup, Self::EmailVerification];

    pub fn name(self) -> &'static str {
        match self {
            Self::PasswordSetup => "password_setup",
            Self::EmailVerification => "email_verification",
        }
    }

    fn file(self, part: Part) -> String {
        format!("{}.{}", self.name(), part.0)
    }
}

impl From<Purpose> for Template {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::PasswordSetup => Self::PasswordSetup,
            Purpose::EmailVerification => Self::EmailVerification,
        }
    }
}

/// By how its file's name ends.
#[derive(Clone, Copy)]
struct Part(&'static str);

const SUBJECT: Part = Part("subject.txt");
const TEXT: Part = Part("txt");
const HTML: Part = Part("html");

/// Read once, and filled in for each mail.
pub struct Templates {
    environment: Environment<'static>,
    locales: BTreeSet<String>,
    /// For whom none of the others is.
    fallback: String,
}

/// A mail's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    pub subject: String,
    pub text: String,
    pub html: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("the folder {folder} cannot be read")]
    Folder {
        folder: String,
        #[source]
        source: std::io::Error,
    },
    #[error("there are no templates for the language {locale}")]
    NoLocale { locale: String },
    #[error("the template {name} cannot be read")]
    Unreadable {
        name: String,
        #[source]
        source: minijinja::Error,
    },
    #[error("the template {name} cannot be filled in")]
    Broken {
        name: String,
        #[source]
        source: minijinja::Error,
    },
    #[error("the template {name} leaves out {what}")]
    Lacks { name: String, what: &'static str },
}

#[derive(Serialize)]
struct Context<'a> {
    locale: &'a str,
    #[serde(flatten)]
    variables: &'a Variables<'a>,
}

impl Templates {
    /// Those of the program, with the files of `folder` in their places. Every one is filled in once, for links that
    /// work for `lifespan` and for others.
    pub fn load(folder: Option<&Path>, fallback: &str, lifespan: Duration) -> Result<Self, TemplateError> {
        let mut sources = sources::embedded();
        if let Some(folder) = folder {
            let own = sources::below(folder);
            let unreadable = |source| TemplateError::Folder { folder: folder.display().to_string(), source };
            sources.extend(own.map_err(unreadable)?);
        }
        let mut environment = Environment::new();
        // A variable that is misspelt is a fault, and not a gap in a mail.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let subjects = Template::ALL.map(|template| template.file(SUBJECT));
        let locale = |name: &'_ str| {
            subjects.iter().find_map(|subject| Some(name.strip_suffix(subject)?.strip_suffix('/')?.to_owned()))
        };
        let locales = sources.keys().filter_map(|name| locale(name));
        let locales = locales.collect();
        for (name, source) in sources {
            let read = environment.add_template_owned(name.clone(), source);
            read.map_err(|source| TemplateError::Unreadable { name, source })?;
        }
        let templates = Self { environment, locales, fallback: fallback.to_owned() };
        templates.check(lifespan)?;
        Ok(templates)
    }

    /// The languages there are.
    pub fn locales(&self) -> impl Iterator<Item = &str> {
        self.locales.iter().map(String::as_str)
    }

    /// In the language that comes closest to `locale`, such as `de` for `de-at`.
    pub fn words(
        &self,
        template: Template,
        locale: Option<&str>,
        variables: &Variables<'_>,
    ) -> Result<Words, TemplateError> {
        let locale = self.closest(locale).unwrap_or(&self.fallback);
        let fill_in = |part| self.fill_in(format!("{locale}/{}", template.file(part)), locale, variables);
        Ok(Words { subject: fill_in(SUBJECT)?, text: fill_in(TEXT)?, html: fill_in(HTML)? })
    }

    /// The language there is that comes closest to `locale`.
    pub fn closest<'a>(&self, locale: Option<&'a str>) -> Option<&'a str> {
        let mut wanted = locale?;
        while !self.locales.contains(wanted) {
            (wanted, _) = wanted.rsplit_once('-')?;
        }
        Some(wanted)
    }

    /// What ends in `.html` is escaped.
    fn fill_in(&self, name: String, locale: &str, variables: &Variables<'_>) -> Result<String, TemplateError> {
        let template = self.environment.get_template(&name);
        let filled_in = template.and_then(|template| template.render(Serde(&Context { locale, variables })));
        filled_in.map_err(|source| TemplateError::Broken { name, source })
    }

    fn check(&self, lifespan: Duration) -> Result<(), TemplateError> {
        if !self.locales.contains(&self.fallback) {
            return Err(TemplateError::NoLocale { locale: self.fallback.clone() });
        }
        for (locale, template) in
            self.locales.iter().flat_map(|locale| Template::ALL.map(|template| (locale, template)))
        {
            for variables in Variables::samples(lifespan) {
                self.check_in(locale, template, &variables)?;
            }
        }
        Ok(())
    }

    fn check_in(&self, locale: &str, template: Template, variables: &Variables<'_>) -> Result<(), TemplateError> {
        let words = self.words(template, Some(locale), variables)?;
        let lacks = |part, what| Err(TemplateError::Lacks { name: format!("{locale}/{}", template.file(part)), what });
        if words.subject.trim().is_empty() {
            return lacks(SUBJECT, "the subject");
        }
        if !words.text.contains(variables.link) {
            return lacks(TEXT, "the link");
        }
        // Escaped in one way or another; what the link ends in has nothing to escape.
        let key = variables.link.rsplit('=').next().unwrap_or_default();
        if words.html.contains(key) { Ok(()) } else { lacks(HTML, "the link") }
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Templates");
        debug.field("locales", &self.locales).field("fallback", &self.fallback).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LIFESPAN: Duration = Duration::from_hours(12);

    fn words(templates: &Templates, locale: Option<&str>) -> Words {
        let sample = Variables::sample("Usher", LIFESPAN);
        templates.words(Template::PasswordSetup, locale, &sample).unwrap()
    }

    /// A folder with these files, and what it comes to.
    fn with(test: &str, files: &[(&str, &str)], fallback: &str) -> Result<Templates, String> {
        let folder = std::env::temp_dir().join(format!("usher-templates-{test}-{}", std::process::id()));
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let templates =
            Templates::load(Some(&folder), fallback, LIFESPAN).map_err(|error| shared::telemetry::chain(&error));
        fs::remove_dir_all(folder).unwrap();
        templates
    }

    #[test]
    fn every_language_says_what_it_must() {
        let templates = Templates::load(None, "en", LIFESPAN).unwrap();
        let expected = [
            ("de", "Passwort für Usher festlegen", "12 Stunden"),
            ("en", "Set your password for Usher", "12 hours"),
            ("es", "Elija su contraseña para Usher", "12 horas"),
            ("fr", "Choisissez votre mot de passe pour Usher", "12 heures"),
        ];
        assert_eq!(templates.locales().collect::<Vec<_>>(), expected.map(|(locale, ..)| locale));
        for (locale, subject, lifespan) in expected {
            let words = words(&templates, Some(locale));
            assert_eq!(words.subject, subject);
            assert!(words.text.contains(lifespan) && words.html.contains(lifespan), "{words:?}");
            assert!(words.text.contains("ada") && words.html.contains("<strong>ada</strong>"), "{words:?}");
            assert!(words.html.contains(&format!("lang=\"{locale}\"")), "{}", words.html);
            assert!(!words.html.contains("src=") && !words.html.contains("url("), "nothing comes from elsewhere");
        }
    }

    #[test]
    fn the_closest_language_is_taken() {
        let templates = Templates::load(None, "fr", LIFESPAN).unwrap();
        let subject = |locale| words(&templates, locale).subject;
        assert_eq!(subject(Some("de-at-1996")), subject(Some("de")));
        for other in [None, Some("tlh"), Some("den"), Some("")] {
            assert_eq!(subject(other), subject(Some("fr")), "{other:?}");
        }
    }

    #[test]
    fn what_was_typed_is_escaped_in_html_alone() {
        let templates = Templates::load(None, "en", LIFESPAN).unwrap();
        let sample = Variables::sample("Usher", LIFESPAN);
        let evil = Variables { username: "<b>&", product: "<i>", ..sample };
        let words = templates.words(Template::PasswordSetup, None, &evil).unwrap();
        assert!(words.text.contains("<b>&") && words.html.contains("&lt;b&gt;&amp;"), "{words:?}");
        assert!(!words.html.contains("<i>"), "{}", words.html);
    }

    #[test]
    fn a_folder_takes_the_place_of_single_files_and_adds_languages() {
        let dutch = [
            ("nl/password_setup.subject.txt", "Kies je wachtwoord"),
            ("nl/password_setup.txt", "{{ link }}"),
            ("nl/password_setup.html", "<a href=\"{{ link }}\">hier</a>"),
            ("nl/email_verification.subject.txt", "Bevestig je adres"),
            ("nl/email_verification.txt", "{{ link }}"),
            ("nl/email_verification.html", "<a href=\"{{ link }}\">hier</a>"),
            ("en/password_setup.subject.txt", "Welcome, {{ first_name }}"),
            ("README.md", "{{ not a template }}"),
        ];
        let templates = with("added", &dutch, "nl").unwrap();
        assert_eq!(words(&templates, None).subject, "Kies je wachtwoord");
        assert_eq!(words(&templates, Some("en")).subject, "Welcome, Ada");
        assert!(words(&templates, Some("en")).text.contains("12 hours"), "the others stay");
    }

    #[test]
    fn what_is_hidden_is_no_template() {
        let mounted = [
            ("..2026_11_28/en/password_setup.subject.txt", "Welcome"),
            ("en/password_setup.subject.txt", "Welcome"),
            ("en/.password_setup.txt", "{{ nonsense"),
        ];
        let templates = with("hidden", &mounted, "en").unwrap();
        assert_eq!(words(&templates, Some("en")).subject, "Welcome");
        assert_eq!(templates.locales().count(), 4);
    }

    #[test]
    fn a_template_that_would_leave_a_gap_is_refused() {
        for (test, file, text, fault) in [
            ("misspelt", "de/password_setup.txt", "{{ link }} {{ usrname }}", "undefined"),
            ("unreadable", "de/password_setup.txt", "{{ link", "de/password_setup.txt cannot be read"),
            ("empty", "de/password_setup.subject.txt", "\n", "leaves out the subject"),
            ("text", "de/password_setup.txt", "hello", "de/password_setup.txt leaves out the link"),
            ("html", "de/password_setup.html", "hello", "de/password_setup.html leaves out the link"),
            ("half", "nl/password_setup.subject.txt", "Hallo", "nl/password_setup.txt cannot be filled in"),
            ("unit", "de/lifespan.txt", "{{ {\"hours\": 1, \"days\": 2}[lifespan.unit] }}", "undefined"),
            ("number", "de/lifespan.txt", "{% if lifespan.number == 12 %}{{ dozen }}{% endif %}", "undefined"),
        ] {
            let error = with(test, &[(file, text)], "en").unwrap_err();
            assert!(error.contains(fault), "{test}: {error}");
        }
        assert!(Templates::load(None, "tlh", LIFESPAN).unwrap_err().to_string().contains("tlh"));
        assert!(
            Templates::load(Some(Path::new("/nowhere")), "en", LIFESPAN).unwrap_err().to_string().contains("/nowhere")
        );
    }
}
