//! The work on one partition: whom each entry goes to, then sending.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use lru::LruCache;
use natter_bus::{
    AskError, Bus, LiveEvent, LogRecord, PartitionWorker, WorkError,
    storage_api::{FindMessage, Roster},
};
use natter_ids::{ConversationId, Partition, Seq, UserId};
use natter_protocol::{Entry, Event};
use natter_telemetry::metrics;
use tokio::sync::Mutex;

use crate::{Config, conversation::Conversation, links::Links, online::Online, progress::Progress};

const RETRY: Duration = Duration::from_millis(200);
/// How often users who went offline are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

type Conversations = LruCache<ConversationId, Conversation>;

/// Sends every entry of the owned partitions to the members who are online.
pub(crate) struct FanOut {
    config: Config,
    bus: Bus,
    online: Online,
    progress: Arc<Progress>,
    links: Arc<Links>,
    /// One per partition; only that partition's task uses it.
    partitions: Box<[Mutex<State>]>,
}

/// What is known of an owned partition.
struct State {
    conversations: Conversations,
    swept: Instant,
}

struct Planned {
    event: LiveEvent,
    recipients: Vec<UserId>,
}

impl FanOut {
    pub(crate) fn new(config: Config, bus: Bus, online: Online, progress: Arc<Progress>, links: Arc<Links>) -> Self {
        // A batch must fit, or a conversation could be evicted between reading and using it.
        let share = config.conversations_cached.max(1_024 * u32::from(bus.partitions())) as usize
            / usize::from(bus.partitions());
        let capacity = NonZeroUsize::new(share).unwrap_or(NonZeroUsize::MIN);
        let state = || State { conversations: LruCache::new(capacity), swept: Instant::now() };
        let partitions = Partition::all(bus.partitions()).map(|_| Mutex::new(state())).collect();
        Self { config, bus, online, progress, links, partitions }
    }

    /// Reads the conversations that the batch needs and the cache lacks.
    async fn load(&self, cache: &mut Conversations, batch: &[LogRecord]) -> Result<(), WorkError> {
        let mut wanted: Vec<(ConversationId, Seq)> = Vec::new();
        for record in batch {
            let Ok((conversation, entry)) = &record.body else { continue };
            let known = cache.contains(conversation) || wanted.iter().any(|(known, _)| known == conversation);
            // A beginning is fenced on there being no entry, so nothing stands before it.
            match entry.change.is_beginning() {
                _ if known => {}
                true => drop(cache.put(conversation.clone(), Conversation::default())),
                false => wanted.push((conversation.clone(), record.seq)),
            }
        }
        let loaded: Vec<_> = stream::iter(wanted)
            .map(|(conversation, before)| async move {
                let asked = Roster { conversation: conversation.clone(), before };
                self.bus.ask(&asked).await.map(|roster| (conversation, roster))
            })
            .buffer_unordered(self.config.lookups_at_once.max(1).into())
            .try_collect()
            .await
            .map_err(not_now)?;
        for (conversation, roster) in loaded {
            cache.put(conversation, roster.into());
        }
        Ok(())
    }

    /// The members of a conversation as of the entries worked off, sorted; `None` when another replica
    /// owns it, or it cannot be told now.
    pub(crate) async fn members(&self, conversation: &ConversationId) -> Option<Vec<UserId>> {
        let partition = Partition::of(conversation, self.bus.partitions());
        let reached = {
            let mut state = self.partitions.get(partition.index())?.lock().await;
            let reached = self.progress.of(partition)?;
            if let Some(known) = state.conversations.get(conversation) {
                return Some(known.members().to_vec());
            }
            reached
        };
        let asked = Roster { conversation: conversation.clone(), before: reached + 1 };
        let roster = Conversation::from(self.bus.ask(&asked).await.ok()?);
        let mut state = self.partitions[partition.index()].lock().await;
        if let Some(known) = state.conversations.get(conversation) {
            return Some(known.members().to_vec());
        }
        // Nothing was worked off meanwhile, so the batch to come finds what it would have read.
        (self.progress.of(partition) == Some(reached)).then(|| {
            let members = roster.members().to_vec();
            state.conversations.put(conversation.clone(), roster);
            members
        })
    }

