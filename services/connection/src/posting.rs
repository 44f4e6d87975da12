//! Appending to conversations: messages, and beginnings.

use std::{sync::Arc, time::Duration};

use natter_bus::{Append, AppendError, Fence, Stored, storage_api::MembershipReply};
use natter_ids::{ClientId, ConversationId, Seq, UserId};
use natter_protocol::{Change, ConversationView, Entry, ErrorBody, ErrorCode, Limits, Role};
use natter_telemetry::metrics;

use crate::{
    members::{Member, not_a_member, unavailable},
    rights::Needs,
    server::Shared,
};

/// How often an append is tried whose fence moved: the member may have been re-added, or, in a
/// replicated log, another append of the same member may be under way.
const FENCE_TRIES: u32 = 20;
const FENCE_PAUSE: Duration = Duration::from_millis(2);

/// An accepted entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) seq: Seq,
    pub(crate) time: u64,
}

impl Shared {
    /// Appends an entry of a member, if they are one, and what is needed, when the log takes it.
    pub(crate) async fn append_as_member(
        &self,
        conversation: &ConversationId,
        entry: &Entry,
        needs: Needs,
    ) -> Result<Stored, ErrorBody> {
        let user = &entry.sender;
        let mut member = self.members.member(conversation, user).await?;
        if needs.check(member.role).is_err() {
            // They may have got the role through another gateway.
            member = Box::pin(self.look_again(conversation, user, 0)).await?;
        }
        for attempt in 0..FENCE_TRIES {
            needs.check(member.role)?;
            let fence = Fence::Member { user, seq: member.fence };
            match self.bus.append(Append { conversation, entry, fence }).await {
                Ok(stored) => return Ok(stored),
                Err(AppendError::FenceMoved) => member = Box::pin(self.look_again(conversation, user, attempt)).await?,
                Err(error) => return Err(append_refusal(&error)),
            }
        }
        Err(ErrorBody::new(ErrorCode::Unavailable).because("The conversation is too busy: try again."))
    }

    async fn look_again(
        &self,
        conversation: &ConversationId,
        user: &UserId,
        attempt: u32,
    ) -> Result<Member, ErrorBody> {
        if attempt > 0 {
            tokio::time::sleep(FENCE_PAUSE * attempt + Duration::from_micros(rand::random_range(0..2_000))).await;
        }
        self.members.look_again(conversation, user).await
    }

    /// Opens the direct conversation with a user, or finds it.
    pub(crate) async fn open_direct(&self, user: &UserId, peer: UserId) -> Result<ConversationView, ErrorBody> {
        let conversation = ConversationId::direct(user, &peer);
        self.begin(user, conversation, Change::DirectOpened { peers: [user.clone(), peer] }).await
    }

    /// Creates a group, or finds the one that an earlier try created.
    pub(crate) async fn create_group(
        &self,
        user: &UserId,
        client_id: ClientId,
        name: String,
        mut members: Vec<UserId>,
    ) -> Result<ConversationView, ErrorBody> {
        let limits = Arc::clone(&self.live.get().limits);
        check_name(&name, &limits)?;
        members.push(user.clone());
        members.sort();
        members.dedup();
        if members.len() > limits.group_members_max as usize {
            return Err(ErrorBody::new(ErrorCode::GroupFull).limit("group_members_max"));
        }
        if members.len() > limits.group_begun_members_max as usize {
            let max = limits.group_begun_members_max;
            return Err(too_large("group_begun_members_max", max, "A group that begins", "members"));
        }
        let conversation = ConversationId::group(user, client_id);
        self.begin(user, conversation, Change::GroupCreated { name, members }).await
    }

    async fn begin(
        &self,
        user: &UserId,
        conversation: ConversationId,
        change: Change,
    ) -> Result<ConversationView, ErrorBody> {
        if let Some(found) = self.members.archived(&conversation, user).await? {
            return view(user, conversation, found, &change);
        }
        let entry = Entry { sender: user.clone(), client_id: None, time: self.bus.now_ms(), change };
        match self.bus.append(Append { conversation: &conversation, entry: &entry, fence: Fence::Beginning }).await {
            Ok(stored) => {
                let role = if conversation.is_direct() { Role::Member } else { Role::Owner };
                self.members.begun(&conversation, user, role).await;
                let begun = MembershipReply { role: Some(role), last_seq: stored.seq, ..MembershipReply::default() };
                view(user, conversation, begun, &entry.change)
            }
            Err(AppendError::FenceMoved) => {
                // Somebody else was faster: the archive is about to know.
                let found = self.members.archived(&conversation, user).await?;
                view(
                    user,
                    conversation,
                    found.ok_or_else(|| unavailable("a beginning is not archived"))?,
                    &entry.change,
                )
            }
            Err(error) => Err(append_refusal(&error)),
        }
    }
}

pub(crate) fn view(
    user: &UserId,
    conversation: ConversationId,
    found: MembershipReply,
    change: &Change,
) -> Result<ConversationView, ErrorBody> {
    let role = found.role.ok_or_else(not_a_member)?;
    let (name, peer) = match change {
        Change::DirectOpened { peers } => (None, Some(if peers[0] == *user { &peers[1] } else { &peers[0] }.clone())),
        Change::GroupCreated { name, .. } => (Some(found.name.unwrap_or_else(|| name.clone())), None),
        _ => (None, None),
    };
    let group = (!conversation.is_direct()).then_some(found.settings);
    let MembershipReply { timer_seconds, last_seq, .. } = found;
    Ok(ConversationView { conversation, name, peer, group, timer_seconds, role, last_seq })
}

pub(crate) fn append_refusal(error: &AppendError) -> ErrorBody {
    match error {
        AppendError::Full => {
            metrics::CONNECTION_REFUSALS.add(1, ["log_mib_max".into()]);
            ErrorBody::new(ErrorCode::Unavailable)
                .because("The log is full: try again later.")
                .limit("log_mib_max")
                .retry_after_ms(10_000)
        }
        AppendError::FenceMoved | AppendError::Unavailable { .. } => unavailable(error),
    }
}

/// A name that can be shown in one line.
pub(crate) fn check_name(name: &str, limits: &Limits) -> Result<(), ErrorBody> {
    if name.len() > limits.group_name_bytes_max as usize {
        return Err(too_large("group_name_bytes_max", limits.group_name_bytes_max, "The name of a group", "bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err(ErrorBody::new(ErrorCode::Malformed).because("The name of a group holds no control characters."));
    }
    Ok(())
}

/// A refusal that names the limit.
pub(crate) fn too_large(limit: &str, max: u32, what: &str, unit: &str) -> ErrorBody {
    ErrorBody::new(ErrorCode::TooLarge).because(format!("{what} may have at most {max} {unit}.")).limit(limit)
}
