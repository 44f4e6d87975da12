//! The kinds of metrics, over OpenTelemetry's instruments.
//!
//! An instrument comes into being with the first recording after [`crate::init`]; before, and in
//! processes that never call it, recordings go nowhere.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use opentelemetry::{KeyValue, StringValue, metrics as otel};

use super::{Label, export};

/// What a metric is, as it is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How values are spread.
    Histogram,
}

/// What is known of a metric besides its values.
#[derive(Debug)]
pub struct Metric {
    /// Its name, with the unit, as in Prometheus' conventions.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [Label],
    /// A sentence.
    pub meaning: &'static str,
}

impl Metric {
    /// The unit, by UCUM as OpenTelemetry asks; it follows from the name.
    pub fn unit(&self) -> &'static str {
        let base = self.name.trim_end_matches("_total");
        if base.ends_with("_seconds") {
            "s"
        } else if base.ends_with("_bytes") {
            "By"
        } else {
            "1"
        }
    }
}

type Values<const N: usize> = [StringValue; N];

fn attributes<const N: usize>(metric: &Metric, values: Values<N>) -> [KeyValue; N] {
    let mut labels = metric.labels.iter();
    values.map(|value| KeyValue::new(labels.next().map_or("", |label| label.name()), value))
}

/// A number of things that happened.
#[derive(Debug)]
pub struct Counter<const N: usize> {
    metric: Metric,
    made: OnceLock<otel::Counter<u64>>,
}

impl<const N: usize> Counter<N> {
    pub(super) const fn new(name: &'static str, labels: &'static [Label; N], meaning: &'static str) -> Self {
        Self { metric: Metric { name, kind: Kind::Counter, labels, meaning }, made: OnceLock::new() }
    }

    /// Counts `count` more.
    pub fn add(&self, count: u64, values: Values<N>) {
        if let Some(meter) = export::meter() {
            let Metric { name, meaning, .. } = self.metric;
            let make = || meter.u64_counter(name).with_description(meaning).with_unit(self.metric.unit()).build();
            self.made.get_or_init(make).add(count, &attributes(&self.metric, values));
        }
    }
}

/// How values are spread over buckets.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    metric: Metric,
    made: OnceLock<otel::Histogram<f64>>,
}

/// Upper edges of buckets, in seconds: four or five to each power of ten.
const SECONDS: [f64; 18] =
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// Upper edges of buckets of counts.
const COUNTS: [f64; 10] = [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 10_000.0, 100_000.0];

impl<const N: usize> Histogram<N> {
    pub(super) const fn new(name: &'static str, labels: &'static [Label; N], meaning: &'static str) -> Self {
        Self { metric: Metric { name, kind: Kind::Histogram, labels, meaning }, made: OnceLock::new() }
    }

    /// Takes a value in.
    pub fn record(&self, value: f64, values: Values<N>) {
        if let Some(meter) = export::meter() {
            let Metric { name, meaning, .. } = self.metric;
            let edges = if self.metric.unit() == "s" { SECONDS.to_vec() } else { COUNTS.to_vec() };
            let make = || {
                let builder = meter.f64_histogram(name).with_description(meaning).with_unit(self.metric.unit());
                builder.with_boundaries(edges).build()
            };
            self.made.get_or_init(make).record(value, &attributes(&self.metric, values));
        }
    }

    /// Takes in how long something took.
    pub fn took(&self, time: Duration, values: Values<N>) {
        self.record(time.as_secs_f64(), values);
    }
}

type Series<const N: usize> = Arc<Mutex<HashMap<Values<N>, f64>>>;

/// Values that are true now, each until it is set anew or forgotten.
#[derive(Debug)]
pub struct Gauge<const N: usize> {
    metric: Metric,
    made: OnceLock<Series<N>>,
}

impl<const N: usize> Gauge<N> {
    pub(super) const fn new(name: &'static str, labels: &'static [Label; N], meaning: &'static str) -> Self {
        Self { metric: Metric { name, kind: Kind::Gauge, labels, meaning }, made: OnceLock::new() }
    }

    /// Tells the value of now.
    pub fn set(&'static self, value: f64, values: Values<N>) {
        self.change(|series| {
            series.insert(values, value);
        });
    }

    /// Nothing is known any more, such as of a partition that another replica owns.
    pub fn forget(&'static self, values: &Values<N>) {
        self.change(|series| {
            series.remove(values);
        });
    }

    fn change(&'static self, change: impl FnOnce(&mut HashMap<Values<N>, f64>)) {
        if let Some(meter) = export::meter() {
            let series = self.made.get_or_init(|| self.make(meter));
            change(&mut series.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn make(&'static self, meter: &otel::Meter) -> Series<N> {
        let series = Series::<N>::default();
        let shown = Arc::clone(&series);
        let Metric { name, meaning, .. } = self.metric;
        let builder = meter.f64_observable_gauge(name).with_description(meaning).with_unit(self.metric.unit());
        builder
            .with_callback(move |observer| {
                for (values, value) in &*shown.lock().unwrap_or_else(PoisonError::into_inner) {
                    observer.observe(*value, &attributes(&self.metric, values.clone()));
                }
            })
            .build();
        series
    }
}

/// A whole number that goes up and down, without labels: cheap enough for every frame.
#[derive(Debug)]
pub struct Level {
    metric: Metric,
    value: AtomicI64,
    made: OnceLock<()>,
}

impl Level {
    pub(super) const fn new(name: &'static str, _labels: &'static [Label; 0], meaning: &'static str) -> Self {
        let metric = Metric { name, kind: Kind::Gauge, labels: &[], meaning };
        Self { metric, value: AtomicI64::new(0), made: OnceLock::new() }
    }

    /// Goes up, or down.
    pub fn add(&'static self, difference: i64) {
        self.value.fetch_add(difference, Ordering::Relaxed);
        self.show();
    }

    /// Tells the value of now.
    pub fn set(&'static self, value: i64) {
        self.value.store(value, Ordering::Relaxed);
        self.show();
    }

    fn show(&'static self) {
        if self.made.get().is_none()
            && let Some(meter) = export::meter()
        {
            self.made.get_or_init(|| {
                let Metric { name, meaning, .. } = self.metric;
                let builder = meter.i64_observable_gauge(name).with_description(meaning).with_unit(self.metric.unit());
                builder.with_callback(|observer| observer.observe(self.value.load(Ordering::Relaxed), &[])).build();
            });
        }
    }
}

/// What all kinds have in common.
pub(super) trait Declared: Sync {
    fn metric(&self) -> &Metric;

    /// Makes it show zero before anything has happened, where there is one series.
    fn begin(&'static self) {}
}

impl<const N: usize> Declared for Counter<N> {
    fn metric(&self) -> &Metric {
        &self.metric
    }

    fn begin(&'static self) {
        if N == 0 {
            self.add(0, std::array::from_fn(|_| StringValue::from("")));
        }
    }
}

impl<const N: usize> Declared for Histogram<N> {
    fn metric(&self) -> &Metric {
        &self.metric
    }
}

impl<const N: usize> Declared for Gauge<N> {
    fn metric(&self) -> &Metric {
        &self.metric
    }
}

impl Declared for Level {
    fn metric(&self) -> &Metric {
        &self.metric
    }

    fn begin(&'static self) {
        self.add(0);
    }
}
