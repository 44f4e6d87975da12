//! Changes of messages: who may, asked of the archive before the log. Two that race are settled by
//! their order in the log, when storage takes them in.

use natter_bus::storage_api::{FoundMessage, Message, MessageReply, Pinned};
use natter_ids::{ClientId, ConversationId, Seq, UserId};
use natter_protocol::{
    Change, EMOJI_BYTES_MAX, ErrorBody, ErrorCode, Forwarded, HistoryPage, MENTIONS_MAX, PINNED_MAX, REACTIONS_MAX,
    Request, TIMER_MAX_S, is_emoji,
};

use crate::{
    members::unavailable,
    once::same,
    posting::{Accepted, too_large},
    rights::Needs,
    server::Shared,
};

/// What a request says or changes: where, under which id, and how.
pub(crate) fn change_of(request: Request) -> Option<(ConversationId, ClientId, Change)> {
    match request {
        Request::Send { conversation, client_id, text, reply_to, mentions } => {
            Some((conversation, client_id, Change::Message { text, reply_to, forwarded: None, mentions }))
        }
        Request::Edit { conversation, client_id, target, text, mentions } => {
            Some((conversation, client_id, Change::Edited { target, text, mentions }))
        }
        Request::Delete { conversation, client_id, target } => {
            Some((conversation, client_id, Change::Deleted { target }))
        }
        Request::React { conversation, client_id, target, emoji, on } => {
            Some((conversation, client_id, Change::Reacted { target, emoji, on }))
        }
        Request::Pin { conversation, client_id, target } => Some((conversation, client_id, Change::Pinned { target })),
        Request::Unpin { conversation, client_id, target } => {
            Some((conversation, client_id, Change::Unpinned { target }))
        }
        Request::SetTimer { conversation, client_id, seconds } => {
            Some((conversation, client_id, Change::TimerSet { seconds }))
        }
        _ => None,
    }
}

impl Shared {
    /// Says something, or changes a message, once (G4).
    pub(crate) async fn change(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        client_id: ClientId,
        change: Change,
    ) -> Result<Accepted, ErrorBody> {
        self.check_form(&change)?;
        if let Some(first) = self.said_before(user, conversation, client_id, &change).await? {
            return Ok(first);
        }
        match self.may_change(user, conversation, &change).await {
            Ok(needs) => match self.append_once(user, conversation, client_id, change.clone(), needs).await {
                // They may have lost the right since, and this is a retry of what they had it for.
                Err(refused) if refused.code == ErrorCode::NotAllowed => {
                    Box::pin(self.done_or(refused, user, conversation, client_id, &change)).await
                }
                done => done,
            },
            Err(refused) if refused.code.is_retryable() || refused.code == ErrorCode::NotAMember => Err(refused),
            // Perhaps because it is done already, and this is a retry.
            Err(refused) => Box::pin(self.done_or(refused, user, conversation, client_id, &change)).await,
        }
    }

    /// The answer of a first try that came through, or the refusal.
    async fn done_or(
        &self,
        refused: ErrorBody,
        user: &UserId,
        conversation: &ConversationId,
        client_id: ClientId,
        change: &Change,
    ) -> Result<Accepted, ErrorBody> {
        match self.find(user, conversation, client_id).await? {
            Some(first) => same(&first, change),
            None => Err(refused),
        }
    }

    fn check_form(&self, change: &Change) -> Result<(), ErrorBody> {
        match change {
            Change::Message { mentions, .. } | Change::Edited { mentions, .. } if mentions.len() > MENTIONS_MAX => {
                let said = format!("A message may mention at most {MENTIONS_MAX} members.");
                Err(ErrorBody::new(ErrorCode::TooLarge).because(said))
            }
            Change::Message { text, .. } | Change::Edited { text, .. } => {
                let max = self.live.get().limits.message_bytes_max;
                match text.len() > max as usize {
                    true => Err(too_large("message_bytes_max", max, "The text of a message", "bytes")),
                    false => Ok(()),
                }
            }
            Change::TimerSet { seconds } if *seconds > TIMER_MAX_S => {
                let said = format!("Messages stay for at most {TIMER_MAX_S} seconds where they disappear.");
                Err(ErrorBody::new(ErrorCode::TooLarge).because(said))
            }
            Change::Reacted { emoji, .. } if !is_emoji(emoji) => {
                let said = format!("`emoji` is one word of up to {EMOJI_BYTES_MAX} bytes.");
                Err(ErrorBody::new(ErrorCode::Malformed).because(said))
            }
            _ => Ok(()),
        }
    }

