//! Who may append to a conversation, remembered; the log itself has the last word.

use std::time::Duration;

use moka::future::Cache;
use natter_bus::{
    AskError, Bus,
    storage_api::{Membership, MembershipReply, StorageFault},
};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, Entry, ErrorBody, ErrorCode, Role};

const CACHED_MAX: u64 = 200_000;
const CACHED_FOR: Duration = Duration::from_secs(600);

/// A member, and what an append of theirs is fenced on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) role: Role,
    pub(crate) fence: Seq,
}

/// How somebody stands to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Absent when they are no member.
    role: Option<Role>,
    /// Whether they are barred from it.
    pub(crate) banned: bool,
    /// On what an entry about them is fenced; 0 when the log holds nothing of theirs.
    pub(crate) fence: Seq,
}

/// What the newest entry about somebody alone tells of how they stand.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// All of it.
    All(Standing),
    /// That they are a member. Two may have added them, and somebody given them a role between: the second entry
    /// changes nothing about that.
    Member,
    /// Nothing: they may have gone, or been barred, while somebody gave them a role.
    Nothing,
}

impl Told {
    fn by(fence: Seq, change: &Change) -> Self {
        let all = |role, banned| Self::All(Standing { role, banned, fence });
        match change {
            // Fenced on what was before: whoever comes in is a plain member, whatever they were once.
            Change::MemberJoined { .. } => all(Some(Role::Member), false),
            Change::MemberAdded { .. } => Self::Member,
            Change::RoleChanged { .. } => Self::Nothing,
            change => all(None, matches!(change, Change::MemberBanned { .. })),
        }
    }
}

impl Standing {
    pub(crate) fn member(&self) -> Option<Member> {
        self.role.map(|role| Member { role, fence: self.fence })
    }
}

/// What is known of members. A stale entry costs a refused append and a look at the log, never a
/// message of somebody who is no member.
pub(crate) struct Members {
    bus: Bus,
    known: Cache<(ConversationId, UserId), Member>,
    /// Members whose conversation is no request, which it never becomes again.
    accepted: Cache<(ConversationId, UserId), ()>,
}

impl Members {
    pub(crate) fn new(bus: Bus) -> Self {
        let known = Cache::builder().max_capacity(CACHED_MAX).time_to_live(CACHED_FOR).build();
        let accepted = Cache::builder().max_capacity(CACHED_MAX).time_to_live(CACHED_FOR).build();
        Self { bus, known, accepted }
    }

    /// The member, possibly as remembered, and possibly with a role above the one told.
    pub(crate) async fn member(&self, conversation: &ConversationId, user: &UserId) -> Result<Member, ErrorBody> {
        let key = (conversation.clone(), user.clone());
        if let Some(member) = self.known.get(&key).await {
            return Ok(member);
        }
        let last = self.last_entry(conversation, user).await?;
        let member = match &last {
            // Most are nothing more, and do nothing that needs more: they need not wait for the archive.
            Some((fence, entry)) if Told::by(*fence, &entry.change) == Told::Member => {
                Member { role: Role::Member, fence: *fence }
            }
            _ => self.stands(conversation, user, last).await?.member().ok_or_else(not_a_member)?,
        };
        self.known.insert(key, member).await;
        Ok(member)
    }

    /// The member as of everything accepted so far, which is remembered.
    pub(crate) async fn look_again(&self, conversation: &ConversationId, user: &UserId) -> Result<Member, ErrorBody> {
        self.forget(conversation, user).await;
        let member = Box::pin(self.member_now(conversation, user)).await?.ok_or_else(not_a_member)?;
        self.known.insert((conversation.clone(), user.clone()), member).await;
        Ok(member)
    }

