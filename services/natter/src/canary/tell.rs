//! Metrics and log lines of the canary.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use natter_telemetry::metrics;

use super::stage::{Outcome, Stage};

/// Makes every series exist from the start, so that the first failure is an increase.
pub fn register() {
    for stage in Stage::ALL {
        metrics::CANARY_FAILURES.add(0, [stage.name().into()]);
    }
}

/// Tells how rounds went: failures and the end of them, not every success.
#[derive(Debug, Default)]
pub struct Teller {
    failed: u64,
}

impl Teller {
    pub fn tell(&mut self, outcomes: &[Outcome], took: Duration) {
        let mut failed = false;
        for outcome in outcomes {
            match outcome {
                Outcome::Passed { stage, took, .. } => {
                    metrics::CANARY.took(*took, [stage.name().into()]);
                }
                Outcome::Failed(failure) => {
                    failed = true;
                    let stage = failure.stage;
                    metrics::CANARY_FAILURES.add(1, [stage.name().into()]);
                    tracing::warn!(
                        stage = stage.name(),
                        user = %failure.user,
                        look_at = stage.advice(),
                        "{}",
                        failure.said
                    );
                }
            }
        }
        if failed {
            self.failed += 1;
            return;
        }
        if self.failed > 0 {
            tracing::info!(failed_rounds = self.failed, "the whole path works again");
            self.failed = 0;
        }
        tracing::debug!(?took, "the whole path works");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        metrics::CANARY_LAST_SUCCESS.set(now.as_secs_f64(), []);
    }
}