    /// Whether the user may; and what they must still be when the log takes it.
    async fn may_change(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        change: &Change,
    ) -> Result<Needs, ErrorBody> {
        match change {
            // Most messages refer to nothing, and wait for nothing.
            Change::Message { reply_to: None, mentions, .. } if mentions.is_empty() => {
                self.needs_to_write(user, conversation).await
            }
            change => Box::pin(self.may_refer(user, conversation, change)).await,
        }
    }

    /// The same, of what refers to messages or members.
    async fn may_refer(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        change: &Change,
    ) -> Result<Needs, ErrorBody> {
        if let Change::Message { mentions, .. } | Change::Edited { mentions, .. } = change {
            self.are_members(conversation, mentions).await?;
        }
        let target = match change {
            Change::Message { reply_to: None, .. } => return self.needs_to_write(user, conversation).await,
            Change::Message { reply_to, .. } => *reply_to,
            Change::TimerSet { .. } if conversation.is_direct() => return Ok(Needs::Nothing),
            // Checked when it is appended.
            Change::TimerSet { .. } => return Ok(Needs::Management),
            change => change.target(),
        };
        let Some(target) = target else { return Err(ErrorCode::Internal.into()) };
        let message = self.message(user, conversation, target, false).await?;
        let own = message.sender == *user;
        match change {
            Change::Edited { .. } if own => self.in_time(&message, self.config.edit_limit_s).map(|()| Needs::Nothing),
            Change::Edited { .. } => Err(not_theirs("edited")),
            Change::Deleted { .. } if own => match self.in_time(&message, self.config.delete_limit_s) {
                // Those who manage a group may delete at any time, also what they said themselves.
                Err(_)
                    if self.members.member(conversation, user).await?.role.manages() && !conversation.is_direct() =>
                {
                    Ok(Needs::Management)
                }
                told => told.map(|()| Needs::Nothing),
            },
            Change::Deleted { .. } if conversation.is_direct() => Err(not_theirs("deleted")),
            Change::Deleted { .. } => Ok(Needs::Management),
            Change::Message { .. } => self.needs_to_write(user, conversation).await,
            Change::Reacted { emoji, on: true, .. } if !message.emoji.contains(emoji) => {
                below(message.emoji.len(), REACTIONS_MAX, "A message", "different reactions")?;
                Ok(Needs::Nothing)
            }
            Change::Pinned { .. } => {
                let pinned = message.pinned_in_all as usize;
                below(pinned.saturating_sub(message.pinned.into()), PINNED_MAX, "A conversation", "pinned messages")?;
                self.needs_to_write(user, conversation).await
            }
            Change::Unpinned { .. } => self.needs_to_write(user, conversation).await,
            _ => Ok(Needs::Nothing),
        }
    }

    /// A message that the user may see and that is not deleted, as of everything accepted before.
    async fn message(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        seq: Seq,
        with_text: bool,
    ) -> Result<MessageReply, ErrorBody> {
        let at_least = self.bus.last_seq(conversation).await.map_err(unavailable)?;
        let block = self.blocks_of(user).await?.here(conversation).cloned();
        let asked = Message { user: user.clone(), conversation: conversation.clone(), seq, at_least, with_text, block };
        let message = self.ask_as_member(user, conversation, &asked).await?.ok_or(ErrorCode::NoSuchMessage)?;
        if message.deleted { Err(ErrorCode::MessageDeleted.into()) } else { Ok(message) }
    }

