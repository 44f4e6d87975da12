//! What goes on behind the sessions: notes are written, revocations heard, records looked into.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, stream};
use natter_bus::users::{GatewaysTold, ReadRecord, Told, WriteError};
use natter_ids::{DeviceId, SessionId, UserId};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Devices, LOOK, WRITE_TRIES};
use crate::{doubt::Doubt, session::jitter};

/// Notes taken at once; those of one user become one write.
const AT_ONCE: usize = 64;
/// How long a write waits that was refused because of another, times the tries.
const PAUSE: Duration = Duration::from_millis(5);
const TICK: Duration = Duration::from_secs(10);
/// Records looked into at once.
const LOOKS_AT_ONCE: usize = 32;
/// How often a gateway that stops looks whether all sessions are gone.
const LAST_NOTES: Duration = Duration::from_millis(20);

pub(super) struct Note {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) what: What,
}

pub(super) enum What {
    Begin {
        name: Option<String>,
        session: SessionId,
        max: u32,
        /// The record as the device was admitted by it: it need not be read again.
        read: Option<ReadRecord>,
    },
    End {
        session: SessionId,
    },
}

impl Devices {
    /// Writes the notes of one lane, until the gateway stops and its sessions are gone.
    pub(super) async fn keep(self, mut queue: mpsc::Receiver<Note>, cancel: CancellationToken) {
        let mut notes = Vec::with_capacity(AT_ONCE);
        let mut last = tokio::time::interval(LAST_NOTES);
        loop {
            tokio::select! {
                _ = queue.recv_many(&mut notes, AT_ONCE) => {}
                _ = last.tick(), if cancel.is_cancelled() => {
                    if self.lock().is_empty() && queue.is_empty() {
                        return;
                    }
                }
                () = cancel.cancelled(), if !cancel.is_cancelled() => {}
            }
            let mut by_user: HashMap<UserId, Vec<Note>> = HashMap::new();
            for note in notes.drain(..) {
                by_user.entry(note.user.clone()).or_default().push(note);
            }
            for (user, notes) in by_user {
                self.write(&user, notes).await;
            }
        }
    }

    async fn write(&self, user: &UserId, mut notes: Vec<Note>) {
        let read = notes.iter_mut().find_map(|note| match &mut note.what {
            What::Begin { read, .. } => read.take(),
            What::End { .. } => None,
        });
        let mut read = read;
        for attempt in 0..WRITE_TRIES {
            let mut now = match read.take() {
                Some(read) => read,
                None => match self.0.bus.user_record(user).await {
                    Ok(read) => read,
                    // It is noted again, at the latest with the next look.
                    Err(error) => return tracing::debug!(error, "what was noted of devices is lost"),
                },
            };
            let before = now.record.devices.clone();
            for Note { device, what, .. } in &notes {
                let at = self.0.bus.now_ms();
                match what {
                    What::Begin { name, session, max, .. } => {
                        now.record.devices.begin(device, name.as_deref(), session, at, *max);
                    }
                    What::End { session } => now.record.devices.end(device, session, at),
                }
            }
            if now.record.devices == before {
                return;
            }
            match self.0.bus.keep_user_record(user, &now).await {
                Ok(()) => return,
                Err(WriteError::Moved) => tokio::time::sleep(jitter(PAUSE * (attempt + 1))).await,
                Err(error) => return tracing::debug!(%error, "what was noted of devices is lost"),
            }
        }
    }

    pub(super) async fn follow(self, mut told: GatewaysTold, mut doubts: watch::Receiver<Doubt>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                told = told.next() => match told {
                    Some(Told::Revoked { user, device }) => self.close(&user, |other| *other == device),
                    // The record holds everything; what is told is for those who keep none.
                    Some(Told::Changed { user } | Told::Privacy { user, .. }) => self.look_into_if_here(&user).await,
                    None => return,
                },
                // A revocation may have been among what was lost.
                Ok(()) = doubts.changed() => {
                    if !doubts.borrow_and_update().away {
                        self.look(|_| true).await;
                    }
                }
                _ = tick.tick() => self.look(|look_at| look_at <= Instant::now()).await,
            }
        }
    }

    /// Looks into the records of users who are here.
    async fn look(&self, is_due: impl Fn(Instant) -> bool) {
        let mut due = Vec::new();
        for (user, here) in self.lock().iter_mut().filter(|(_, here)| is_due(here.look_at)) {
            here.look_at = Instant::now() + jitter(LOOK);
            // Revisions begin anew in a bucket that was lost.
            here.revision = 0;
            due.push(user.clone());
        }
        stream::iter(due).for_each_concurrent(LOOKS_AT_ONCE, |user| async move { self.look_into(&user).await }).await;
    }

    async fn look_into_if_here(&self, user: &UserId) {
        let is_here = self.lock().contains_key(user);
        if is_here {
            self.look_into(user).await;
        }
    }

    /// Reads a user's record, and has their sessions here act on it.
    pub(crate) async fn look_into(&self, user: &UserId) {
        let read = match self.0.bus.user_record(user).await {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(error, "a record of devices cannot be read; it is looked into again soon");
                if let Some(here) = self.lock().get_mut(user) {
                    here.look_at = Instant::now();
                }
                return;
            }
        };
        self.close(user, |device| read.record.devices.is_revoked(device));
        self.go_by(user, &read);
        let now = self.0.bus.now_ms();
        let here = self.lock();
        let entries = here.get(user).map(|here| here.entries.as_slice()).unwrap_or_default();
        for entry in entries.iter().filter(|entry| read.record.devices.is_stale(&entry.device, now)) {
            let (name, session, max) = (entry.name.clone(), entry.session.clone(), u32::MAX);
            self.note(user.clone(), entry.device.clone(), What::Begin { name, session, max, read: None });
        }
    }
}
