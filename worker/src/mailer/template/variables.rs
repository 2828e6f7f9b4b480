//! What a template can name, all of it in every mail.

use std::time::Duration;

use serde::Serialize;

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Variables<'a> {
    pub product: &'a str,
    pub username: &'a str,
    /// The names are whatever the person typed who registered, and that need not be who reads the mail.
    pub first_name: &'a str,
    pub last_name: &'a str,
    pub link: &'a str,
    pub lifespan: Lifespan,
}

/// How long the link can be used, as one says it: `3 days`, and not `72 hours` or `259200 seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lifespan {
    pub number: u64,
    /// `minutes`, `hours` or `days`
    pub unit: &'static str,
}

impl Variables<'static> {
    /// With every unit of time there is, and with the time that is set.
    pub(super) fn samples(lifespan: Duration) -> [Self; 4] {
        let spans = [lifespan, Duration::from_mins(30), Duration::from_hours(12), Duration::from_hours(72)];
        spans.map(|lifespan| Self::sample("Usher", lifespan))
    }
}

impl<'a> Variables<'a> {
    /// For people to look at.
    pub fn sample(product: &'a str, lifespan: Duration) -> Self {
        Self {
            product,
            username: "ada",
            first_name: "Ada",
            last_name: "Lovelace",
            link: "https://id.example.org/realms/usher/login-actions/action-token?key=SAMPLE",
            lifespan: Lifespan::of(lifespan),
        }
    }
}

impl Lifespan {
    pub fn of(lifespan: Duration) -> Self {
        const HOUR: u64 = 60;
        const DAY: u64 = 24 * HOUR;
        let minutes = lifespan.as_secs() / 60;
        match minutes {
            _ if minutes >= 2 * DAY && minutes.is_multiple_of(DAY) => Self { number: minutes / DAY, unit: "days" },
            _ if minutes >= HOUR && minutes.is_multiple_of(HOUR) => Self { number: minutes / HOUR, unit: "hours" },
            _ => Self { number: minutes, unit: "minutes" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
