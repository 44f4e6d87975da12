//! Setting up what the whole process shares.

use std::{io::IsTerminal, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{Config, Format};

/// How long the last traces may take to leave when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Any of these makes the exporter start without further configuration (OpenTelemetry
/// specification, "OTLP exporter configuration").
const ENDPOINT_VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Logs or traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter of log lines cannot be read.
    #[error("`telemetry.log` cannot be read")]
    Filter,
    /// Traces cannot be exported to this endpoint.
    #[error("traces cannot be exported")]
    Exporter(#[from] ExporterBuildError),
    /// Another subscriber is installed.
    #[error("logs are set up already")]
    Twice,
}

/// Keeps logs and traces going; dropping it sends the last traces, for up to three seconds.
#[derive(Debug)]
#[must_use = "traces end when it is dropped"]
pub struct Guard {
    traces: Option<SdkTracerProvider>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take()
            && let Err(error) = traces.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Sets up logs on stderr and, when an OTLP endpoint is set, the export of traces, for the
/// process; `service` is what runs in it, such as `serve` or `delivery`.
///
/// # Errors
/// [`InitError`].
pub fn init(config: &Config, service: &str) -> Result<Guard, InitError> {
    let filter = crate::log_filter(&config.log).ok_or(InitError::Filter)?;
    let provider = trace_provider(config, service)?;
    let traces = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("natter")).with_threads(false));
    tracing_subscriber::registry()
        .with(traces)
        .with(log_lines(config.format))
        .with(filter)
        .try_init()
        .map_err(|_| InitError::Twice)?;
    Ok(Guard { traces: provider })
}

fn log_lines<S>(format: Format) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a> + Send + Sync,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().boxed(),
    }
}

fn trace_provider(config: &Config, service: &str) -> Result<Option<SdkTracerProvider>, InitError> {
    let variable = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    if disabled || (config.otlp_endpoint.is_none() && !ENDPOINT_VARIABLES.into_iter().any(variable)) {
        return Ok(None);
    }
    // The exporter's HTTP client needs one for https; whoever installed one before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut exporter = SpanExporter::builder().with_http();
    if let Some(endpoint) = &config.otlp_endpoint {
        exporter = exporter.with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')));
    }
    let mut resource = Resource::builder();
    if let Some(name) = &config.service_name {
        resource = resource.with_service_name(name.clone());
    } else if !variable("OTEL_SERVICE_NAME") {
        resource = resource.with_service_name(format!("natter-{service}"));
    }
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter.build()?).with_resource(resource.build());
    Ok(Some(provider.build()))
}
