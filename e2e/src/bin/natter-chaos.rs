//! `natter-chaos`: see `--help` and `docs/reliability.md`.

#![allow(clippy::print_stdout, reason = "the table is what it is run for")]

use std::{
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    time::Duration,
};

use clap::Parser;
use natter_e2e::chaos::{self, Outcome};

/// Breaks a whole deployment of Natter, part by part, while people talk, and checks that nothing
/// is lost, doubled, out of order, leaked or made up.
#[derive(Debug, Parser)]
struct Options {
    /// Lists the scenarios and ends.
    #[arg(long)]
    list: bool,
    /// Runs only these, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Runs the matrix so many times.
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Runs no matrix, but faults at random for so many seconds.
    #[arg(long, value_name = "SECONDS")]
    soak: Option<u64>,
    /// Chooses the faults of the soak; absent: any, and it is told.
    #[arg(long)]
    seed: Option<u64>,
}

/// What tells this program that it has its own mounts.
const OWN_MOUNTS: &str = "NATTER_CHAOS_OWN_MOUNTS";

/// Small disks are mounted where nobody else sees them, and go with this process however it ends:
/// it runs itself once more in a namespace of its own, where that is allowed.
fn hide_mounts() {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--"]).env(OWN_MOUNTS, "yes");
        command
    };
    let allowed = || unshare().arg("true").output().is_ok_and(|output| output.status.success());
    if std::env::var_os(OWN_MOUNTS).is_none()
        && let Ok(program) = std::env::current_exe()
        && allowed()
    {
        // Comes back only when it failed; then the mounts are seen, and taken away in the end.
        let _ = unshare().arg(program).args(std::env::args_os().skip(1)).exec();
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    hide_mounts();
    if options.list {
        for scenario in chaos::ALL {
            println!("{:24} {}", scenario.name, scenario.hypothesis);
        }
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = options.only.iter().find(|name| chaos::scenario(name).is_none()) {
        chaos::tell(&format!("There is no scenario `{unknown}`: --list shows them all."));
        return ExitCode::from(64);
    }
    let (mut outcomes, mut not_run) = (Vec::new(), 0);
    if let Some(seconds) = options.soak {
        let seed = options.seed.unwrap_or_else(rand::random);
        chaos::tell(&format!("soak of {seconds} s, seed {seed}"));
        outcomes.push(told(chaos::soak(seed, Duration::from_secs(seconds)).await));
    } else {
        for round in 1..=options.times {
            let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
            for scenario in chaos::ALL.iter().filter(|scenario| wanted(scenario.name)) {
                if let Some(why) = scenario.impossible() {
                    chaos::tell(&format!("round {round}: {}: NOT RUN: {why}", scenario.name));
                    not_run += 1;
                    continue;
                }
                chaos::tell(&format!("round {round}: {}: {}", scenario.name, scenario.hypothesis));
                outcomes.push(told(scenario.run().await));
            }
        }
    }
    println!("{}", chaos::table(&outcomes));
    if not_run > 0 {
        chaos::tell(&format!("{not_run} scenarios were NOT RUN: see above for why"));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    if failed > 0 {
        chaos::tell(&format!("{failed} of {} scenarios failed", outcomes.len()));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn told(outcome: Outcome) -> Outcome {
    match &outcome.result {
        Ok(numbers) => {
            chaos::tell(&format!("  held: {} messages in {:.0} s", numbers.messages, outcome.took.as_secs_f64()))
        }
        Err(why) => chaos::tell(&format!("  FAILED: {why}")),
    }
    outcome
}