    async fn last_entry(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<(Seq, Entry)>, ErrorBody> {
        self.bus.last_member_entry(conversation, user).await.map_err(unavailable)
    }

    /// Whether others may see what the member does without saying it: not while a stranger waits for them to accept
    /// the conversation, nor while that cannot be found out.
    pub(crate) async fn may_be_seen(&self, conversation: &ConversationId, user: &UserId) -> bool {
        let key = (conversation.clone(), user.clone());
        if !conversation.is_direct() || self.accepted.contains_key(&key) {
            return true;
        }
        let archived = self.archived(conversation, user).await;
        let accepted = archived.is_ok_and(|reply| reply.is_some_and(|reply| !reply.request));
        if accepted {
            self.accepted.insert(key, ()).await;
        }
        accepted
    }

    /// The member as of everything accepted so far; `None`: not a member, or no conversation.
    pub(crate) async fn member_now(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<Member>, ErrorBody> {
        Ok(self.standing(conversation, user).await?.member())
    }

    /// How the user stands to the conversation, as of everything accepted so far.
    pub(crate) async fn standing(&self, conversation: &ConversationId, user: &UserId) -> Result<Standing, ErrorBody> {
        let last = self.last_entry(conversation, user).await?;
        self.stands(conversation, user, last).await
    }

    /// The same, by the newest entry about the user alone.
    async fn stands(
        &self,
        conversation: &ConversationId,
        user: &UserId,
        last: Option<(Seq, Entry)>,
    ) -> Result<Standing, ErrorBody> {
        let Some((fence, entry)) = last else {
            // The log holds no entry of this member alone (any more), so there is nothing to fence on.
            let MembershipReply { role, banned, .. } = self.archived(conversation, user).await?.unwrap_or_default();
            return Ok(Standing { role, banned, fence: 0 });
        };
        if let Told::All(standing) = Told::by(fence, &entry.change) {
            return Ok(standing);
        }
        let asked = Membership { user: user.clone(), conversation: conversation.clone(), at_least: fence };
        let MembershipReply { role, banned, .. } = self.bus.ask(&asked).await.map_err(refusal)?.unwrap_or_default();
        Ok(Standing { role, banned, fence })
    }

    /// Whether the user was a member once and is none any more, as of everything accepted so far.
    pub(crate) async fn is_gone(&self, conversation: &ConversationId, user: &UserId) -> Result<bool, ErrorBody> {
        let last = self.last_entry(conversation, user).await?;
        let known = last.as_ref().map(|(fence, entry)| Told::by(*fence, &entry.change));
        Ok(match known {
            None | Some(Told::Member) => false,
            Some(Told::All(standing)) => standing.role.is_none(),
            Some(Told::Nothing) => self.stands(conversation, user, last).await?.role.is_none(),
        })
    }

    /// What the archive says of somebody of whom the log holds no entry alone: they came in with the beginning,
    /// or the log has forgotten the entry, and the archive has not. An archive that knows the conversation at
    /// all is far enough.
    pub(crate) async fn archived(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<MembershipReply>, ErrorBody> {
        let asked = |at_least| Membership { user: user.clone(), conversation: conversation.clone(), at_least };
        let reply = self.bus.ask(&asked(0)).await.map_err(refusal)?;
        if reply.is_some() {
            return Ok(reply);
        }
        let at_least = self.bus.last_seq(conversation).await.map_err(unavailable)?;
        self.bus.ask(&asked(at_least)).await.map_err(refusal)
    }

    /// Remembers who has just begun a conversation: they need not wait for the archive to know.
    pub(crate) async fn begun(&self, conversation: &ConversationId, user: &UserId, role: Role) {
        self.known.insert((conversation.clone(), user.clone()), Member { role, fence: 0 }).await;
    }

    pub(crate) async fn forget(&self, conversation: &ConversationId, user: &UserId) {
        self.known.invalidate(&(conversation.clone(), user.clone())).await;
    }
}

/// The same answer for strangers and for conversations that do not exist (G8).
pub(crate) fn not_a_member() -> ErrorBody {
    ErrorBody::new(ErrorCode::NotAMember)
}

/// The position is from entries that were lost before a restore.
pub(crate) fn stranded() -> ErrorBody {
    let said = "Natter was restored from a backup, and the position is of entries that are lost: start without one \
                and read history.";
    ErrorBody::new(ErrorCode::InvalidPosition).because(said)
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub(crate) fn unavailable(error: impl std::fmt::Display) -> ErrorBody {
    tracing::warn!(%error, "a request cannot be served now");
    ErrorBody::new(ErrorCode::Unavailable)
}

/// What a client is told when storage does not answer as hoped.
pub(crate) fn refusal(error: AskError) -> ErrorBody {
    match error {
        AskError::Refused(StorageFault::NotAMember) => not_a_member(),
        AskError::Refused(StorageFault::InGap) => stranded(),
        other => unavailable(other),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_an_entry_that_changes_everything_tells_everything() {
        let bob = || UserId::new("bob").unwrap();
        let told = |change| Told::by(7, &change);
        let all = |role, banned| Told::All(Standing { role, banned, fence: 7 });
        assert_eq!(told(Change::MemberAdded { user: bob() }), Told::Member, "perhaps they were one, and an admin");
        assert_eq!(
            told(Change::RoleChanged { user: bob(), role: Role::Admin }),
            Told::Nothing,
            "perhaps they had gone"
        );
        let invite = "2iD8Ty8nL7sDPCwvLkOFcA".to_owned().try_into().unwrap();
        assert_eq!(told(Change::MemberJoined { invite }), all(Some(Role::Member), false));
        assert_eq!(told(Change::MemberRemoved { user: bob() }), all(None, false));
        assert_eq!(told(Change::MemberLeft {}), all(None, false));
        assert_eq!(told(Change::MemberBanned { user: bob() }), all(None, true));
        assert_eq!(told(Change::MemberUnbanned { user: bob() }), all(None, false));
    }
}
