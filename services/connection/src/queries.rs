//! Questions that clients ask, over WebSocket and HTTP alike. Storage decides membership (G8).

use natter_bus::{
    AskError,
    storage_api::{
        Acquaintances, Archived, Backlog, Conversations, History, Members, Membership, StorageFault, StorageRequest,
        Withheld,
    },
};
use natter_ids::{ConversationId, Partition, Position, Seq, UserId};
use natter_protocol::{
    BacklogPage, ConversationPage, ErrorBody, ErrorCode, Event, HistoryPage, MemberPage, PresenceView,
};

use crate::{
    blocks::unseen,
    members::{not_a_member, refusal, unavailable},
    posting::too_large,
    screen::Screen,
    server::Shared,
};

impl Shared {
    pub(crate) fn page_limit(&self, asked: Option<u32>) -> Result<u32, ErrorBody> {
        let max = self.live.get().limits.page_items_max;
        match asked {
            Some(limit) if limit > max => Err(too_large("page_items_max", max, "A page", "entries")),
            Some(0) => Err(ErrorBody::new(ErrorCode::Malformed).because("`limit` must be at least 1.")),
            asked => Ok(asked.unwrap_or(max)),
        }
    }

    pub(crate) async fn conversations(
        &self,
        user: &UserId,
        after: Option<ConversationId>,
        limit: Option<u32>,
    ) -> Result<ConversationPage, ErrorBody> {
        let asked = Conversations { user: user.clone(), after, limit: self.page_limit(limit)? };
        let mut page = self.bus.ask(&asked).await.map_err(refusal)?;
        let blocks = self.blocks_of(user).await?;
        // One that somebody blocked has begun, and nobody has seen.
        page.conversations.retain(|view| blocks.here(&view.conversation).is_none_or(|block| block.after > 0));
        for view in &mut page.conversations {
            // How far it has gone since would tell.
            let upto = blocks.here(&view.conversation).map_or(view.last_seq, |block| block.after);
            view.last_seq = view.last_seq.min(upto);
        }
        Ok(page)
    }

    pub(crate) async fn members_of(
        &self,
        user: &UserId,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: Option<u32>,
    ) -> Result<MemberPage, ErrorBody> {
        let limit = self.page_limit(limit)?;
        let asked = Members { user: user.clone(), conversation: conversation.clone(), after, limit };
        self.ask_as_member(user, &conversation, &asked).await
    }

    pub(crate) async fn history(
        &self,
        user: &UserId,
        conversation: ConversationId,
        (before, after): (Option<Seq>, Option<Seq>),
        limit: Option<u32>,
        edits: bool,
    ) -> Result<HistoryPage, ErrorBody> {
        let limit = self.page_limit(limit)?;
        let (user_id, of) = (user.clone(), conversation.clone());
        let asked = History { user: user_id, conversation: of, before, after, limit, edits, block: None };
        self.shown_page(user, &conversation, asked).await
    }

    /// Asks storage about a conversation. Who became a member a moment ago is one in the log, and
    /// is waited for in the archive; who was removed a moment ago is refused, whatever the archive
    /// still says (G8).
    pub(crate) async fn ask_as_member<R: StorageRequest>(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        asked: &R,
    ) -> Result<R::Reply, ErrorBody> {
        match self.bus.ask(asked).await {
            Err(AskError::Refused(StorageFault::NotAMember)) => {}
            other => {
                let reply = other.map_err(refusal)?;
                let gone = self.members.is_gone(conversation, user).await?;
                return if gone { Err(not_a_member()) } else { Ok(reply) };
            }
        }
        let Some(member) = self.members.member_now(conversation, user).await? else { return Err(not_a_member()) };
        let archived = Membership { user: user.clone(), conversation: conversation.clone(), at_least: member.fence };
        self.bus.ask(&archived).await.map_err(refusal)?;
        self.bus.ask(asked).await.map_err(refusal)
    }

    /// What a device missed, for clients that poll: as far as it is archived now.
    pub(crate) async fn backlog(
        &self,
        user: &UserId,
        position: Option<Position>,
        limit: Option<u32>,
    ) -> Result<BacklogPage, ErrorBody> {
        let limit = self.page_limit(limit)?;
        let Some(after) = position else {
            let position = self.bus.ask(&Archived {}).await.map_err(refusal)?;
            return Ok(BacklogPage { events: Vec::new(), position, more: false });
        };
        self.check_position(&after).await?;
        let asked = Backlog { user: user.clone(), after, upto: None, limit };
        let reply = self.bus.ask(&asked).await.map_err(refusal)?;
        let read = |event: &natter_bus::storage_api::ArchivedEvent| serde_json::from_str(event.event.get());
        let events: Result<Vec<Event>, _> = reply.events.iter().map(read).collect();
        let mut events = events.map_err(|error| {
            tracing::error!(%error, "an archived event could not be read");
            ErrorBody::new(ErrorCode::Internal)
        })?;
        Screen::events(self.blocks_of(user).await?.as_ref(), &mut events);
        Ok(BacklogPage { events, position: reply.position, more: reply.more })
    }

    /// Refuses positions that this log cannot have handed out: of another number of partitions,
    /// or from its future.
    pub(crate) async fn check_position(&self, position: &Position) -> Result<(), ErrorBody> {
        if position.partitions() != self.bus.partitions() {
            return Err(ErrorCode::InvalidPosition.into());
        }
        let archived = self.bus.watch_archived().borrow().clone();
        for partition in Partition::all(self.bus.partitions()) {
            let claimed = position.get(partition);
            // What is archived is in the log's past: no need to ask.
            if claimed > archived.get(partition)
                && claimed > self.bus.newest_seq(partition).await.map_err(unavailable)?
            {
                return Err(ErrorCode::InvalidPosition.into());
            }
        }
        Ok(())
    }

    /// Those of the users who share a conversation with the one who asks.
    pub(crate) async fn acquaintances(&self, user: &UserId, others: Vec<UserId>) -> Result<Vec<UserId>, ErrorBody> {
        let max = self.live.get().limits.presence_users_max;
        if others.len() > max as usize {
            return Err(too_large("presence_users_max", max, "A question about presence", "users"));
        }
        if others.is_empty() {
            return Ok(others);
        }
        self.bus.ask(&Acquaintances { user: user.clone(), others }).await.map_err(refusal)
    }

    pub(crate) async fn presence(&self, user: &UserId, others: Vec<UserId>) -> Result<Vec<PresenceView>, ErrorBody> {
        Ok(self.presence_of(user, others).await?.0)
    }

    /// How others are, as the user is shown it; and those of them who have not accepted the conversation that the
    /// user began with them: they are seen like somebody who hides.
    pub(crate) async fn presence_of(
        &self,
        user: &UserId,
        others: Vec<UserId>,
    ) -> Result<(Vec<PresenceView>, Vec<UserId>), ErrorBody> {
        let known = self.acquaintances(user, others).await?;
        if known.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let withheld = Withheld { user: user.clone(), others: known.clone() };
        let withheld = self.bus.ask(&withheld).await.map_err(refusal)?;
        let blocks = self.blocks_of(user).await?;
        let mut views = self.bus.ask_presence(&known).await.map_err(unavailable)?;
        let is_hidden = |view: &PresenceView| blocks.is_by(&view.user) || withheld.contains(&view.user);
        views.iter_mut().filter(|view| is_hidden(view)).for_each(|view| *view = unseen(view.user.clone()));
        Ok((views, withheld))
    }
}
