//! Who the members of a conversation are, as storage knows them.

use futures_util::{StreamExt, TryStreamExt, stream};
use natter_bus::{AskError, Bus, LogRecord, storage_api::Roster};
use natter_ids::{ConversationId, Seq};

use crate::{conversation::Conversation, conversations::Conversations};

/// Reads rosters from storage.
pub(crate) struct Rosters {
    bus: Bus,
    at_once: usize,
}

impl Rosters {
    /// Asks for up to `at_once` conversations at the same time.
    pub(crate) fn new(bus: Bus, at_once: u16) -> Self {
        Self { bus, at_once: at_once.max(1).into() }
    }

    /// Reads the conversations that a batch needs and the cache lacks.
    pub(crate) async fn load(&self, cache: &mut Conversations, batch: &[LogRecord]) -> Result<(), AskError> {
        let mut wanted: Vec<(ConversationId, Seq)> = Vec::new();
        for record in batch {
            let Ok((conversation, entry)) = &record.body else { continue };
            let known = cache.contains(conversation) || wanted.iter().any(|(known, _)| known == conversation);
            // A beginning is fenced on there being no entry, so nothing stands before it.
            match entry.change.is_beginning() {
                _ if known => {}
                true => cache.insert(conversation.clone(), Conversation::default()),
                false => wanted.push((conversation.clone(), record.seq)),
            }
        }
        let loaded: Vec<_> = stream::iter(wanted)
            .map(|(conversation, before)| async move {
                let known = self.read_up_to(&conversation, before, usize::MAX).await?;
                Ok((conversation, known.unwrap_or_default()))
            })
            .buffer_unordered(self.at_once)
            .try_collect()
            .await?;
        for (conversation, known) in loaded {
            cache.insert(conversation, known);
        }
        Ok(())
    }

    /// The conversation just before an entry; `None` when it has more than so many members.
    pub(crate) async fn read_up_to(
        &self,
        conversation: &ConversationId,
        before: Seq,
        max: usize,
    ) -> Result<Option<Conversation>, AskError> {
        let mut asked = Roster { conversation: conversation.clone(), before, after: None };
        let mut members = Vec::new();
        loop {
            let page = self.bus.ask(&asked).await?;
            members.extend(page.members);
            if members.len() > max {
                return Ok(None);
            }
            if !page.more {
                return Ok(Some(Conversation::new(members, page.last_seq)));
            }
            asked.after = members.last().cloned();
        }
    }
}
