//! Configuration from the environment, and from nowhere else.
//!
//! Each section is one flat struct with a prefix, collected by `envy`; unset and empty mean the same. A secret can be
//! given as a file too (`NAME_FILE=/run/secrets/x`). A binary reads all its sections before it binds or connects to
//! anything, and reports every fault at once; a fault names the variable and never its value.

mod development;

use std::{collections::BTreeMap, env, fmt, fs, net::SocketAddr, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use sqlx::postgres::PgConnectOptions;
use url::Url;

/// Exit code for a faulty configuration: `EX_USAGE` of sysexits.h.
pub const EXIT_USAGE: u8 = 64;

/// The variables, and what was found wrong with them so far.
#[derive(Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    faults: Vec<String>,
    /// Known once its section is read, and looked at in the end.
    stage: Option<Stage>,
    /// Which of the secrets everybody knows.
    known_secrets: Vec<String>,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration is not usable:")?;
        self.0.iter().try_for_each(|fault| writeln!(f, "  - {fault}"))?;
        write!(f, ".env.example describes every variable")
    }
}

impl std::error::Error for ConfigError {}

/// A type that a variable can have.
pub trait Setting: Sized {
    /// What is expected, for the fault.
    const EXPECTED: &'static str;
    fn parse(raw: &str) -> Option<Self>;
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self::of(env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))))
    }

    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Self { variables, ..Self::default() }
    }

    /// The raw texts of one section: a struct whose fields are all `Option<String>`.
    pub fn section<T: DeserializeOwned + Default>(&mut self, prefix: &str) -> T {
        let variables = self.variables.iter().map(|(name, value)| (name.clone(), value.clone()));
        envy::prefixed(prefix)
            .from_iter(variables)
            .unwrap_or_else(|error| self.fault::<T>(format!("{prefix}…: {error}")).unwrap_or_default())
    }

    /// A value that must be there.
    pub fn required<T: Setting>(&mut self, name: &str, raw: Option<String>) -> Option<T> {
        match raw {
            Some(raw) => self.parse(name, &raw),
            None => self.fault(format!("{name} is not set; expected {}", T::EXPECTED)),
        }
    }

    /// A value that may be left out.
    pub fn or<T: Setting>(&mut self, name: &str, raw: Option<String>, default: T) -> Option<T> {
        raw.map_or(Some(default), |raw| self.parse(name, &raw))
    }

    /// A secret that must be there, as `NAME` or as the content of the file `NAME_FILE`.
    pub fn secret(&mut self, name: &str, raw: Option<String>) -> Option<SecretString> {
        let secret = self.raw_secret(name, raw)?;
        if development::is_known(&secret) {
            self.known_secrets.push(name.to_owned());
        }
        Some(secret)
    }

    /// A secret that may be left out; `None` is a fault.
    pub fn secret_if_set(&mut self, name: &str, raw: Option<String>) -> Option<Option<SecretString>> {
        if raw.is_none() && !self.variables.contains_key(&format!("{name}_FILE")) {
            return Some(None);
        }
        self.secret(name, raw).map(Some)
    }

    fn raw_secret(&mut self, name: &str, raw: Option<String>) -> Option<SecretString> {
        let path = self.variables.get(&format!("{name}_FILE")).cloned();
        match (raw, path) {
            (Some(_), Some(_)) => self.fault(format!("{name} and {name}_FILE are both set; set one of them")),
            (Some(value), None) => Some(value.into()),
            (None, Some(path)) => match fs::read_to_string(path) {
                Ok(text) if !text.trim().is_empty() => Some(text.trim_end_matches(['\r', '\n']).into()),
                Ok(_) => self.fault(format!("{name}_FILE names an empty file")),
                Err(error) => self.fault(format!("{name}_FILE names a file that cannot be read: {error}")),
            },
            (None, None) => self.fault(format!("{name} is not set, and neither is {name}_FILE")),
        }
    }

    fn parse<T: Setting>(&mut self, name: &str, raw: &str) -> Option<T> {
        T::parse(raw).or_else(|| self.fault(format!("{name} is not {}", T::EXPECTED)))
    }

    /// Notes a fault. Returns `None` to stand in for the value.
    pub fn fault<T>(&mut self, fault: impl Into<String>) -> Option<T> {
        self.faults.push(fault.into());
        None
    }

    /// The finished configuration, if nothing at all was wrong.
    pub fn finish<T>(mut self, config: Option<T>) -> Result<T, ConfigError> {
        if self.stage == Some(Stage::Production) {
            let known = std::mem::take(&mut self.known_secrets);
            self.faults.extend(known.into_iter().map(|name| {
                format!("{name} holds a secret of the development stack, which everybody can read (USHER_ENV=development allows it)")
            }));
        }
        match config {
            Some(config) if self.faults.is_empty() => Ok(config),
            _ => Err(ConfigError(self.faults)),
        }
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a text";
    fn parse(raw: &str) -> Option<Self> {
        Some(raw.to_owned())
    }
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a duration longer than zero, such as 15s or 200ms";
    fn parse(raw: &str) -> Option<Self> {
        humantime::parse_duration(raw).ok().filter(|duration| !duration.is_zero())
    }
}

impl Setting for u32 {
    const EXPECTED: &'static str = "a whole number of 1 or more";
    fn parse(raw: &str) -> Option<Self> {
        raw.parse().ok().filter(|number| *number > 0)
    }
}

impl Setting for u16 {
    const EXPECTED: &'static str = "a whole number from 1 to 65535";
    fn parse(raw: &str) -> Option<Self> {
        raw.parse().ok().filter(|number| *number > 0)
    }
}

