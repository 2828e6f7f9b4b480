//! Logs on the terminal and in a rotating file, traces by OTLP as [`sampling`] keeps them, and [`metrics`].
//!
//! No log and no span carries a name, an address, a token or a link: `user.id` is how a user is spoken of. Libraries are
//! not asked below `debug`, where they tell what they send, such as the login of the broker.

pub mod sampling;

mod fields;
mod line;

use std::{
    error::Error,
    fs,
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider, trace::SdkTracerProvider};
use serde::Deserialize;
use tracing::{Level, Metadata};
use tracing_appender::{
    non_blocking::{NonBlocking, WorkerGuard},
    rolling::{InitError, RollingFileAppender, Rotation},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt as _, LevelFilter, filter_fn},
    fmt::{self, writer::MakeWriterExt as _},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};
use url::Url;

use self::{
    fields::Fields,
    line::Line,
    sampling::{Sampling, TracesSection},
};
use crate::{
    config::{Environment, Setting},
    metrics,
};

/// The target of the lines that mark how far a user has come (`committed`, `published`, `consumed`,
/// `keycloak_user_created`, `synced`, `mail_accepted`).
pub const MILESTONE: &str = "milestone";

/// The target of the lines that say what an operator did.
pub const AUDIT: &str = "audit";

/// `LOG_*`
#[derive(Debug, Default, Deserialize)]
pub struct LogSection {
    format: Option<String>,
    dir: Option<String>,
}

#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    format: LogFormat,
    dir: PathBuf,
    otlp: bool,
    sampling: Sampling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogFormat {
    Pretty,
    Json,
}

impl Setting for LogFormat {
    const EXPECTED: &'static str = "pretty or json";
    fn parse(raw: &str) -> Option<Self> {
        match raw {
            "pretty" => Some(Self::Pretty),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Pretty => "pretty".to_owned(),
            Self::Json => "json".to_owned(),
        }
    }
}

/// `OTEL_EXPORTER_*`: the exporter reads them itself; here they only say that there is somebody to export to.
#[derive(Debug, Default, Deserialize)]
pub struct OtelSection {
    otlp_endpoint: Option<String>,
}

impl OtelSection {
    pub const PREFIX: &'static str = "OTEL_EXPORTER_";
}

/// `RUST_*`: the subscriber reads it itself, and would pass over what it does not understand.
#[derive(Debug, Default, Deserialize)]
pub struct RustSection {
    log: Option<String>,
}

impl RustSection {
    pub const PREFIX: &'static str = "RUST_";

    fn read(environment: &mut Environment) -> Option<()> {
        let raw: Self = environment.section(Self::PREFIX);
        environment.or_derived("RUST_LOG", raw.log, Told("info".to_owned()), "info; warn for commands").map(drop)
    }
}

/// What is logged.
struct Told(String);

impl Setting for Told {
    const EXPECTED: &'static str = "a list of levels, such as info,milestone=debug,sqlx=warn";

    fn parse(raw: &str) -> Option<Self> {
        EnvFilter::try_new(raw).ok().map(|_| Self(raw.to_owned()))
    }

    fn written(&self) -> String {
        self.0.clone()
    }
}

impl LogSection {
    pub const PREFIX: &'static str = "LOG_";

