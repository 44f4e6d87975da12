//! What a crowd went through.

use std::{fmt, path::PathBuf, time::Duration};

use natter_checker::{History, Violation, check};
use natter_client::Stats;

use super::load::Accepted;

/// Violations that a failure lists; there may be thousands of one cause.
const LISTED: usize = 20;

/// What a crowd went through, and what the checker says.
pub struct Report {
    history: History,
    violations: Vec<Violation>,
    total: Stats,
    accepted: Accepted,
    took: Duration,
    file: PathBuf,
}

impl Report {
    pub(crate) fn new(history: History, stats: Vec<Stats>, accepted: Accepted, took: Duration, file: PathBuf) -> Self {
        let total = stats.into_iter().fold(Stats::default(), |total, one| Stats {
            sessions: total.sessions + one.sessions,
            disconnects: total.disconnects + one.disconnects,
            repeats_in_session: total.repeats_in_session + one.repeats_in_session,
            repeats_across_sessions: total.repeats_across_sessions + one.repeats_across_sessions,
            holes: total.holes + one.holes,
            repeated_requests: total.repeated_requests + one.repeated_requests,
            unknown_frames: total.unknown_frames + one.unknown_frames,
        });
        Self { violations: check(&history), history, total, accepted, took, file }
    }

    /// Everything that was tried, answered and received.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How many messages were accepted.
    pub fn messages(&self) -> u64 {
        self.accepted.messages
    }

    /// Sums over all clients.
    pub fn stats(&self) -> Stats {
        self.total
    }

    /// Asserts that nothing was lost, repeated, reordered, leaked or made up, and that gateways
    /// left nothing of that to the clients to repair.
    ///
    /// # Panics
    /// When a guarantee was broken; the history is kept for a closer look.
    pub fn assert_clean(&self) {
        let gateways_at_fault = self.total.repeats_in_session + self.total.holes + self.total.unknown_frames;
        if self.violations.is_empty() && gateways_at_fault == 0 {
            return;
        }
        let lines: Vec<_> = self.history.lines().collect();
        let kept = std::fs::write(&self.file, lines.join("\n")).map(|()| self.file.display().to_string());
        let listed: Vec<_> = self.violations.iter().take(LISTED).map(ToString::to_string).collect();
        panic!(
            "{} violations; {self}\nhistory: {}\n{}",
            self.violations.len(),
            kept.unwrap_or_else(|error| format!("cannot be kept: {error}")),
            listed.join("\n")
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { history, violations, total, accepted, took, .. } = self;
        write!(
            f,
            "{} messages accepted in {:.1} s, the slowest after {:.1} s; {} receipts in {} sessions; {} disconnects, \
             {} requests repeated, {} repeats in a session, {} across sessions, {} holes; {} violations",
            accepted.messages,
            took.as_secs_f64(),
            accepted.slowest.as_secs_f64(),
            history.receipts(),
            total.sessions,
            total.disconnects,
            total.repeated_requests,
            total.repeats_in_session,
            total.repeats_across_sessions,
            total.holes,
            violations.len(),
        )
    }
}
