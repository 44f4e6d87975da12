//! How groups are set up, remembered.
//!
//! Every change passes through the inbox of a member who is connected here, and is taken in from there:
//! a gateway knows of it as soon as its users do. What nobody here is told of is read again after a while.

use std::time::Duration;

use moka::sync::Cache;
use natter_bus::{Bus, storage_api::Membership};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, ErrorBody, Event, GroupPatch, GroupSettings};
use tokio::time::Instant;

use crate::members::refusal;

const CACHED_MAX: u64 = 100_000;
/// After so long settings are read again; while the archive cannot be reached they are believed.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// What is known of a group.
#[derive(Debug, Clone)]
struct Known {
    /// `None`: only that it has changed.
    settings: Option<GroupSettings>,
    /// The newest change that is taken in; 0 for none.
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

    /// How the group is set up; `user` is who asks.
    pub(crate) async fn of(&self, group: &ConversationId, user: &UserId) -> Result<GroupSettings, ErrorBody> {
        let known = self.known.get(group);
        let changed = known.as_ref().map_or(0, |known| known.changed);
        let fresh = known.as_ref().is_some_and(|known| known.read_at.elapsed() < FRESH_FOR);
        let settings = known.and_then(|known| known.settings);
        if let Some(settings) = settings.as_ref().filter(|_| fresh) {
            return Ok(settings.clone());
        }
        // Waits for the archive only where it is known to have to know more.
        let asked = Membership { user: user.clone(), conversation: group.clone(), at_least: changed };
        match (self.bus.ask(&asked).await, settings) {
            (Ok(reply), _) => {
                // What is not archived yet has begun a moment ago.
                let settings = reply.map(|reply| reply.settings).unwrap_or_default();
                self.note(group, Known { settings: Some(settings.clone()), changed, read_at: Instant::now() });
                Ok(settings)
            }
            (Err(_), Some(settings)) => Ok(settings),
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
        let mut settings = known.and_then(|known| known.settings);
        if let Some(settings) = &mut settings {
            settings.apply(patch);
        }
        self.note(group, Known { settings, changed: seq, read_at });
    }

    /// Keeps what is newer.
    fn note(&self, group: &ConversationId, read: Known) {
        self.known.entry_by_ref(group).and_upsert_with(|entry| {
            let newer = entry.map(moka::Entry::into_value).filter(|known| known.changed > read.changed);
            newer.unwrap_or(read)
        });
    }
}
