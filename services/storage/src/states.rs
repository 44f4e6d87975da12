//! Messages as they are now: what history and pins show.

use std::collections::HashMap;

use natter_bus::storage_api::{Message, MessageReply, Pinned, StorageFault};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{BlockView, Change, Entry, Event, HistoryPage, MessageState, ReactionView};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    entries::{Range, Room, Show},
    reactions::{counts_text, uncounted_text},
    reads::database,
    sql::{from_sql, list, pieces, statement, to_sql},
    unheard::{heard_reactions_text, hides},
};

type Answer<T> = Result<T, StorageFault>;

/// Who reads, and whom they have blocked there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) user: &'a UserId,
    pub(crate) block: Option<&'a BlockView>,
}

impl Store {
    /// What later entries have made of the messages among these events, for a reader.
    pub(crate) async fn states(
        &self,
        conversation: &ConversationId,
        reader: Reader<'_>,
        events: &[Event],
    ) -> Answer<Vec<MessageState>> {
        let messages: Vec<_> = events.iter().filter(|event| is_message(event)).map(|event| event.seq).collect();
        let mut states: HashMap<Seq, MessageState> = HashMap::new();
        for piece in pieces(&messages) {
            self.read_states(conversation, reader, piece, &mut states).await.map_err(database)?;
        }
        let mut states: Vec<_> = states.into_iter().map(|(seq, state)| MessageState { seq, ..state }).collect();
        states.sort_by_key(|state| state.seq);
        Ok(states)
    }

    async fn read_states(
        &self,
        conversation: &ConversationId,
        reader: Reader<'_>,
        seqs: &[Seq],
        states: &mut HashMap<Seq, MessageState>,
    ) -> Result<(), sqlx::Error> {
        for (seq, by) in self.edits_now(conversation, seqs, reader.block).await? {
            states.entry(seq).or_default().edited_at = Some(by.time);
        }
        for seq in self.pinned_now(conversation, seqs, reader.block).await? {
            states.entry(seq).or_default().pinned = true;
        }
        for row in self.select(&expirations_text(seqs.len()), conversation, seqs).await? {
            let due = from_sql(row.try_get(1)?);
            states.entry(from_sql(row.try_get(0)?)).or_default().expires_at = Some(due);
        }
        if reader.block.is_some() {
            // They are two who react: nothing is won by what was counted.
            return self.read_reactions(&heard_reactions_text(seqs.len()), conversation, reader, seqs, states).await;
        }
        self.read_reactions(&counts_text(seqs.len()), conversation, reader, seqs, states).await?;
        let has_none = |seq: &&Seq| states.get(*seq).is_none_or(|state| state.reactions.is_empty());
        let rest: Vec<_> = seqs.iter().filter(has_none).copied().collect();
        for piece in pieces(&rest) {
            self.read_reactions(&uncounted_text(piece.len()), conversation, reader, piece, states).await?;
        }
        Ok(())
    }

    async fn read_reactions(
        &self,
        text: &str,
        conversation: &ConversationId,
        reader: Reader<'_>,
        seqs: &[Seq],
        states: &mut HashMap<Seq, MessageState>,
    ) -> Result<(), sqlx::Error> {
        let mut select = statement(text.to_owned()).bind(conversation.as_str());
        for seq in seqs {
            select = select.bind(to_sql(*seq));
        }
        select = select.bind(reader.user.as_str());
        if let Some(block) = reader.block {
            select = select.bind(block.user.as_str()).bind(to_sql(block.after));
        }
        for row in select.fetch_all(&self.pool).await? {
            let count = u32::try_from(row.try_get::<i64, _>(2)?).unwrap_or(u32::MAX);
            let mine = row.try_get::<i64, _>(3)? > 0;
            let view = ReactionView { emoji: row.try_get(1)?, count, mine };
            states.entry(from_sql(row.try_get(0)?)).or_default().reactions.push(view);
        }
        Ok(())
    }

    /// Puts the text that counts now into messages that were edited.
    async fn show_current(
        &self,
        conversation: &ConversationId,
        events: &mut [Event],
        block: Option<&BlockView>,
    ) -> Answer<()> {
        let messages: Vec<_> = events.iter().filter(|event| is_message(event)).map(|event| event.seq).collect();
        let mut texts: HashMap<Seq, (String, Vec<UserId>)> = HashMap::new();
        for piece in pieces(&messages) {
            for (seq, by) in self.edits_now(conversation, piece, block).await.map_err(database)? {
                if let Change::Edited { text, mentions, .. } = by.change {
                    texts.insert(seq, (text, mentions));
                }
            }
        }
        for event in events {
            let current = texts.remove(&event.seq);
            if let (Change::Message { text, mentions, .. }, Some(current)) = (&mut event.entry.change, current) {
                (*text, *mentions) = current;
            }
        }
        Ok(())
    }

    pub(crate) async fn select(
        &self,
        text: &str,
        conversation: &ConversationId,
        seqs: &[Seq],
    ) -> Result<Vec<AnyRow>, sqlx::Error> {
        let mut select = statement(text.to_owned()).bind(conversation.as_str());
        for seq in seqs {
            select = select.bind(to_sql(*seq));
        }
        select.fetch_all(&self.pool).await
    }

