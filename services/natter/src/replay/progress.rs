//! Telling how far a replay is, while it runs.

use std::{
    io::{IsTerminal, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

const INTERVAL: Duration = Duration::from_secs(1);

/// How far a replay is.
#[derive(Debug)]
pub(super) struct Progress {
    phase: Mutex<&'static str>,
    /// Lines to say.
    lines: usize,
    /// Lines said.
    pub said: AtomicUsize,
    /// Speakers connected, or trying to.
    pub online: AtomicUsize,
    /// Entries of the group that devices received.
    pub delivered: AtomicU64,
}

impl Progress {
    pub fn new(lines: usize) -> Self {
        let phase = Mutex::new("connecting");
        Self { phase, lines, said: AtomicUsize::new(0), online: AtomicUsize::new(0), delivered: AtomicU64::new(0) }
    }

    /// Names what is being done now.
    pub fn enter(&self, phase: &'static str) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn line(&self, since: Instant) -> String {
        let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        format!(
            "{:>4} s  {phase}: {}/{} lines said, {} online, {} delivered",
            since.elapsed().as_secs(),
            self.said.load(Relaxed),
            self.lines,
            self.online.load(Relaxed),
            self.delivered.load(Relaxed),
        )
    }

    /// Writes a line to standard error each second, for ever; on a terminal always the same one.
    pub async fn tell(&self) -> std::convert::Infallible {
        let begin = Instant::now();
        let mut ticks = interval_at(begin + INTERVAL, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let terminal = std::io::stderr().is_terminal();
        loop {
            ticks.tick().await;
            let line = self.line(begin);
            // Back to the start of the line, and clear what stood there (ECMA-48, EL).
            let line = if terminal { format!("\r{line}\x1b[K") } else { format!("{line}\n") };
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(line.as_bytes()).and_then(|()| stderr.flush());
        }
    }

    /// Ends the line that [`Progress::tell`] may have left on a terminal.
    pub fn done(&self) {
        if std::io::stderr().is_terminal() {
            let _ = writeln!(std::io::stderr().lock());
        }
    }
}
