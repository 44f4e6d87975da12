//! Everything a session does by the clock.

use std::{pin::Pin, time::Duration};

use natter_protocol::{CloseCode, ServerFrame};
use tokio::time::{Instant, Sleep};

use super::{
    super::{
        doubt_wait,
        socket::Socket,
        timers::{Retry, jitter},
    },
    Session,
};
use crate::{Config, doubt::Doubt};

const MARKER_RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
const ARCHIVE_RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// How long an event waits for the one before it, which took the other way.
const EARLY_WAIT: Duration = Duration::from_millis(200);
/// The most that a client is asked to wait before it connects again, in milliseconds: the pace
/// of closing spreads clients already.
const RECONNECT_AFTER_MS: u32 = 1_000;

/// When things are due.
pub(super) struct When {
    /// When the client was heard last.
    pub(super) heard: Instant,
    ping: Instant,
    audit: Instant,
    /// When to make sure that nothing was lost, and whether nothing can be relied on.
    pub(super) doubt: Option<(Instant, bool)>,
    /// Until when an event that came early waits.
    early: Option<Instant>,
    pub(super) marker: Retry,
    pub(super) archive: Retry,
    pub(super) token: Token,
    /// Set once the gateway drains.
    pub(super) leave: Option<Instant>,
}

/// The end of the session's token.
pub(super) struct Token {
    /// In milliseconds since 1970 UTC.
    expires_at: u64,
    /// The warning, then the end.
    due: Instant,
    warned: bool,
}

impl Token {
    /// Times are in milliseconds since 1970 UTC.
    pub(super) fn new(config: &Config, expires_at: u64, now_ms: u64) -> Self {
        let left = Duration::from_millis(expires_at.saturating_sub(now_ms));
        let warning = Duration::from_millis(config.token_warning_ms.into());
        // A token for less than the warning's time is warned about half way.
        Self { expires_at, due: after(left - warning.min(left / 2)), warned: false }
    }
}

/// A token may be valid for longer than a timer can count: then it is looked at again.
fn after(wait: Duration) -> Instant {
    Instant::now() + wait.min(Duration::from_secs(24 * 3600))
}

impl When {
    pub(super) fn new(config: &Config, token_expires_at: u64, now_ms: u64) -> Self {
        let now = Instant::now();
        Self {
            heard: now,
            ping: now + jitter(config.ping_interval()),
            audit: now + jitter(config.audit_interval()),
            doubt: None,
            early: None,
            marker: Retry::new(MARKER_RETRY.0, MARKER_RETRY.1),
            archive: Retry::new(ARCHIVE_RETRY.0, ARCHIVE_RETRY.1),
            token: Token::new(config, token_expires_at, now_ms),
            leave: None,
        }
    }

    /// Begins, goes on or ends to wait for what an early event needs.
    pub(super) fn wait_for_early(&mut self, waits: bool) {
        self.early = waits.then(|| self.early.unwrap_or_else(|| Instant::now() + EARLY_WAIT));
    }
}

impl Session<'_> {
    /// Sets the timer to the next thing that is due.
    pub(super) fn arm(&self, timer: &mut Pin<Box<Sleep>>, socket: &Socket) {
        let (when, config) = (&self.when, &self.shared.config);
        let mut due = when.ping.min(when.audit).min(when.token.due).min(when.heard + config.ping_interval() * 2);
        let mut sooner = |at: Option<Instant>| due = at.map_or(due, |at| due.min(at));
        sooner(when.doubt.map(|(at, _)| at));
        sooner(when.early);
        sooner(when.leave);
        sooner(self.seam.needs_marker().then(|| when.marker.at()));
        sooner((self.page.is_none() && self.seam.wants_backlog().is_some()).then(|| when.archive.at()));
        sooner(socket.stuck_since().map(|since| Instant::from_std(since) + config.write_timeout()));
        // Setting a timer is dear: one that rings too early only looks again.
        if due < timer.deadline() || timer.is_elapsed() {
            timer.as_mut().reset(due);
        }
    }

    pub(super) fn on_timer(&mut self, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        let (now, config) = (Instant::now(), &self.shared.config);
        if now.duration_since(self.when.heard) >= config.ping_interval() * 2 {
            return Err(Some(CloseCode::Silent));
        }
        if socket.stuck_since().is_some_and(|since| since.elapsed() >= config.write_timeout()) {
            return Err(Some(CloseCode::SlowConsumer));
        }
        if self.when.leave.is_some_and(|at| at <= now) {
            socket.push(&ServerFrame::GoingAway { reconnect_after_ms: rand::random_range(0..RECONNECT_AFTER_MS) });
            return Err(Some(CloseCode::GoingAway));
        }
        if self.when.token.due <= now {
            self.token_due(socket)?;
        }
        if self.when.ping <= now {
            self.when.ping = now + jitter(config.ping_interval());
            socket.push_ping();
        }
        if self.when.audit <= now {
            self.when.audit = now + jitter(config.audit_interval());
            self.seam.audit();
        }
        if self.when.early.take_if(|at| *at <= now).is_some() {
            self.seam.give_up_waiting();
        }
        if let Some((_, deep)) = self.when.doubt.take_if(|(at, _)| *at <= now) {
            if deep {
                self.seam.suspect()
            } else {
                self.seam.audit()
            }
            // Changes of presence are not linked: whoever is watched may have changed unseen.
            self.look_at(self.watching.users.clone());
        }
        Ok(())
    }

    /// Something may have been lost: to be made sure of a moment later.
    pub(super) fn on_doubt(&mut self, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        let Doubt { deep, away, .. } = *self.doubts.borrow_and_update();
        if away {
            self.tell_delayed("delivery", socket);
        }
        let deep = deep || self.when.doubt.is_some_and(|(_, deep)| deep);
        self.when.doubt = Some((Instant::now() + doubt_wait(self.shared.sessions()), deep));
        Ok(())
    }

    fn token_due(&mut self, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        let now = self.shared.bus.now_ms();
        let token = &mut self.when.token;
        let left = Duration::from_millis(token.expires_at.saturating_sub(now));
        let warning = Duration::from_millis(self.shared.config.token_warning_ms.into());
        if left.is_zero() {
            return Err(Some(CloseCode::TokenExpired));
        }
        if !token.warned && left <= warning {
            token.warned = true;
            socket.push(&ServerFrame::TokenExpiring { expires_at: token.expires_at });
        }
        token.due = after(if token.warned { left } else { left - warning });
        Ok(())
    }
}