    pub fn read(environment: &mut Environment) -> Option<TelemetryConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let otel: OtelSection = environment.section(OtelSection::PREFIX);
        let endpoint: Option<Option<Url>> = environment.if_set("OTEL_EXPORTER_OTLP_ENDPOINT", otel.otlp_endpoint);
        let sampling = TracesSection::read(environment);
        let told = RustSection::read(environment);
        let by_terminal = if io::stdout().is_terminal() { LogFormat::Pretty } else { LogFormat::Json };
        let format =
            environment.or_derived("LOG_FORMAT", raw.format, by_terminal, "pretty on a terminal, json otherwise");
        let dir = environment.or("LOG_DIR", raw.dir, "logs".to_owned());
        told?;
        Some(TelemetryConfig { format: format?, dir: dir?.into(), otlp: endpoint?.is_some(), sampling: sampling? })
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("could not open the log file in LOG_DIR")]
    LogFile(#[from] InitError),
    #[error("could not set up the OTLP exporter")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),
    #[error("could not install the subscriber")]
    Install(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps logs, traces and metrics flowing; dropping it flushes them.
#[must_use = "logs, traces and metrics stop when it is dropped"]
pub struct Telemetry {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    _file: WorkerGuard,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Err(error) = self.traces.shutdown() {
            tracing::warn!(%error, "the last traces were not delivered");
        }
        if let Err(error) = self.metrics.shutdown() {
            tracing::warn!(%error, "the last metrics were not delivered");
        }
    }
}

/// Keeps the log of a command flowing; dropping it flushes it.
#[must_use = "the log stops when it is dropped"]
pub struct AnswerLog {
    _file: WorkerGuard,
}

/// Starts logging, tracing and measuring for this process; `service` is `usher-api` or `usher-worker`.
pub fn start(service: &'static str, config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let resource = Resource::builder().with_service_name(service).build();
    let traces = tracer_provider(resource.clone(), config)?;
    let metrics = metrics::start(resource, config.otlp)?;
    let (file, guard) = tracing_appender::non_blocking(log_file(config)?);
    let logs = logs(config.format, file);
    let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer(service));
    tracing_subscriber::registry()
        .with(filter_fn(is_fit_to_be_told))
        // RUST_LOG is about logs: a quiet process stands in every trace all the same.
        .with(spans.with_filter(LevelFilter::INFO))
        .with(logs.with_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"))))
        .try_init()?;
    Ok(Telemetry { traces, metrics, _file: guard })
}

/// For a command whose answer goes to stdout: logs go to stderr and into the file, and what an operator did
/// ([`AUDIT`]) is told whatever `RUST_LOG` says.
pub fn start_beside_an_answer(config: &TelemetryConfig) -> Result<AnswerLog, TelemetryError> {
    let (file, guard) = tracing_appender::non_blocking(log_file(config)?);
    let to_file = json().with_writer(file);
    // Whoever reads stderr may have gone, which nobody is to be told on stderr.
    let to_stderr =
        fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).log_internal_errors(false);
    let told = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let told = told.or(filter_fn(|metadata| metadata.target() == AUDIT));
    tracing_subscriber::registry()
        .with(filter_fn(is_fit_to_be_told))
        .with(to_file.and_then(to_stderr).with_filter(told))
        .try_init()?;
    Ok(AnswerLog { _file: guard })
}

/// The targets of our own code, which may tell everything it does.
const OURS: [&str; 4] = ["api", "worker", "shared", MILESTONE];

fn is_fit_to_be_told(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() < Level::TRACE || OURS.contains(&root)
}

/// Every process has trace ids, so that a row and a message can carry them; they leave it only when there is a collector.
fn tracer_provider(resource: Resource, config: &TelemetryConfig) -> Result<SdkTracerProvider, TelemetryError> {
    let provider = SdkTracerProvider::builder().with_resource(resource).with_sampler(config.sampling.sampler());
    if !config.otlp {
        return Ok(provider.build());
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build()?;
    Ok(provider.with_batch_exporter(exporter).build())
}

/// `logs/user_log.log` is a link to the file of the day, `user_log.YYYY-MM-DD.log`; a week of them is kept.
///
/// Dated files let several processes append to one log; a rename would cut the others off.
fn log_file(config: &TelemetryConfig) -> Result<RollingFileAppender, TelemetryError> {
    // The link is laid by this path: a relative one would be read from inside the folder. What is wrong with the folder,
    // `build` says.
    fs::create_dir_all(&config.dir).ok();
    let dir = fs::canonicalize(&config.dir).unwrap_or_else(|_| config.dir.clone());
    let build = || {
        RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix("user_log")
            .filename_suffix("log")
            .latest_symlink("user_log.log")
            .max_log_files(7)
            .build(&dir)
    };
    // Processes that start together remove and lay the link at the same time; the second try finds it free.
    Ok(build().or_else(|_| build()).or_else(|_| build())?)
}

/// On stdout and in the file, where it is always JSON.
fn logs<S>(format: LogFormat, file: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        LogFormat::Pretty => fmt::layer().and_then(json().with_writer(file)).boxed(),
        LogFormat::Json => json().with_writer(io::stdout.and(file)).boxed(),
    }
}

fn json<S>() -> fmt::Layer<S, Fields, Line>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fmt::layer().fmt_fields(Fields::new()).event_format(Line::new())
}

/// The whole chain of an error in one line, as it belongs into a log.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
