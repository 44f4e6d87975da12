//! Setting up what the whole process shares.

use std::{io::IsTerminal, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    metrics::SdkMeterProvider,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::filter_fn, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::{
    Config, Format, metrics,
    sampling::{InvalidSampler, Sampling},
};

/// How long the last traces and metrics may take to leave when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Logs, traces or metrics cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter of log lines cannot be read.
    #[error("`telemetry.log` cannot be read")]
    Filter,
    /// They cannot be exported to this endpoint.
    #[error("traces or metrics cannot be exported")]
    Exporter(#[from] ExporterBuildError),
    /// The sampler cannot be used.
    #[error(transparent)]
    Sampler(#[from] InvalidSampler),
    /// Another subscriber is installed.
    #[error("logs are set up already")]
    Twice,
}

/// Keeps logs, traces and metrics going; dropping it sends the last of them, for up to three
/// seconds each.
#[derive(Debug)]
#[must_use = "traces end when it is dropped"]
pub struct Guard {
    traces: Option<SdkTracerProvider>,
    metrics: SdkMeterProvider,
    log: reload::Handle<EnvFilter, Registry>,
}

impl Guard {
    /// What chooses log lines from now on.
    pub fn log_level(&self) -> LogLevel {
        LogLevel(self.log.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take()
            && let Err(error) = traces.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
        if let Err(error) = self.metrics.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last metrics were not sent");
        }
    }
}

/// Changes which log lines are written, while the process runs.
#[derive(Debug, Clone)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Takes a new filter, in the form of `telemetry.log`.
    ///
    /// # Errors
    /// [`InitError::Filter`] when it cannot be read; the old one stays.
    pub fn set(&self, filter: &str) -> Result<(), InitError> {
        let filter = crate::log_filter(filter).ok_or(InitError::Filter)?;
        self.0.reload(filter).map_err(|_| InitError::Twice)
    }
}

/// Sets up logs on stderr, metrics, and, where an OTLP endpoint is set, the export of traces and
/// metrics, for the process; `service` is what runs in it, such as `serve` or `delivery`.
///
/// # Errors
/// [`InitError`].
pub fn init(config: &Config, service: &str) -> Result<Guard, InitError> {
    let filter = crate::log_filter(&config.log).ok_or(InitError::Filter)?;
    // The exporters' HTTP clients need one for https; whoever installed one before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let traces = trace_provider(config, service)?;
    let metrics = metrics::provider(resource(config, service), metric_exporter(config)?)?;
    let exported = traces.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("natter")).with_threads(false);
        layer.with_tracked_inactivity(false).with_location(false).with_filter(filter_fn(is_traced))
    });
    let (filter, log) = reload::Layer::new(filter);
    tracing_subscriber::registry()
        .with(log_lines(config.format).with_filter(filter))
        .with(exported)
        .try_init()
        .map_err(|_| InitError::Twice)?;
    Ok(Guard { traces, metrics, log })
}

/// Whether a span, or an event inside of one, is part of traces, whatever the log's level: spans
/// that say what kind they are. Others give log lines their context, some for as long as a session.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let ours = metadata.target().starts_with("natter") && *metadata.level() <= Level::INFO;
    ours && (metadata.is_event() || metadata.fields().field("otel.kind").is_some())
}

fn log_lines(format: Format) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().boxed(),
    }
}

/// Who speaks, to whoever collects (OpenTelemetry semantic conventions, "Service").
fn resource(config: &Config, service: &str) -> Resource {
    let resource = Resource::builder();
    let resource = if let Some(name) = &config.service_name {
        resource.with_service_name(name.clone())
    } else if variable("OTEL_SERVICE_NAME").is_none() {
        resource.with_service_name(format!("natter-{service}"))
    } else {
        resource
    };
    resource
        .with_attribute(opentelemetry::KeyValue::new("service.namespace", "natter"))
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// A variable of the environment; an empty one counts as none (OpenTelemetry specification,
/// "Parsing empty value").
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a signal, `TRACES` or `METRICS`, is exported: an endpoint is set, and nothing forbids it
/// (OpenTelemetry specification, "OTLP exporter configuration" and "Exporter selection").
fn is_exported(config: &Config, signal: &str) -> bool {
    let disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let none = variable(&format!("OTEL_{signal}_EXPORTER")).is_some_and(|exporter| exporter == "none");
    let endpoint = config.otlp_endpoint.is_some()
        || variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
        || variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")).is_some();
    endpoint && !disabled && !none
}

fn address(endpoint: &str, path: &str) -> String {
    format!("{}{path}", endpoint.trim_end_matches('/'))
}

fn trace_provider(config: &Config, service: &str) -> Result<Option<SdkTracerProvider>, InitError> {
    let sampling = Sampling::read(variable, config.trace_ratio)?;
    if !is_exported(config, "TRACES") {
        return Ok(None);
    }
    let mut exporter = SpanExporter::builder().with_http();
    if let Some(endpoint) = &config.otlp_endpoint {
        exporter = exporter.with_endpoint(address(endpoint, "/v1/traces"));
    }
    sampling.install();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter.build()?)
        .with_resource(resource(config, service))
        // What gets here was chosen where it entered; its parts follow it.
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    Ok(Some(provider.build()))
}

fn metric_exporter(config: &Config) -> Result<Option<MetricExporter>, ExporterBuildError> {
    if !is_exported(config, "METRICS") {
        return Ok(None);
    }
    let mut exporter = MetricExporter::builder().with_http();
    if let Some(endpoint) = &config.otlp_endpoint {
        exporter = exporter.with_endpoint(address(endpoint, "/v1/metrics"));
    }
    exporter.build().map(Some)
}