    /// Whoever is mentioned is a member.
    async fn are_members(&self, conversation: &ConversationId, users: &[UserId]) -> Result<(), ErrorBody> {
        for user in users {
            self.members.member(conversation, user).await.map_err(|error| match error.code {
                ErrorCode::NotAMember => {
                    ErrorBody::new(ErrorCode::NotAllowed).because("Only members of the conversation can be mentioned.")
                }
                _ => error,
            })?;
        }
        Ok(())
    }

    /// Says in one conversation what stands in another, once (G4).
    pub(crate) async fn forward(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        client_id: ClientId,
        (from, target, hide_sender): (&ConversationId, Seq, bool),
    ) -> Result<Accepted, ErrorBody> {
        // Its text may have been edited between two tries: then it is the first try that counts.
        let again = |found: FoundMessage| match &found.change {
            Some(Change::Message { forwarded: Some(_), .. } | Change::Erased { .. }) => {
                Ok(Accepted { seq: found.seq, time: found.time })
            }
            _ => Err(ErrorCode::ClientIdConflict.into()),
        };
        let refused = match self.forwarded(user, from, target, hide_sender).await {
            Ok(change) => {
                let done = match self.said_before(user, conversation, client_id, &change).await {
                    Ok(None) => {
                        let needs = self.needs_to_write(user, conversation).await?;
                        self.append_once(user, conversation, client_id, change, needs).await
                    }
                    Ok(Some(first)) => Ok(first),
                    Err(refused) => Err(refused),
                };
                match done {
                    Err(refused) if [ErrorCode::ClientIdConflict, ErrorCode::NotAllowed].contains(&refused.code) => {
                        refused
                    }
                    done => return done,
                }
            }
            Err(refused) if refused.code.is_retryable() => return Err(refused),
            Err(refused) => refused,
        };
        match self.find(user, conversation, client_id).await? {
            Some(found) => again(found),
            None => Err(refused),
        }
    }

    /// A message as it is said again elsewhere: where it was said stays untold.
    async fn forwarded(
        &self,
        user: &UserId,
        from: &ConversationId,
        target: Seq,
        hide_sender: bool,
    ) -> Result<Change, ErrorBody> {
        let MessageReply { sender, text, forwarded, .. } = self.message(user, from, target, true).await?;
        let text = text.ok_or_else(|| unavailable("storage is of the release before"))?;
        let first = forwarded.map_or(Some(sender), |forwarded| forwarded.sender);
        let forwarded = Some(Forwarded { sender: first.filter(|_| !hide_sender) });
        Ok(Change::Message { text, reply_to: None, forwarded, mentions: Vec::new() })
    }

    fn in_time(&self, message: &MessageReply, limit_s: u32) -> Result<(), ErrorBody> {
        let age = self.bus.now_ms().saturating_sub(message.time);
        match limit_s > 0 && age > u64::from(limit_s) * 1_000 {
            true => Err(ErrorCode::TooLate.into()),
            false => Ok(()),
        }
    }

    /// The pinned messages of a conversation.
    pub(crate) async fn pinned(
        &self,
        user: &UserId,
        conversation: ConversationId,
        before: Option<Seq>,
        limit: Option<u32>,
    ) -> Result<HistoryPage, ErrorBody> {
        let limit = self.page_limit(limit)?;
        let asked = Pinned { user: user.clone(), conversation: conversation.clone(), before, limit, block: None };
        self.shown_page(user, &conversation, asked).await
    }
}

fn not_theirs(what: &str) -> ErrorBody {
    ErrorBody::new(ErrorCode::NotAllowed).because(format!("Only one's own messages can be {what}."))
}

fn below(count: usize, max: usize, what: &str, of: &str) -> Result<(), ErrorBody> {
    match count < max {
        true => Ok(()),
        false => Err(ErrorBody::new(ErrorCode::TooLarge).because(format!("{what} may have at most {max} {of}."))),
    }
}
