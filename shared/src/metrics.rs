//! Metrics, by the names and units of OpenTelemetry's conventions. Prometheus asks for them at `/metrics` on the listener
//! for operations; where there is a collector they are sent to it too. `docs/metrics.md` says what each one means.
//!
//! A label has as many values as we have words for it. Who a user is, what an address holds, or which error it was, is
//! never one.

use std::sync::LazyLock;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, Meter},
};
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::{Resource, error::OTelSdkError, metrics::SdkMeterProvider};
use prometheus::{Registry, TextEncoder};
use sqlx::PgPool;

/// The media type of [`text`], by Prometheus' exposition formats.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// For what takes milliseconds to seconds, by the semantic conventions of HTTP.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("could not set up the OTLP exporter of metrics")]
    Collector(#[from] ExporterBuildError),
    #[error("could not set up the exporter for Prometheus")]
    Prometheus(#[from] OTelSdkError),
}

/// Begins to measure. Before, and in a process that never calls it, instruments measure nothing.
pub(crate) fn start(resource: Resource, with_collector: bool) -> Result<SdkMeterProvider, MetricsError> {
    let prometheus =
        opentelemetry_prometheus::exporter().with_registry(REGISTRY.clone()).scope_info_enabled(false).build()?;
    let mut provider = SdkMeterProvider::builder().with_resource(resource).with_reader(prometheus);
    if with_collector {
        provider = provider.with_periodic_exporter(opentelemetry_otlp::MetricExporter::builder().with_http().build()?);
    }
    let provider = provider.build();
    global::set_meter_provider(provider.clone());
    Ok(provider)
}

/// Everything, as Prometheus reads it.
pub fn text() -> String {
    TextEncoder::new().encode_to_string(&REGISTRY.gather()).unwrap_or_else(|error| {
        tracing::warn!(%error, "metrics cannot be told");
        String::new()
    })
}

/// Where instruments come from.
pub fn meter() -> Meter {
    global::meter("usher")
}

/// An instrument for durations in seconds.
pub fn duration(name: &'static str, description: &'static str) -> Histogram<f64> {
    duration_within(name, description, &SECONDS)
}

/// The same for what has boundaries of its own.
pub fn duration_within(name: &'static str, description: &'static str, boundaries: &[f64]) -> Histogram<f64> {
    let boundaries = boundaries.to_vec();
    meter().f64_histogram(name).with_unit("s").with_description(description).with_boundaries(boundaries).build()
}

/// An instrument that counts. Each series, given by its labels, is there from the beginning, at zero: what has not happened
/// yet can be told from what is not measured.
pub fn counter(
    name: &'static str,
    description: &'static str,
    series: impl IntoIterator<Item = Vec<KeyValue>>,
) -> Counter<u64> {
    let counter = meter().u64_counter(name).with_description(description).build();
    for labels in series {
        counter.add(0, &labels);
    }
    counter
}

/// A series for each value of one label.
pub fn by<const N: usize>(label: &'static str, values: [&'static str; N]) -> [Vec<KeyValue>; N] {
    values.map(|value| vec![KeyValue::new(label, value)])
}

/// The one series of a counter without labels.
pub const ALONE: [Vec<KeyValue>; 1] = [Vec::new()];

/// Says what is running: a one, with the answer in its labels.
pub fn tell_build(version: &'static str, commit: Option<&'static str>) {
    let gauge = meter().u64_gauge("usher.build.info").with_description("What is running").build();
    gauge.record(1, &[KeyValue::new("version", version), KeyValue::new("commit", commit.unwrap_or("unknown"))]);
}

/// Measures a pool for as long as the process lives.
pub fn watch_pool(pool: PgPool, name: &'static str) {
    let labels = [KeyValue::new("db.client.connection.pool.name", name)];
    let most =
        meter().u64_gauge("db.client.connection.max").with_description("Connections to PostgreSQL at most").build();
    most.record(pool.options().get_max_connections().into(), &labels);
    meter()
        .u64_observable_gauge("db.client.connection.count")
        .with_description("Connections to PostgreSQL")
        .with_callback(move |observer| {
            let idle = pool.num_idle().try_into().unwrap_or(u64::MAX);
            let used = u64::from(pool.size()).saturating_sub(idle);
            for (state, number) in [("idle", idle), ("used", used)] {
                let labels = [
                    KeyValue::new("db.client.connection.pool.name", name),
                    KeyValue::new("db.client.connection.state", state),
                ];
                observer.observe(number, &labels);
            }
        })
        .build();
}
