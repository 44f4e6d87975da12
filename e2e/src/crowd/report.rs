//! What a crowd went through.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use natter_checker::{History, Violation, check};
use natter_client::Stats;

use super::load::Accepted;

/// Violations of each kind that a failure lists; there may be thousands of one cause.
const LISTED: usize = 8;

/// What a crowd went through, and what the checker says.
pub struct Report {
    history: History,
    violations: Vec<Violation>,
    total: Stats,
    accepted: Accepted,
    /// What went wrong besides what the checker finds.
    problems: Vec<String>,
    took: Duration,
    file: PathBuf,
}

impl Report {
    pub(crate) fn new(
        history: History,
        stats: Vec<Stats>,
        accepted: Accepted,
        problems: Vec<String>,
        took: Duration,
        file: PathBuf,
    ) -> Self {
        let total = stats.into_iter().fold(Stats::default(), |total, one| Stats {
            sessions: total.sessions + one.sessions,
            disconnects: total.disconnects + one.disconnects,
            repeats_in_session: total.repeats_in_session + one.repeats_in_session,
            repeats_across_sessions: total.repeats_across_sessions + one.repeats_across_sessions,
            holes: total.holes + one.holes,
            repeated_requests: total.repeated_requests + one.repeated_requests,
            unknown_frames: total.unknown_frames + one.unknown_frames,
        });
        Self { violations: check(&history), history, total, accepted, problems, took, file }
    }

    /// Everything that was tried, answered and received.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How many messages were accepted.
    pub fn messages(&self) -> u64 {
        self.accepted.messages
    }

    /// How many changes of messages and of members, and marks, were accepted.
    pub fn changes(&self) -> u64 {
        self.accepted.changes
    }

    /// Sums over all clients.
    pub fn stats(&self) -> Stats {
        self.total
    }

    /// Adds what else went wrong.
    pub fn also(&mut self, problem: Option<String>) {
        self.problems.extend(problem);
    }

    /// Asserts that nothing was lost, repeated, reordered, leaked or made up, that it stands
    /// everywhere as it was received, and that gateways left nothing of that to the clients to
    /// repair.
    ///
    /// # Panics
    /// When a guarantee was broken; the history is kept for a closer look.
    pub fn assert_clean(&self) {
        let gateways_at_fault = self.total.repeats_in_session + self.total.holes + self.total.unknown_frames;
        if self.violations.is_empty() && self.problems.is_empty() && gateways_at_fault == 0 {
            return;
        }
        let mut by_kind: BTreeMap<_, Vec<_>> = BTreeMap::new();
        self.violations.iter().for_each(|it| by_kind.entry(it.kind()).or_default().push(it));
        let of_kind = |(kind, all): (_, Vec<&Violation>)| {
            let listed = all.iter().take(LISTED).map(ToString::to_string);
            std::iter::once(format!("{} {kind}:", all.len())).chain(listed).collect::<Vec<_>>()
        };
        let listed: Vec<_> = self.problems.iter().cloned().chain(by_kind.into_iter().flat_map(of_kind)).collect();
        panic!("{self}\nhistory: {}\n{}", keep(&self.history, &self.file), listed.join("\n"));
    }
}

/// Writes a history into a file; says where, or why not.
pub(super) fn keep(history: &History, file: &Path) -> String {
    let lines: Vec<_> = history.lines().collect();
    let kept = std::fs::write(file, lines.join("\n"));
    kept.map_or_else(|error| format!("cannot be kept: {error}"), |()| file.display().to_string())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { history, violations, total, accepted, took, .. } = self;
        write!(
            f,
            "{} messages and {} changes accepted in {:.1} s, the slowest after {:.1} s; {} receipts in {} sessions; {} disconnects, \
             {} requests repeated, {} repeats in a session, {} across sessions, {} holes; {} violations",
            accepted.messages,
            accepted.changes,
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
