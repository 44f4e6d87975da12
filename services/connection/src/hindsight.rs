//! Changes of messages from before a member came: what they say is kept from whoever does not see the past. Asked once
//! for each change, however many of this gateway's users get it. Reactions, of which there may be very many and which
//! hold no text, are not asked about.

use std::{collections::HashSet, sync::Arc, time::Duration};

use moka::future::Cache;
use natter_bus::{
    AskError, Bus,
    storage_api::{Latecomers, Message},
};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, Event};
use tokio::time::timeout;

/// Users in all answers that are remembered.
const USERS_MAX: u64 = 500_000;
/// All sessions of a gateway get a change at about the same time.
const FRESH_FOR: Duration = Duration::from_secs(30);
/// How long live events wait for the answer.
const WAIT: Duration = Duration::from_secs(2);

/// How the JSON of an event in a group begins.
const GROUP: &str = "{\"conversation\":\"g";
/// What changes of messages hold. Inside a JSON text every quote is escaped, so this finds nothing that people wrote.
const TARGET: &str = "\"target\":";
const REACTED: &str = "\"kind\":\"reacted\"";

/// A change of a message, of which has to be known who sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LookBack {
    conversation: ConversationId,
    seq: Seq,
    target: Seq,
}

impl LookBack {
    /// The change that an event on its way to a user is, in a group and by somebody else.
    pub(crate) fn of(json: &[u8], user: &UserId) -> Option<Self> {
        let json = std::str::from_utf8(json).ok()?;
        if !json.starts_with(GROUP) || !json.contains(TARGET) || json.contains(REACTED) {
            return None;
        }
        let Event { conversation, seq, entry, .. } = serde_json::from_str(json).ok()?;
        let target = entry.change.target().filter(|_| entry.sender != *user)?;
        Some(Self { conversation, seq, target })
    }
}

/// The event without what it says: as what is left of an edit whose message was deleted.
pub(crate) fn without_content(json: &[u8]) -> Option<Vec<u8>> {
    let mut event: Event = serde_json::from_slice(json).ok()?;
    event.entry.change = Change::Erased { was: event.entry.change.kind().to_owned() };
    serde_json::to_vec(&event).ok()
}

/// Who came after a message that was changed, and does not see it.
pub(crate) struct Hindsight {
    bus: Bus,
    known: Cache<(ConversationId, Seq), Arc<HashSet<UserId>>>,
}

impl Hindsight {
    pub(crate) fn new(bus: Bus) -> Self {
        let weight = |_: &(ConversationId, Seq), users: &Arc<HashSet<UserId>>| {
            u32::try_from(users.len()).unwrap_or(u32::MAX).saturating_add(1)
        };
        let known = Cache::builder().max_capacity(USERS_MAX).weigher(weight).time_to_live(FRESH_FOR).build();
        Self { bus, known }
    }

    /// Whether it is hidden from the user. So it is, too, when nobody tells in time: a change is accepted only while
    /// storage answers, so that is rare, and `history` shows later what became of the message.
    pub(crate) async fn hides(&self, change: &LookBack, user: &UserId) -> bool {
        let key = (change.conversation.clone(), change.seq);
        let answer = async {
            match self.known.try_get_with(key, self.ask(change)).await {
                Ok(latecomers) => latecomers.contains(user),
                Err(error) => {
                    tracing::debug!(%error, "who sees a change of a message cannot be found out for all");
                    self.hides_alone(change, user).await
                }
            }
        };
        timeout(WAIT, answer).await.unwrap_or(true)
    }

    /// The same of storage of the release before, which only knows who sees a message.
    async fn hides_alone(&self, change: &LookBack, user: &UserId) -> bool {
        let LookBack { conversation, seq, target } = change.clone();
        let at_least = seq.saturating_sub(1);
        let asked = Message { user: user.clone(), conversation, seq: target, at_least, with_text: false, block: None };
        !matches!(self.bus.ask(&asked).await, Ok(Some(_)))
    }

    async fn ask(&self, change: &LookBack) -> Result<Arc<HashSet<UserId>>, AskError> {
        let LookBack { conversation, seq, target } = change.clone();
        let mut asked = Latecomers { conversation, target, seq, after: None };
        let mut all = HashSet::new();
        loop {
            let page = self.bus.ask(&asked).await?;
            asked.after = page.users.last().cloned();
            all.extend(page.users);
            if !page.more || asked.after.is_none() {
                return Ok(Arc::new(all));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_protocol::Entry;

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn json(conversation: &ConversationId, change: Change) -> Vec<u8> {
        let entry = Entry { sender: user("alice"), client_id: None, time: 1, change };
        serde_json::to_vec(&Event { conversation: conversation.clone(), seq: 9, prev: 8, entry }).unwrap()
    }

    #[test]
    fn only_what_others_change_in_groups_is_asked_about() {
        let group = ConversationId::parse("gAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let direct = ConversationId::direct(&user("alice"), &user("bob"));
        let edited = || Change::Edited { target: 3, text: "now".into(), mentions: Vec::new() };
        let change = Some(LookBack { conversation: group.clone(), seq: 9, target: 3 });
        for asked in [edited(), Change::Pinned { target: 3 }, Change::Deleted { target: 3 }] {
            assert_eq!(LookBack::of(&json(&group, asked.clone()), &user("bob")), change, "{asked:?}");
            assert_eq!(LookBack::of(&json(&group, asked.clone()), &user("alice")), None, "their own: {asked:?}");
            assert_eq!(LookBack::of(&json(&direct, asked.clone()), &user("bob")), None, "{asked:?}");
        }
        let reacted = Change::Reacted { target: 3, emoji: "👍".into(), on: true };
        for other in [reacted, Change::message("\"target\":3")] {
            assert_eq!(LookBack::of(&json(&group, other), &user("bob")), None);
        }
        let left: Event = serde_json::from_slice(&without_content(&json(&group, edited())).unwrap()).unwrap();
        assert_eq!((left.seq, left.prev, left.entry.change), (9, 8, Change::Erased { was: "edited".into() }));
    }
}
