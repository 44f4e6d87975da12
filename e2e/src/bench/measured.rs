//! Numbers of repeated measurements, and latencies.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

/// The same quantity measured several times on a noisy machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a measurement.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle measurement, or the mean of the two in the middle. `None` without any.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let upper = sorted.get(sorted.len() / 2)?;
        let lower = sorted.get((sorted.len() - 1) / 2)?;
        Some((lower + upper) / 2.0)
    }

    /// The smallest and the largest measurement.
    pub fn range(&self) -> Option<(f64, f64)> {
        let smallest = self.0.iter().copied().min_by(f64::total_cmp)?;
        let largest = self.0.iter().copied().max_by(f64::total_cmp)?;
        Some((smallest, largest))
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Moments of one run as numbers that fit into a message.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Starts at zero.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// A moment as nanoseconds since the start; 0 for one before it.
    pub fn at(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.0).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Collects how long messages took.
#[derive(Debug)]
pub struct Latencies(Mutex<Histogram<u64>>);

impl Latencies {
    const LARGEST: Duration = Duration::from_secs(120);

    /// No measurement yet; kept to three digits, up to two minutes.
    ///
    /// # Errors
    /// Never in practice: the bounds are valid.
    pub fn new() -> Result<Self> {
        Ok(Self(Mutex::new(Histogram::new_with_bounds(1_000, Self::LARGEST.as_nanos() as u64, 3)?)))
    }

    /// Adds a measurement in nanoseconds.
    pub fn record(&self, nanos: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(nanos);
    }

    /// How many measurements there are.
    pub fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What was measured.
    ///
    /// # Errors
    /// Nothing was measured.
    pub fn summary(&self) -> Result<Latency> {
        let histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(!histogram.is_empty(), "no message was measured");
        let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
        Ok(Latency { p50: ms(0.5), p95: ms(0.95), p99: ms(0.99) })
    }
}

/// How long messages took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Half of them took at most this.
    pub p50: f64,
    /// 95 of a hundred took at most this.
    pub p95: f64,
    /// 99 of a hundred took at most this.
    pub p99: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        values.iter().copied().collect()
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(samples(&[3.0, 1.0, 9.0]).median(), Some(3.0));
        assert_eq!(samples(&[4.0, 1.0, 2.0, 9.0]).median(), Some(3.0));
        assert_eq!(samples(&[]).median(), None);
        assert_eq!(samples(&[3.0, 1.0, 9.0]).range(), Some((1.0, 9.0)));
    }

    #[test]
    fn percentiles_are_in_milliseconds() -> Result<()> {
        let latencies = Latencies::new()?;
        assert!(latencies.summary().is_err());
        (1..=100).for_each(|ms| latencies.record(ms * 1_000_000));
        let Latency { p50, p95, p99 } = latencies.summary()?;
        for (value, expected) in [(p50, 50.0), (p95, 95.0), (p99, 99.0)] {
            assert!((value - expected).abs() < 0.2, "{value} is not about {expected}");
        }
        Ok(())
    }
}
