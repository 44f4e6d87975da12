//! Who has reacted to a message, told to whoever may see it.

use natter_bus::storage_api::{Reaction, Reactors};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{EMOJI_BYTES_MAX, ErrorBody, ErrorCode, ReactorPage, ReactorView, is_emoji};

use crate::server::Shared;

impl Shared {
    /// A page of those who have reacted to a message. What somebody who is blocked has said is no message, and
    /// with what they have reacted is not told.
    pub(crate) async fn reactors(
        &self,
        user: &UserId,
        conversation: ConversationId,
        target: Seq,
        emoji: Option<String>,
        (after, limit): (Option<UserId>, Option<u32>),
    ) -> Result<ReactorPage, ErrorBody> {
        if emoji.as_ref().is_some_and(|emoji| !is_emoji(emoji)) {
            let said = format!("`emoji` is one word of up to {EMOJI_BYTES_MAX} bytes.");
            return Err(ErrorBody::new(ErrorCode::Malformed).because(said));
        }
        let limit = self.page_limit(limit)?;
        let blocks = self.blocks_of(user).await?;
        let block = blocks.here(&conversation);
        let hidden = |sender: &UserId, seq| block.is_some_and(|block| *sender == block.user && seq > block.after);
        let mut asked =
            Reactors { user: user.clone(), conversation: conversation.clone(), target, emoji, after, limit };
        loop {
            let reply = self.ask_as_member(user, &conversation, &asked).await?.ok_or(ErrorCode::NoSuchMessage)?;
            if hidden(&reply.sender, target) {
                return Err(ErrorCode::NoSuchMessage.into());
            }
            if reply.deleted {
                return Err(ErrorCode::MessageDeleted.into());
            }
            let last = reply.reactions.last().map(|reaction| reaction.user.clone());
            let shown = reply.reactions.into_iter().filter(|reaction| !hidden(&reaction.user, reaction.seq));
            let reactors = by_user(shown);
            // Whoever asks for more names a user of the page: there has to be one.
            match last.filter(|_| reply.more && reactors.is_empty()) {
                Some(last) => asked.after = Some(last),
                None => return Ok(ReactorPage { conversation, target, reactors, more: reply.more }),
            }
        }
    }
}

fn by_user(reactions: impl Iterator<Item = Reaction>) -> Vec<ReactorView> {
    let mut all: Vec<ReactorView> = Vec::new();
    for Reaction { user, emoji, .. } in reactions {
        match all.last_mut().filter(|last| last.user == user) {
            Some(last) => last.emoji.push(emoji),
            None => all.push(ReactorView { user, emoji: vec![emoji] }),
        }
    }
    all
}