impl Setting for SocketAddr {
    const EXPECTED: &'static str = "an address and a port, such as 0.0.0.0:8080";
    fn parse(raw: &str) -> Option<Self> {
        raw.parse().ok()
    }
}

impl Setting for Url {
    const EXPECTED: &'static str = "an http:// or https:// address";
    fn parse(raw: &str) -> Option<Self> {
        Self::parse(raw).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    }
}

/// Where this runs. Production refuses what would break the promise; development makes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Production,
    Development,
}

impl Setting for Stage {
    const EXPECTED: &'static str = "production or development";
    fn parse(raw: &str) -> Option<Self> {
        match raw {
            "production" => Some(Self::Production),
            "development" => Some(Self::Development),
            _ => None,
        }
    }
}

/// `USHER_*`
#[derive(Debug, Default, Deserialize)]
pub struct UsherSection {
    env: Option<String>,
}

impl UsherSection {
    pub const PREFIX: &'static str = "USHER_";

    pub fn read(environment: &mut Environment) -> Option<Stage> {
        let raw: Self = environment.section(Self::PREFIX);
        let stage = environment.or("USHER_ENV", raw.env, Stage::Production);
        environment.stage = stage;
        stage
    }
}

/// `DATABASE_*`
#[derive(Debug, Default, Deserialize)]
pub struct DatabaseSection {
    url: Option<String>,
    max_connections: Option<String>,
}

#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    pub url: SecretString,
    pub max_connections: u32,
}

impl DatabaseSection {
    pub const PREFIX: &'static str = "DATABASE_";

    pub fn read(environment: &mut Environment) -> Option<DatabaseConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let url = environment.secret("DATABASE_URL", raw.url).and_then(|url| {
            if is_postgres_address(url.expose_secret()) {
                return Some(url);
            }
            environment.fault("DATABASE_URL is not a postgres:// address")
        });
        let max_connections = environment.or("DATABASE_MAX_CONNECTIONS", raw.max_connections, 10);
        Some(DatabaseConfig { url: url?, max_connections: max_connections? })
    }
}

fn is_postgres_address(url: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
        && url.parse::<PgConnectOptions>().is_ok()
}

/// `SWEEP_*`: the worker's rhythm, and the head start that the api gives to a new user's event.
#[derive(Debug, Default, Deserialize)]
pub struct SweepSection {
    interval: Option<String>,
}

impl SweepSection {
    pub const PREFIX: &'static str = "SWEEP_";

    pub fn read(environment: &mut Environment) -> Option<Duration> {
        let raw: Self = environment.section(Self::PREFIX);
        environment.or("SWEEP_INTERVAL", raw.interval, Duration::from_secs(15))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::of(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn all_faults_are_listed_and_no_value_is_shown() {
        let mut environment = environment(&[("USHER_ENV", "prod-s3cret"), ("DATABASE_MAX_CONNECTIONS", "s3cret")]);
        let stage = UsherSection::read(&mut environment);
        let database = DatabaseSection::read(&mut environment);
        let error = environment.finish(stage.zip(database)).unwrap_err().to_string();
        for name in ["USHER_ENV", "DATABASE_URL is not set", "DATABASE_MAX_CONNECTIONS"] {
            assert!(error.contains(name), "{error}");
        }
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn production_refuses_the_secrets_of_development() {
        let read = |stage, url| {
            let mut environment = environment(&[("DATABASE_URL", url), ("USHER_ENV", stage)]);
            let (database, _) = (DatabaseSection::read(&mut environment), UsherSection::read(&mut environment));
            environment.finish(database)
        };
        let development = "postgres://usher:usher@localhost/usher";
        let error = read("", development).unwrap_err().to_string();
        assert!(error.contains("DATABASE_URL holds a secret of the development stack"), "{error}");
        assert!(read("development", development).is_ok());
        assert!(read("production", "postgres://usher:Kx7@localhost/usher").is_ok());
    }

    #[test]
    fn empty_means_unset() {
        let mut environment = environment(&[("SWEEP_INTERVAL", ""), ("DATABASE_URL", "")]);
        assert_eq!(SweepSection::read(&mut environment), Some(Duration::from_secs(15)));
        assert!(DatabaseSection::read(&mut environment).is_none());
    }

    #[test]
    fn a_database_that_is_none_is_a_fault_and_no_value_is_shown() {
        for url in ["s3cret", "http://s3cret@db/usher", "postgres://db:s3cret/usher"] {
            let mut environment = environment(&[("DATABASE_URL", url)]);
            let database = DatabaseSection::read(&mut environment);
            let error = environment.finish(database).unwrap_err().to_string();
            assert!(
                error.contains("DATABASE_URL is not a postgres:// address") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_secret_may_be_a_file() {
        let file = std::env::temp_dir().join(format!("usher-secret-{}", std::process::id()));
        fs::write(&file, "postgres://from-file\n").unwrap();
        let path = file.to_str().unwrap();
        let mut one = environment(&[("DATABASE_URL_FILE", path)]);
        assert_eq!(DatabaseSection::read(&mut one).unwrap().url.expose_secret(), "postgres://from-file");
        let mut both = environment(&[("DATABASE_URL_FILE", path), ("DATABASE_URL", "postgres://x")]);
        assert!(DatabaseSection::read(&mut both).is_none());
        fs::remove_file(&file).unwrap();
        let mut gone = environment(&[("DATABASE_URL_FILE", path)]);
        assert!(DatabaseSection::read(&mut gone).is_none());
    }
}
