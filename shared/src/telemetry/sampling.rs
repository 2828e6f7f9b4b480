//! Which traces are kept, by the standard variables of OpenTelemetry. The SDK would read them too, but pass over what it
//! does not understand.

use opentelemetry_sdk::trace::Sampler;
use serde::Deserialize;

use crate::config::{Environment, Setting};

/// `OTEL_TRACES_*`
#[derive(Debug, Default, Deserialize)]
pub struct TracesSection {
    sampler: Option<String>,
    sampler_arg: Option<String>,
}

/// What is kept of the traces that begin here, and of those that somebody else began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    kept: Kept,
    /// Whether who began a trace has decided.
    parent_decides: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    All,
    None,
    Ratio(f64),
}

/// What `OTEL_TRACES_SAMPLER_ARG` is to the samplers that have one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ratio(f64);

impl Setting for Sampling {
    const EXPECTED: &'static str = "always_on, always_off or traceidratio, or one of them behind parentbased_";
    fn parse(raw: &str) -> Option<Self> {
        let own = raw.strip_prefix("parentbased_");
        let kept = match own.unwrap_or(raw) {
            "always_on" => Kept::All,
            "always_off" => Kept::None,
            "traceidratio" => Kept::Ratio(1.0),
            _ => return None,
        };
        Some(Self { kept, parent_decides: own.is_some() })
    }

    fn written(&self) -> String {
        let kept = match self.kept {
            Kept::All => "always_on",
            Kept::None => "always_off",
            Kept::Ratio(_) => "traceidratio",
        };
        if self.parent_decides { format!("parentbased_{kept}") } else { kept.to_owned() }
    }
}

impl Setting for Ratio {
    const EXPECTED: &'static str = "a number from 0 to 1";
    fn parse(raw: &str) -> Option<Self> {
        raw.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).map(Self)
    }

    fn written(&self) -> String {
        self.0.to_string()
    }
}

impl TracesSection {
    pub const PREFIX: &'static str = "OTEL_TRACES_";

    pub fn read(environment: &mut Environment) -> Option<Sampling> {
        let raw: Self = environment.section(Self::PREFIX);
        let all = Sampling { kept: Kept::All, parent_decides: true };
        let sampling = environment.or("OTEL_TRACES_SAMPLER", raw.sampler, all);
        let ratio = environment.or("OTEL_TRACES_SAMPLER_ARG", raw.sampler_arg, Ratio(1.0));
        Some(sampling?.with(ratio?))
    }
}

impl Sampling {
    fn with(self, Ratio(ratio): Ratio) -> Self {
        match self.kept {
            Kept::Ratio(_) => Self { kept: Kept::Ratio(ratio), ..self },
            Kept::All | Kept::None => self,
        }
    }

    pub(super) fn sampler(self) -> Sampler {
        let own = match self.kept {
            Kept::All => Sampler::AlwaysOn,
            Kept::None => Sampler::AlwaysOff,
            Kept::Ratio(ratio) => Sampler::TraceIdRatioBased(ratio),
        };
        if self.parent_decides { Sampler::ParentBased(Box::new(own)) } else { own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sampler: &str, argument: &str) -> Result<Sampling, String> {
        let variables = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)];
        let mut environment = Environment::of(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let read = TracesSection::read(&mut environment);
        environment.finish(read).map_err(|faults| faults.to_string())
    }

    #[test]
    fn every_standard_name_is_known_and_no_other() {
        for (sampler, argument, meant) in [
            ("", "", "ParentBased(AlwaysOn)"),
            ("always_on", "", "AlwaysOn"),
            ("always_off", "0.5", "AlwaysOff"),
            ("traceidratio", "", "TraceIdRatioBased(1.0)"),
            ("traceidratio", "0.25", "TraceIdRatioBased(0.25)"),
            ("parentbased_always_off", "", "ParentBased(AlwaysOff)"),
            ("parentbased_traceidratio", "0", "ParentBased(TraceIdRatioBased(0.0))"),
        ] {
            let sampling = read(sampler, argument).unwrap();
            assert_eq!(format!("{:?}", sampling.sampler()), meant, "{sampler} {argument}");
        }
        assert!(read("sometimes", "").unwrap_err().contains("OTEL_TRACES_SAMPLER is not always_on"));
        for argument in ["2", "-1", "NaN", "half"] {
            assert!(read("traceidratio", argument).unwrap_err().contains("OTEL_TRACES_SAMPLER_ARG is not a number"));
        }
    }
}
