//! What a client's handle and its driver both see.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use natter_ids::{ClientId, Position, UserId};
use natter_protocol::ClientFrame;
use tokio::sync::Notify;

use crate::{Fatal, Notification, driver::Told};

/// Counts of what a client has been through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Sessions that began.
    pub sessions: u64,
    /// Sessions that ended, other than by the application, and attempts that failed.
    pub disconnects: u64,
    /// Events that a gateway pushed twice in one session; dropped.
    pub repeats_in_session: u64,
    /// Events that a gateway pushed although the position presented covers them; dropped.
    pub repeats_across_sessions: u64,
    /// Events that did not link to the one before.
    pub holes: u64,
    /// Requests put on the wire again after a lost session or a refusal that may pass.
    pub repeated_requests: u64,
    /// Frames that this version cannot read; ignored.
    pub unknown_frames: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub sessions: AtomicU64,
    pub disconnects: AtomicU64,
    pub repeats_in_session: AtomicU64,
    pub repeats_across_sessions: AtomicU64,
    pub holes: AtomicU64,
    pub repeated_requests: AtomicU64,
    pub unknown_frames: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Position of the last event handed to the application.
    position: Mutex<Option<Position>>,
    /// Up to where marks were told, as far as the application has read.
    marks_position: Mutex<Option<Position>>,
    pub user: OnceLock<UserId>,
    pub fatal: OnceLock<Fatal>,
    /// The gateway's clock minus the device's, in milliseconds.
    clock_offset: AtomicI64,
    pub counters: Counters,
    pub close: Notify,
    /// What is said without waiting for an answer: the newest alone.
    whisper: Mutex<Option<ClientFrame>>,
    whispered: Notify,
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Shared {
    pub fn position(&self) -> Option<Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_position(&self, position: Position) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
    }

    pub fn marks_position(&self) -> Option<Position> {
        self.marks_position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_marks_position(&self, position: Option<Position>) {
        *self.marks_position.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }

    /// The application has seen this.
    pub fn see(&self, told: &Told) {
        match told {
            Told::Notification(Notification::Event(_, position) | Notification::CaughtUp(position)) => {
                self.set_position(position.clone());
            }
            Told::Notification(Notification::PositionRefused) => {
                *self.position.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            Told::MarksReach(position) => self.set_marks_position(position.clone()),
            Told::Notification(_) => {}
        }
    }

    /// What was to be said in the session before is worth nothing in this one.
    pub fn begin_session(&self) {
        self.whisper.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Says something that is worth nothing later, in the place of what was not yet said.
    pub fn whisper(&self, frame: ClientFrame) {
        *self.whisper.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame);
        self.whispered.notify_one();
    }

    /// Waits for what is to be said. Safe to drop while it waits.
    pub async fn to_whisper(&self) -> ClientFrame {
        loop {
            if let Some(frame) = self.whisper.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return frame;
            }
            self.whispered.notified().await;
        }
    }

    pub fn learn_clock(&self, server_time: u64) {
        let ours = i64::try_from(now_ms()).unwrap_or(i64::MAX);
        let theirs = i64::try_from(server_time).unwrap_or(i64::MAX);
        self.clock_offset.store(theirs.saturating_sub(ours), Relaxed);
    }

    /// A client id whose time is not in the gateway's future, even on a device whose clock is
    /// ahead.
    pub fn new_client_id(&self) -> ClientId {
        let offset = self.clock_offset.load(Relaxed);
        if offset > -1_000 {
            return ClientId::now();
        }
        ClientId::at(now_ms().saturating_add_signed(offset))
    }

    pub fn stats(&self) -> Stats {
        let c = &self.counters;
        Stats {
            sessions: c.sessions.load(Relaxed),
            disconnects: c.disconnects.load(Relaxed),
            repeats_in_session: c.repeats_in_session.load(Relaxed),
            repeats_across_sessions: c.repeats_across_sessions.load(Relaxed),
            holes: c.holes.load(Relaxed),
            repeated_requests: c.repeated_requests.load(Relaxed),
            unknown_frames: c.unknown_frames.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_gateways_clock_when_the_device_is_ahead() {
        let shared = Shared::default();
        let hour = 3_600_000;
        shared.learn_clock(now_ms() - hour);
        let behind = shared.new_client_id().time_ms();
        assert!(behind <= now_ms() - hour, "an id from the future would be refused");
        shared.learn_clock(now_ms() + hour);
        assert!(shared.new_client_id().time_ms() <= now_ms(), "a device that is late keeps its own clock");
    }
}
