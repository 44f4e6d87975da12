//! Who may write in a group, remembered: of how it is set up, what each message needs.
//!
//! Every change passes through the inbox of a member who is connected here, and is taken in from there:
//! a gateway knows of it as soon as its users do. What nobody here is told of is read again after a while.

use std::time::Duration;

use moka::sync::Cache;
use natter_bus::{
    Bus,
    storage_api::{Membership, MembershipReply},
};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, ErrorBody, Event, GroupPatch, Who};
use tokio::time::Instant;

use crate::members::refusal;

const CACHED_MAX: u64 = 100_000;
/// After so long settings are read again; while the archive cannot be reached they are believed.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// What is known of a group.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// `None`: only that something has changed.
    write: Option<Who>,
    /// Changes up to this number are taken in.
    changed: Seq,
    read_at: Instant,
}

/// What is known of groups.
pub(crate) struct GroupSettingsKnown {
    bus: Bus,
    known: Cache<ConversationId, Known>,
}

impl GroupSettingsKnown {
    pub(crate) fn new(bus: Bus) -> Self {
        Self { bus, known: Cache::new(CACHED_MAX) }
    }

    /// Who may write in the group; `user` is who asks.
    pub(crate) async fn write(&self, group: &ConversationId, user: &UserId) -> Result<Who, ErrorBody> {
        let known = self.known.get(group);
        let changed = known.as_ref().map_or(0, |known| known.changed);
        let fresh = known.as_ref().is_some_and(|known| known.read_at.elapsed() < FRESH_FOR);
        let write = known.and_then(|known| known.write);
        if let Some(write) = write.filter(|_| fresh) {
            return Ok(write);
        }
        // Waits for the archive only where it is known to have to know more.
        let asked = Membership { user: user.clone(), conversation: group.clone(), at_least: changed };
        match (self.bus.ask(&asked).await, write) {
            (Ok(reply), _) => {
                // What is not archived yet has begun a moment ago. Older changes, which a device that was
                // away gets now, are in what was read.
                let MembershipReply { settings, last_seq, .. } = reply.unwrap_or_default();
                let (write, changed) = (settings.write, changed.max(last_seq));
                self.note(group, Known { write: Some(write), changed, read_at: Instant::now() });
                Ok(write)
            }
            (Err(_), Some(write)) => Ok(write),
            (Err(error), None) => Err(refusal(error)),
        }
    }

    /// Takes in an event on its way to a member, if it changes a group.
    pub(crate) fn take_in(&self, event: &str) {
        // Inside a JSON text every quote is escaped, so this finds nothing that people wrote.
        if !event.contains("\"kind\":\"group_changed\"") {
            return;
        }
        let Ok(Event { conversation, seq, entry, .. }) = serde_json::from_str(event) else { return };
        if let Change::GroupChanged { patch } = entry.change {
            self.changed(&conversation, seq, &patch);
        }
    }

    /// Takes in a change that stands in the log under a number.
    pub(crate) fn changed(&self, group: &ConversationId, seq: Seq, patch: &GroupPatch) {
        let known = self.known.get(group);
        if known.as_ref().is_some_and(|known| known.changed >= seq) {
            return;
        }
        let read_at = known.as_ref().map_or_else(Instant::now, |known| known.read_at);
        let write = patch.write.or_else(|| known.and_then(|known| known.write));
        self.note(group, Known { write, changed: seq, read_at });
    }

    /// Keeps what is newer.
    fn note(&self, group: &ConversationId, read: Known) {
        self.known.entry_by_ref(group).and_upsert_with(|entry| {
            let newer = entry.map(moka::Entry::into_value).filter(|known| known.changed > read.changed);
            newer.unwrap_or(read)
        });
    }
}
