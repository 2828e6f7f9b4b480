//! Configuration from the environment, and from nowhere else.
//!
//! Each section is one flat struct with a prefix, collected by `envy`; unset and empty mean the same. A secret can be
//! given as a file too (`NAME_FILE=/run/secrets/x`). A binary reads all its sections before it binds or connects to
//! anything, and reports every fault at once; a fault names the variable and never its value.

mod development;
mod sections;
mod setting;
pub mod variable;

use std::{collections::BTreeMap, env, fmt, fs};

use secrecy::SecretString;
use serde::de::DeserializeOwned;

use self::variable::{Source, UnlessSet, Variable};
pub use self::{
    sections::{DatabaseConfig, DatabaseSection, Stage, SweepSection, UsherSection},
    setting::Setting,
};

/// Exit code for a faulty configuration: `EX_USAGE` of sysexits.h.
pub const EXIT_USAGE: u8 = 64;

/// The variables, and what was found wrong with them so far.
#[derive(Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    faults: Vec<String>,
    /// Which of them were asked for, in that order.
    asked: Vec<Variable>,
    /// Known once its section is read, and looked at in the end.
    stage: Option<Stage>,
    /// Which of the secrets everybody knows.
    known_secrets: Vec<String>,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    pub fn faults(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration is not usable:")?;
        self.0.iter().try_for_each(|fault| writeln!(f, "  - {fault}"))?;
        write!(f, "docs/configuration.md describes every variable")
    }
}

impl std::error::Error for ConfigError {}

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
    pub fn required<T: Setting>(&mut self, name: &'static str, raw: Option<String>) -> Option<T> {
        let variable = Variable::new(name, T::EXPECTED, UnlessSet::Fault);
        match raw {
            Some(raw) => self.parse(variable, &raw),
            None => self.missing(variable, format!("{name} is not set; expected {}", T::EXPECTED)),
        }
    }

    /// A value that may be left out.
    pub fn or<T: Setting>(&mut self, name: &'static str, raw: Option<String>, default: T) -> Option<T> {
        let variable = Variable::new(name, T::EXPECTED, UnlessSet::Is(default.written()));
        self.or_default(variable, raw, default)
    }

    /// A value that may be left out, and whose default is another one in each place: `told` says which.
    pub fn or_derived<T: Setting>(
        &mut self,
        name: &'static str,
        raw: Option<String>,
        default: T,
        told: &'static str,
    ) -> Option<T> {
        let variable = Variable::new(name, T::EXPECTED, UnlessSet::Derived(told));
        self.or_default(variable, raw, default)
    }

    /// A value that may be left out, and that has no default; `None` is a fault.
    pub fn if_set<T: Setting>(&mut self, name: &'static str, raw: Option<String>) -> Option<Option<T>> {
        let variable = Variable::new(name, T::EXPECTED, UnlessSet::Nothing);
        let Some(raw) = raw else {
            self.asked.push(variable);
            return Some(None);
        };
        self.parse(variable, &raw).map(Some)
    }

    fn or_default<T: Setting>(&mut self, variable: Variable, raw: Option<String>, default: T) -> Option<T> {
        if let Some(raw) = raw {
            return self.parse(variable, &raw);
        }
        let value = Some(default.written()).filter(|value| !value.is_empty());
        self.asked.push(Variable { value, ..variable });
        Some(default)
    }

    /// A secret that must be there, as `NAME` or as the content of the file `NAME_FILE`.
    pub fn secret(&mut self, name: &'static str, expected: &'static str, raw: Option<String>) -> Option<SecretString> {
        let variable = Variable { is_secret: true, ..Variable::new(name, expected, UnlessSet::Fault) };
        self.read_secret(variable, raw)
    }

    /// A secret that may be left out; `None` is a fault.
    pub fn secret_if_set(
        &mut self,
        name: &'static str,
        expected: &'static str,
        raw: Option<String>,
    ) -> Option<Option<SecretString>> {
        let variable = Variable { is_secret: true, ..Variable::new(name, expected, UnlessSet::Nothing) };
        if raw.is_none() && !self.variables.contains_key(&format!("{name}_FILE")) {
            self.asked.push(variable);
            return Some(None);
        }
        self.read_secret(variable, raw).map(Some)
    }

    fn read_secret(&mut self, variable: Variable, raw: Option<String>) -> Option<SecretString> {
        let name = variable.name;
        let source = if raw.is_some() { Source::Environment } else { Source::File };
        self.asked.push(Variable { source, ..variable });
        let secret = self.raw_secret(name, raw)?;
        if development::is_known(&secret) {
            self.known_secrets.push(name.to_owned());
        }
        Some(secret)
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

    fn parse<T: Setting>(&mut self, variable: Variable, raw: &str) -> Option<T> {
        let parsed = T::parse(raw);
        let (name, value) = (variable.name, parsed.as_ref().map(T::written));
        self.asked.push(Variable { source: Source::Environment, value, ..variable });
        parsed.or_else(|| self.fault(format!("{name} is not {}", T::EXPECTED)))
    }

    fn missing<T>(&mut self, variable: Variable, fault: String) -> Option<T> {
        self.asked.push(variable);
        self.fault(fault)
    }

    /// What was asked for, each variable once and where it was asked for first.
    pub fn asked(&self) -> Vec<Variable> {
        let is_first = |(place, variable): &(usize, &Variable)| {
            !self.asked[..*place].iter().any(|earlier| earlier.name == variable.name)
        };
        self.asked.iter().enumerate().filter(is_first).map(|(_, variable)| variable.clone()).collect()
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::ExposeSecret as _;

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
