//! What the mail says. The templates are part of the program.

use std::{fmt, time::Duration};

use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;

/// Read once, and filled in for each mail.
pub struct Templates(Environment<'static>);

/// What a template can name, all of it in every mail.
#[derive(Debug, Clone, Serialize)]
pub struct Variables<'a> {
    pub product: &'a str,
    pub username: &'a str,
    /// The names are whatever the person typed who registered, and that need not be who reads the mail.
    pub first_name: &'a str,
    pub last_name: &'a str,
    pub link: &'a str,
    pub lifespan: Lifespan,
}

/// How long the link can be used, as one says it: `2 days`, and not `48 hours` or `172800 seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lifespan {
    pub number: u64,
    /// `minutes`, `hours` or `days`
    pub unit: &'static str,
}

/// A mail's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    pub subject: String,
    pub text: String,
    pub html: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the template {name} cannot be filled in")]
pub struct TemplateError {
    name: String,
    #[source]
    source: minijinja::Error,
}

const EMBEDDED: [(&str, &str); 4] = [
    ("layout.html", include_str!("../../templates/layout.html")),
    ("en/password_setup.subject.txt", include_str!("../../templates/en/password_setup.subject.txt")),
    ("en/password_setup.txt", include_str!("../../templates/en/password_setup.txt")),
    ("en/password_setup.html", include_str!("../../templates/en/password_setup.html")),
];

impl Templates {
    /// Those that come with the program; a test fills them in.
    #[expect(clippy::expect_used, reason = "they are part of the program, and a test reads them")]
    pub fn embedded() -> Self {
        let mut environment = Environment::new();
        // A variable that is misspelt is a fault, and not a gap in a mail.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in EMBEDDED {
            environment.add_template(name, source).expect("an embedded template can be read");
        }
        Self(environment)
    }

    pub fn password_setup(&self, variables: &Variables<'_>) -> Result<Words, TemplateError> {
        Ok(Words {
            subject: self.fill_in("en/password_setup.subject.txt", variables)?,
            text: self.fill_in("en/password_setup.txt", variables)?,
            html: self.fill_in("en/password_setup.html", variables)?,
        })
    }

    /// What ends in `.html` is escaped.
    fn fill_in(&self, name: &str, variables: &Variables<'_>) -> Result<String, TemplateError> {
        let filled_in = self.0.get_template(name).and_then(|template| template.render(Serde(variables)));
        filled_in.map_err(|source| TemplateError { name: name.to_owned(), source })
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.templates().map(|(name, _)| name).collect();
        f.debug_tuple("Templates").field(&names).finish()
    }
}

impl Lifespan {
    pub fn of(lifespan: Duration) -> Self {
        let minutes = lifespan.as_secs() / 60;
        match minutes {
            minutes if minutes >= 48 * 60 && minutes.is_multiple_of(24 * 60) => {
                Self { number: minutes / (24 * 60), unit: "days" }
            }
            minutes if minutes >= 60 && minutes.is_multiple_of(60) => Self { number: minutes / 60, unit: "hours" },
            minutes => Self { number: minutes, unit: "minutes" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables<'static> {
        Variables {
            product: "Usher",
            username: "ada",
            first_name: "Ada <b>",
            last_name: "Lovelace",
            link: "https://id.example.org/?key=a&b=c",
            lifespan: Lifespan { number: 12, unit: "hours" },
        }
    }

    #[test]
    fn the_mail_says_what_it_must() {
        let words = Templates::embedded().password_setup(&variables()).unwrap();
        assert_eq!(words.subject.trim(), "Set your password for Usher");
        for part in [&words.text, &words.html] {
            assert!(part.contains("ada") && part.contains("12 hours"), "{part}");
        }
        assert!(words.text.contains("\nhttps://id.example.org/?key=a&b=c\n"), "{}", words.text);
        assert!(words.html.contains("key=a&amp;b=c\""), "{}", words.html);
    }

    #[test]
    fn a_lifespan_is_said_as_people_say_it() {
        let said = |duration| {
            let Lifespan { number, unit } = Lifespan::of(duration);
            format!("{number} {unit}")
        };
        assert_eq!(said(Duration::from_mins(1)), "1 minutes");
        assert_eq!(said(Duration::from_mins(90)), "90 minutes");
        assert_eq!(said(Duration::from_hours(12)), "12 hours");
        assert_eq!(said(Duration::from_hours(24)), "24 hours");
        assert_eq!(said(Duration::from_hours(36)), "36 hours");
        assert_eq!(said(Duration::from_hours(72)), "3 days");
    }
}
