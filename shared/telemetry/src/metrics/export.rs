//! Where metrics go.

use std::sync::OnceLock;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
};
use prometheus::{Encoder, Registry, TextEncoder};

use super::catalogue;

static EXPORTED: OnceLock<Exported> = OnceLock::new();

/// Collects what is recorded in this process.
#[derive(Debug)]
pub(crate) struct Exported {
    registry: Registry,
    meter: Meter,
}

/// What instruments are made with, once [`crate::init`] has run.
pub(super) fn meter() -> Option<&'static Meter> {
    EXPORTED.get().map(|exported| &exported.meter)
}

/// All metrics of this process in Prometheus' text format, version 0.0.4.
pub fn exposition() -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(exported) = EXPORTED.get()
        && let Err(error) = TextEncoder::new().encode(&exported.registry.gather(), &mut text)
    {
        tracing::error!(%error, "metrics cannot be shown");
    }
    text
}

/// Starts to collect; `otlp` sends them as well.
pub(crate) fn provider(
    resource: Resource,
    otlp: Option<MetricExporter>,
) -> Result<SdkMeterProvider, ExporterBuildError> {
    let failed = |error: String| ExporterBuildError::InternalFailure(error);
    let registry = Registry::new();
    #[cfg(target_os = "linux")]
    registry
        .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
        .map_err(|error| failed(error.to_string()))?;
    let scraped = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        // Names of the catalogue are whole already.
        .without_units()
        .without_counter_suffixes()
        .scope_info_enabled(false)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let mut provider = SdkMeterProvider::builder().with_resource(resource).with_reader(scraped);
    if let Some(exporter) = otlp {
        provider = provider.with_reader(PeriodicReader::builder(exporter).build());
    }
    let provider = provider.build();
    let exported = Exported { registry, meter: provider.meter("natter") };
    if EXPORTED.set(exported).is_ok() {
        catalogue::begin();
    }
    Ok(provider)
}
