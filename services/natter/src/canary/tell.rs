//! Metrics and log lines of the canary.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::stage::{Outcome, Stage};

/// Makes every series exist from the start, so that the first failure is an increase.
pub fn register() {
    for stage in Stage::ALL {
        metrics::counter!("natter_canary_failures_total", "stage" => stage.name()).increment(0);
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
                    metrics::histogram!("natter_canary_seconds", "stage" => stage.name()).record(took.as_secs_f64());
                }
                Outcome::Failed(failure) => {
                    failed = true;
                    let stage = failure.stage;
                    metrics::counter!("natter_canary_failures_total", "stage" => stage.name()).increment(1);
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
        metrics::gauge!("natter_canary_last_success_timestamp_seconds").set(now.as_secs_f64());
    }
}