    /// Whether the message was accepted before under the same client id: then this entry is void.
    async fn is_repeat(
        &self,
        record: &LogRecord,
        conversation: &ConversationId,
        entry: &Entry,
    ) -> Result<bool, WorkError> {
        let (true, Some(client_id)) = (record.may_be_repeat(), entry.client_id) else { return Ok(false) };
        let asked = FindMessage {
            conversation: conversation.clone(),
            sender: entry.sender.clone(),
            client_id,
            at_least: record.seq,
        };
        let first = self.bus.ask(&asked).await.map_err(not_now)?;
        Ok(first.is_some_and(|first| first.seq != record.seq))
    }

    async fn plan(&self, cache: &mut Conversations, batch: &[LogRecord]) -> Result<Vec<Planned>, WorkError> {
        let mut repeats = Vec::new();
        for record in batch {
            if let Ok((conversation, entry)) = &record.body
                && self.is_repeat(record, conversation, entry).await?
            {
                repeats.push(record.seq);
            }
        }
        // From here on nothing fails, so that the cache is never left between two entries.
        let mut planned = Vec::with_capacity(batch.len());
        for record in batch.iter().filter(|record| !repeats.contains(&record.seq)) {
            let (conversation, entry) = match &record.body {
                Ok(body) => body,
                Err(poison) => {
                    metrics::DELIVERY_POISON.add(1, []);
                    tracing::error!(partition = %record.partition, seq = record.seq, %poison, "an entry is left out");
                    continue;
                }
            };
            let state = cache.get_or_insert_mut(conversation.clone(), Conversation::default);
            let step = state.step(record.seq, entry);
            planned.push(Planned {
                event: live_event(record, conversation, entry, step.prev),
                recipients: step.recipients,
            });
        }
        Ok(planned)
    }

    async fn send(&self, planned: &[Planned]) -> Result<(), String> {
        let mut sent = 0;
        for Planned { event, recipients } in planned {
            for user in recipients {
                let link = self.links.advance(event.partition, user, event.seq);
                if self.online.may_be_online(user) {
                    self.bus.send_live(user, event, link).await?;
                    sent += 1;
                }
            }
        }
        metrics::DELIVERY_SENDS.add(sent, []);
        // The acknowledgement goes over the same connection, behind what was sent.
        Ok(())
    }

    /// Forgets users who went offline and got nothing since.
    fn sweep(&self, partition: Partition, state: &mut State) {
        if state.swept.elapsed() >= SWEEP {
            self.links.sweep(partition, |user| self.online.may_be_online(user));
            state.swept = Instant::now();
        }
    }
}

fn live_event(record: &LogRecord, conversation: &ConversationId, entry: &Entry, prev: Seq) -> LiveEvent {
    let event = Event { conversation: conversation.clone(), seq: record.seq, prev, entry: entry.clone() };
    // Serialising these types cannot fail: no maps with odd keys, no custom code.
    let json = serde_json::to_vec(&event).map(Bytes::from).unwrap_or_default();
    let (stored_at, trace) = (Some(record.stored_at), record.trace.clone());
    LiveEvent { partition: record.partition, seq: record.seq, json, stored_at, trace }
}

fn not_now(error: AskError) -> WorkError {
    WorkError::Retry { after: RETRY, reason: error.to_string() }
}

impl PartitionWorker for FanOut {
    async fn begin(&self, partition: Partition) -> Result<Option<Seq>, WorkError> {
        let mut state = self.partitions[partition.index()].lock().await;
        state.conversations.clear();
        Ok(None)
    }

    async fn began(&self, partition: Partition, after: Seq) {
        self.links.begin(partition, after);
        self.progress.begin(partition, after);
    }

    async fn process(&self, partition: Partition, batch: &[LogRecord]) -> Result<(), WorkError> {
        let Some(last) = batch.last().map(|record| record.seq) else { return Ok(()) };
        let mut state = self.partitions[partition.index()].lock().await;
        self.load(&mut state.conversations, batch).await?;
        let planned = self.plan(&mut state.conversations, batch).await?;
        self.progress.deciding(partition, last);
        // The entries are taken into the cache now, so sending is repeated here, not the batch.
        while let Err(reason) = self.send(&planned).await {
            tracing::warn!(%partition, reason, "live events could not be sent; trying again");
            tokio::time::sleep(RETRY).await;
        }
        self.sweep(partition, &mut state);
        metrics::DELIVERY_ENTRIES.add(batch.len() as u64, []);
        Ok(())
    }

    fn ended(&self, partition: Partition) {
        self.progress.end(partition);
    }
}