    /// Answers [`Pinned`].
    ///
    /// # Errors
    /// [`StorageFault::NotAMember`] when the user is no member now; [`StorageFault::Database`].
    pub async fn pinned(&self, asked: &Pinned) -> Answer<HistoryPage> {
        let spans = self.visible_spans(&asked.conversation, &asked.user).await?;
        // At most as many as may be pinned.
        let select = sqlx::query(
            "SELECT p.seq, e.bytes, p.by_seq FROM pins p JOIN entries e ON e.conversation = p.conversation AND e.seq = p.seq \
             WHERE p.conversation = $1 AND p.seq < $2 ORDER BY p.seq DESC",
        );
        let select = select.bind(asked.conversation.as_str()).bind(to_sql(asked.before.unwrap_or(Seq::MAX)));
        let rows = select.fetch_all(&self.pool).await.map_err(database)?;
        let (mut room, mut chosen, mut more) = (Room::new(asked.limit), Vec::new(), false);
        for row in rows {
            let seq = from_sql(row.try_get(0).map_err(database)?);
            let bytes = usize::try_from(row.try_get::<i64, _>(1).map_err(database)?).unwrap_or(usize::MAX);
            let by = from_sql(row.try_get(2).map_err(database)?);
            if !spans.iter().any(|span| span.covers(seq))
                || !self.shows_pin(&asked.conversation, by, asked.block.as_ref()).await.map_err(database)?
            {
                continue;
            }
            if !room.take(bytes) {
                more = true;
                break;
            }
            chosen.push(Range { conversation: asked.conversation.clone(), after: seq - 1, upto: seq });
        }
        chosen.reverse();
        let mut events = self.read_events(&chosen, Show::Log).await?;
        // What is due is pinned no more.
        events.retain(is_message);
        let reader = Reader { user: &asked.user, block: asked.block.as_ref() };
        self.page(&asked.conversation, reader, events, more, true).await
    }

    /// A page of these events with their states.
    pub(crate) async fn page(
        &self,
        conversation: &ConversationId,
        reader: Reader<'_>,
        mut events: Vec<Event>,
        more: bool,
        current: bool,
    ) -> Answer<HistoryPage> {
        let states = self.states(conversation, reader, &events).await?;
        if current && states.iter().any(|state| state.edited_at.is_some()) {
            self.show_current(conversation, &mut events, reader.block).await?;
        }
        Ok(HistoryPage { events, states, more })
    }

    /// Answers [`Message`] as of what is archived now.
    ///
    /// # Errors
    /// [`StorageFault::NotAMember`] when the user is no member now; [`StorageFault::Database`].
    pub async fn message(&self, asked: &Message) -> Answer<Option<MessageReply>> {
        let spans = self.visible_spans(&asked.conversation, &asked.user).await?;
        if !spans.iter().any(|span| span.covers(asked.seq)) {
            return Ok(None);
        }
        self.read_message(asked).await.map_err(database)
    }

    async fn read_message(&self, asked: &Message) -> Result<Option<MessageReply>, sqlx::Error> {
        let (conversation, seq) = (asked.conversation.as_str(), to_sql(asked.seq));
        let select = sqlx::query("SELECT entry FROM entries WHERE conversation = $1 AND seq = $2");
        let Some(row) = select.bind(conversation).bind(seq).fetch_optional(&self.pool).await? else { return Ok(None) };
        let Entry { sender, time, change, .. } = entry(&row, 0)?;
        if hides(asked.block.as_ref(), &sender, asked.seq) {
            return Ok(None);
        }
        let (deleted, said, forwarded) = match change {
            Change::Message { .. } if self.is_due(&asked.conversation, asked.seq).await? => (true, None, None),
            Change::Message { text, forwarded, .. } => (false, Some(text), forwarded),
            Change::Erased { was } if was == "message" => (true, None, None),
            _ => return Ok(None),
        };
        let text = match asked.with_text && !deleted {
            true => {
                let now = self.text_now(&asked.conversation, asked.seq, asked.block.as_ref()).await?;
                now.map(|(text, _)| text).or(said)
            }
            false => None,
        };
        let mut rows = Vec::new();
        for text in [
            "SELECT emoji FROM reaction_counts WHERE conversation = $1 AND seq = $2",
            // Nobody has reacted since the release before, or nobody at all.
            "SELECT DISTINCT emoji FROM reactions WHERE conversation = $1 AND seq = $2",
        ] {
            if rows.is_empty() {
                rows = sqlx::query(text).bind(conversation).bind(seq).fetch_all(&self.pool).await?;
            }
        }
        let emoji = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<_>, _>>()?;
        let select =
            sqlx::query("SELECT COUNT(*), COUNT(CASE WHEN seq = $2 THEN 1 END) FROM pins WHERE conversation = $1");
        let row = select.bind(conversation).bind(seq).fetch_one(&self.pool).await?;
        let pinned_in_all = u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u32::MAX);
        let pinned = row.try_get::<i64, _>(1)? > 0;
        Ok(Some(MessageReply { sender, time, text, forwarded, deleted, emoji, pinned, pinned_in_all }))
    }
}

fn is_message(event: &Event) -> bool {
    matches!(event.entry.change, Change::Message { .. })
}

pub(crate) fn entry(row: &AnyRow, column: usize) -> Result<Entry, sqlx::Error> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(crate) fn edits_text(seqs: usize) -> String {
    format!(
        "SELECT s.seq, e.entry, s.by_seq FROM edits s JOIN entries e ON e.conversation = s.conversation AND e.seq = s.by_seq \
         WHERE s.conversation = $1 AND s.seq IN ({})",
        list(2, seqs)
    )
}

pub(crate) fn pins_text(seqs: usize) -> String {
    format!("SELECT seq, by_seq FROM pins WHERE conversation = $1 AND seq IN ({})", list(2, seqs))
}

pub(crate) fn expirations_text(seqs: usize) -> String {
    format!("SELECT seq, due FROM expirations WHERE conversation = $1 AND seq IN ({})", list(2, seqs))
}
