//! One round, for people and for `helm test`.

use std::process::ExitCode;

use super::{
    pair::Pair,
    stage::{Outcome, Stage},
};
use crate::output;

/// Goes through all stages and prints how each went. Exit code 1 when one failed.
pub async fn run(pair: &mut Pair) -> ExitCode {
    // Both return: either gateway may be the one that cannot read the archive.
    let mut outcomes = pair.round(Some(0)).await;
    if !outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_))) {
        outcomes.extend(pair.round(Some(1)).await);
    }
    output::say(&format!("{:<10} {:<24} {}", "STAGE", "USER", "TOOK"));
    for outcome in &outcomes {
        let (stage, user, took) = match outcome {
            Outcome::Passed { stage, user, took } => {
                (stage.name(), user, format!("{:.1} ms", took.as_secs_f64() * 1000.0))
            }
            Outcome::Failed(failure) => (failure.stage.name(), &failure.user, "FAILED".to_owned()),
        };
        output::say(&format!("{stage:<10} {:<24} {took}", user.as_str()));
    }
    let passed =
        |stage: Stage| outcomes.iter().any(|o| matches!(o, Outcome::Passed { stage: other, .. } if *other == stage));
    let mut failed = false;
    for outcome in &outcomes {
        if let Outcome::Failed(failure) = outcome {
            failed = true;
            output::complain(&format!(
                "natter: {}: {}; {}",
                failure.stage.name(),
                failure.said,
                failure.stage.advice()
            ));
        }
    }
    if failed {
        let skipped: Vec<_> = Stage::TIMED.into_iter().filter(|stage| !passed(*stage)).map(Stage::name).collect();
        output::say(&format!("Not passed: {}.", skipped.join(", ")));
        return ExitCode::FAILURE;
    }
    output::say("Every stage passed.");
    ExitCode::SUCCESS
}
