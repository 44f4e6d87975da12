//! Which of the requests that enter are recorded.

use std::sync::OnceLock;

static SAMPLING: OnceLock<Sampling> = OnceLock::new();

/// What share of requests is recorded, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampling(f64);

/// The variables of the OpenTelemetry specification ("General SDK configuration").
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// The environment names a sampler that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{variable}` is `{value}`: {expected}")]
pub struct InvalidSampler {
    variable: &'static str,
    value: String,
    expected: &'static str,
}

impl Sampling {
    /// Reads the standard variables; `configured` is the ratio where they do not say.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>, configured: f64) -> Result<Self, InvalidSampler> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let Some(sampler) = set(SAMPLER) else { return Ok(Self(configured)) };
        match sampler.as_str() {
            "always_on" | "parentbased_always_on" => Ok(Self(1.0)),
            "always_off" | "parentbased_always_off" => Ok(Self(0.0)),
            "traceidratio" | "parentbased_traceidratio" => {
                let Some(argument) = set(ARGUMENT) else { return Ok(Self(1.0)) };
                let ratio = argument.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
                ratio.map(Self).ok_or(InvalidSampler {
                    variable: ARGUMENT,
                    value: argument,
                    expected: "it must be a number from 0 to 1",
                })
            }
            _ => Err(InvalidSampler {
                variable: SAMPLER,
                value: sampler,
                expected: "it must be always_on, always_off or traceidratio, or one of these with `parentbased_` before",
            }),
        }
    }

    pub(crate) fn install(self) {
        let _ = SAMPLING.set(self);
    }
}

/// Decides about one request, by chance alone.
pub(crate) fn decide() -> bool {
    match SAMPLING.get() {
        None | Some(Sampling(0.0)) => false,
        Some(Sampling(ratio)) => *ratio >= 1.0 || rand::random::<f64>() < *ratio,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(sampler: &str, argument: &str) -> Result<f64, InvalidSampler> {
        let variable = |name: &str| Some(if name == SAMPLER { sampler } else { argument }.to_owned());
        Sampling::read(variable, 0.01).map(|Sampling(ratio)| ratio)
    }

    #[test]
    fn the_standard_variables_are_read() {
        assert_eq!(read("", ""), Ok(0.01));
        assert_eq!(read("always_on", ""), Ok(1.0));
        assert_eq!(read("parentbased_always_off", "0.5"), Ok(0.0));
        assert_eq!(read("traceidratio", "0.25"), Ok(0.25));
        assert_eq!(read("parentbased_traceidratio", ""), Ok(1.0));
        assert_eq!(read("parentbased_traceidratio", "2").unwrap_err().variable, ARGUMENT);
        assert_eq!(read("jaeger_remote", "").unwrap_err().variable, SAMPLER);
    }
}
