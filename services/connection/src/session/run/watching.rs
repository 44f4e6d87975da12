//! Whose presence the client watches. Whoever shares no conversation any more is watched no more (G8).

use std::sync::Arc;

use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Event, PresenceView};

use super::{
    super::answer::{Answer, Effect},
    Session,
};
use crate::watches::Watch;

/// Kinds of entries after which somebody may share no conversation any more.
const LEAVES: [&str; 3] = ["member_removed", "member_left", "member_banned"];

#[derive(Default)]
pub(super) struct Watching {
    watch: Option<Arc<Watch>>,
    /// The users of `watch`.
    pub(super) users: Vec<UserId>,
    /// Whether it is asked whether they are still known.
    asking: bool,
    /// The newest entry that came since that was asked.
    again: Option<(ConversationId, Seq)>,
}

impl Watching {
    /// Exactly these users are watched from now on.
    pub(super) fn begin(&mut self, users: Vec<UserId>, watch: Arc<Watch>) {
        self.watch = (!users.is_empty()).then_some(watch);
        self.users = users;
    }

    /// Waits for a change of somebody who is watched.
    pub(super) async fn changes(&self) -> Vec<PresenceView> {
        match &self.watch {
            Some(watch) => watch.changes().await,
            None => std::future::pending().await,
        }
    }
}

impl Session<'_> {
    /// Asks how these users, who are watched, are now, and shows it.
    pub(super) fn look_at(&mut self, users: Vec<UserId>) {
        if users.is_empty() {
            return;
        }
        let (shared, user) = (Arc::clone(self.shared), self.user.clone());
        self.lanes.add(None, async move {
            let views = shared.presence(&user, users).await.unwrap_or_default();
            Answer { frame: None, effect: Some(Effect::Show(views)) }
        });
    }

    /// Looks at an event: perhaps a watched user shares no conversation any more.
    pub(super) fn look_for_leaves(&mut self, json: &str) {
        // Inside a JSON text every quote is escaped, so this finds nothing that people wrote.
        let leaves = || LEAVES.iter().any(|kind| json.contains(&format!("\"kind\":\"{kind}\"")));
        if self.watching.watch.is_none() || !leaves() {
            return;
        }
        let Ok(Event { conversation, seq, .. }) = serde_json::from_str(json) else { return };
        if self.watching.asking {
            self.watching.again = Some((conversation, seq));
        } else {
            self.ask_who_is_known(conversation, seq);
        }
    }

    /// Asks once the archive has the entry: one question at a time, however many leave.
    fn ask_who_is_known(&mut self, conversation: ConversationId, seq: Seq) {
        self.watching.asking = true;
        let (shared, user, asked) = (Arc::clone(self.shared), self.user.clone(), self.watching.users.clone());
        self.lanes.add(None, async move {
            let known = match shared.wait_archived(&conversation, seq).await {
                Ok(()) => shared.acquaintances(&user, asked.clone()).await,
                Err(error) => Err(error),
            };
            // Who cannot be checked is not shown: the client watches again when it wants to.
            let known = known.unwrap_or_default();
            let unknown = asked.into_iter().filter(|user| !known.contains(user)).collect();
            Answer { frame: None, effect: Some(Effect::Unwatch(unknown)) }
        });
    }

    /// Ends to watch these. What the client has begun to watch meanwhile was checked then.
    pub(super) fn unwatch(&mut self, unknown: &[UserId]) {
        self.watching.asking = false;
        if !unknown.is_empty() {
            let mut users = std::mem::take(&mut self.watching.users);
            users.retain(|user| !unknown.contains(user));
            let watch = self.shared.watches.watch(&users);
            self.watching.begin(users, watch);
        }
        if let Some((conversation, seq)) = self.watching.again.take() {
            self.ask_who_is_known(conversation, seq);
        }
    }
}
