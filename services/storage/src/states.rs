//! Messages as they are now: what history and pins show.

use std::collections::HashMap;

use natter_bus::storage_api::{Message, MessageReply, Pinned, StorageFault};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, Entry, Event, HistoryPage, MessageState, ReactionView};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    entries::{Range, Room, Show},
    reactions::{counts_text, uncounted_text},
    reads::database,
    sql::{from_sql, list, pieces, statement, to_sql},
};

type Answer<T> = Result<T, StorageFault>;

impl Store {
    /// What later entries have made of the messages among these events, for a reader.
    pub(crate) async fn states(
        &self,
        conversation: &ConversationId,
        reader: &UserId,
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
        reader: &UserId,
        seqs: &[Seq],
        states: &mut HashMap<Seq, MessageState>,
    ) -> Result<(), sqlx::Error> {
        for row in self.select(&edits_text(seqs.len()), conversation, seqs).await? {
            let by: Entry = entry(&row, 1)?;
            states.entry(from_sql(row.try_get(0)?)).or_default().edited_at = Some(by.time);
        }
        for row in self.select(&pins_text(seqs.len()), conversation, seqs).await? {
            states.entry(from_sql(row.try_get(0)?)).or_default().pinned = true;
        }
        for row in self.select(&expirations_text(seqs.len()), conversation, seqs).await? {
            let due = from_sql(row.try_get(1)?);
            states.entry(from_sql(row.try_get(0)?)).or_default().expires_at = Some(due);
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
        reader: &UserId,
        seqs: &[Seq],
        states: &mut HashMap<Seq, MessageState>,
    ) -> Result<(), sqlx::Error> {
        let mut select = statement(text.to_owned()).bind(conversation.as_str());
        for seq in seqs {
            select = select.bind(to_sql(*seq));
        }
        for row in select.bind(reader.as_str()).fetch_all(&self.pool).await? {
            let count = u32::try_from(row.try_get::<i64, _>(2)?).unwrap_or(u32::MAX);
            let mine = row.try_get::<i64, _>(3)? > 0;
            let view = ReactionView { emoji: row.try_get(1)?, count, mine };
            states.entry(from_sql(row.try_get(0)?)).or_default().reactions.push(view);
        }
        Ok(())
    }

    /// Puts the text that counts now into messages that were edited.
    pub(crate) async fn show_current(&self, conversation: &ConversationId, events: &mut [Event]) -> Answer<()> {
        let messages: Vec<_> = events.iter().filter(|event| is_message(event)).map(|event| event.seq).collect();
        let mut texts: HashMap<Seq, (String, Vec<UserId>)> = HashMap::new();
        for piece in pieces(&messages) {
            let rows = self.select(&edits_text(piece.len()), conversation, piece).await.map_err(database)?;
            for row in rows {
                if let Change::Edited { text, mentions, .. } = entry(&row, 1).map_err(database)?.change {
                    texts.insert(from_sql(row.try_get(0).map_err(database)?), (text, mentions));
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

    async fn select(
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
            "SELECT p.seq, e.bytes FROM pins p JOIN entries e ON e.conversation = p.conversation AND e.seq = p.seq \
             WHERE p.conversation = $1 AND p.seq < $2 ORDER BY p.seq DESC",
        );
        let select = select.bind(asked.conversation.as_str()).bind(to_sql(asked.before.unwrap_or(Seq::MAX)));
        let rows = select.fetch_all(&self.pool).await.map_err(database)?;
        let (mut room, mut chosen, mut more) = (Room::new(asked.limit), Vec::new(), false);
        for row in rows {
            let seq = from_sql(row.try_get(0).map_err(database)?);
            let bytes = usize::try_from(row.try_get::<i64, _>(1).map_err(database)?).unwrap_or(usize::MAX);
            if !spans.iter().any(|span| span.covers(seq)) {
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
        self.page(&asked.conversation, &asked.user, events, more, true).await
    }

    /// A page of these events with their states.
    pub(crate) async fn page(
        &self,
        conversation: &ConversationId,
        reader: &UserId,
        mut events: Vec<Event>,
        more: bool,
        current: bool,
    ) -> Answer<HistoryPage> {
        let states = self.states(conversation, reader, &events).await?;
        if current && states.iter().any(|state| state.edited_at.is_some()) {
            self.show_current(conversation, &mut events).await?;
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
        let (deleted, said, forwarded) = match change {
            Change::Message { .. } if self.is_due(&asked.conversation, asked.seq).await? => (true, None, None),
            Change::Message { text, forwarded, .. } => (false, Some(text), forwarded),
            Change::Erased { was } if was == "message" => (true, None, None),
            _ => return Ok(None),
        };
        let text = if asked.with_text && !deleted { self.current_text(asked).await?.or(said) } else { None };
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

impl Store {
    /// The text of a message's last edit.
    async fn current_text(&self, asked: &Message) -> Result<Option<String>, sqlx::Error> {
        let rows = self.select(&edits_text(1), &asked.conversation, &[asked.seq]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        match entry(row, 1)?.change {
            Change::Edited { text, .. } => Ok(Some(text)),
            _ => Ok(None),
        }
    }
}

fn is_message(event: &Event) -> bool {
    matches!(event.entry.change, Change::Message { .. })
}

fn entry(row: &AnyRow, column: usize) -> Result<Entry, sqlx::Error> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(crate) fn edits_text(seqs: usize) -> String {
    format!(
        "SELECT s.seq, e.entry FROM edits s JOIN entries e ON e.conversation = s.conversation AND e.seq = s.by_seq \
         WHERE s.conversation = $1 AND s.seq IN ({})",
        list(2, seqs)
    )
}

pub(crate) fn pins_text(seqs: usize) -> String {
    format!("SELECT seq FROM pins WHERE conversation = $1 AND seq IN ({})", list(2, seqs))
}

pub(crate) fn expirations_text(seqs: usize) -> String {
    format!("SELECT seq, due FROM expirations WHERE conversation = $1 AND seq IN ({})", list(2, seqs))
}
