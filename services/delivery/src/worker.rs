//! The work on one partition: whom each entry goes to, then sending.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use natter_bus::{AskError, Bus, LiveEvent, LogRecord, PartitionWorker, WorkError, storage_api::FindMessage};
use natter_ids::{ConversationId, Partition, Seq, UserId};
use natter_protocol::{Entry, Event};
use natter_telemetry::metrics;
use tokio::sync::Mutex;

use crate::{
    Config,
    conversation::{Recipients, Step},
    conversations::Conversations,
    listeners::Listeners,
    online::Online,
    progress::Progress,
    rosters::Rosters,
};

const RETRY: Duration = Duration::from_millis(200);
/// How often users who went offline are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// Sends every entry of the owned partitions to the members who are online.
pub(crate) struct FanOut {
    gateway_sends_members_min: usize,
    bus: Bus,
    rosters: Rosters,
    online: Online,
    progress: Arc<Progress>,
    /// One per partition; only that partition's task uses it.
    partitions: Box<[Mutex<State>]>,
}

/// The members of a conversation that is not too large.
pub(crate) enum Members {
    /// Sorted.
    These(Arc<Vec<UserId>>),
    /// It is too large.
    TooMany,
}

impl Members {
    fn of(members: Arc<Vec<UserId>>, max: usize) -> Self {
        if members.len() > max { Self::TooMany } else { Self::These(members) }
    }
}

/// What is known of an owned partition.
struct State {
    conversations: Conversations,
    swept: Instant,
}

impl FanOut {
    pub(crate) fn new(config: &Config, bus: Bus, online: Online, progress: Arc<Progress>) -> Self {
        // A batch must fit, or a conversation could be evicted between reading and using it.
        let share = |whole: u32| whole as usize / usize::from(bus.partitions());
        let conversations = share(config.conversations_cached).max(1_024);
        let known = || Conversations::new(conversations, share(config.members_cached));
        let state = || State { conversations: known(), swept: Instant::now() };
        let partitions = Partition::all(bus.partitions()).map(|_| Mutex::new(state())).collect();
        let rosters = Rosters::new(bus.clone(), config.lookups_at_once);
        let gateway_sends_members_min = config.gateway_sends_members_min as usize;
        Self { gateway_sends_members_min, bus, rosters, online, progress, partitions }
    }

    /// The members of a conversation that has at most so many, as of the entries worked off; `None` when
    /// another replica owns it, or it cannot be told now.
    pub(crate) async fn members(&self, conversation: &ConversationId, max: usize) -> Option<Members> {
        let partition = Partition::of(conversation, self.bus.partitions());
        let reached = {
            let mut state = self.partitions.get(partition.index())?.lock().await;
            let reached = self.progress.of(partition)?;
            if let Some(known) = state.conversations.members(conversation) {
                return Some(Members::of(known, max));
            }
            reached
        };
        let Some(roster) = self.rosters.read_up_to(conversation, reached + 1, max).await.ok()? else {
            return Some(Members::TooMany);
        };
        let mut state = self.partitions[partition.index()].lock().await;
        if let Some(known) = state.conversations.members(conversation) {
            return Some(Members::of(known, max));
        }
        // Nothing was worked off meanwhile, so the batch to come finds what it would have read.
        (self.progress.of(partition) == Some(reached)).then(|| {
            let members = Arc::clone(roster.members());
            state.conversations.insert(conversation.clone(), roster);
            state.conversations.shrink();
            Members::These(members)
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

    /// Entries of the batch that are void.
    async fn repeats(&self, batch: &[LogRecord]) -> Result<Vec<Seq>, WorkError> {
        let mut repeats = Vec::new();
        for record in batch {
            if let Ok((conversation, entry)) = &record.body
                && self.is_repeat(record, conversation, entry).await?
            {
                repeats.push(record.seq);
            }
        }
        Ok(repeats)
    }

    /// Takes an entry into the cache and sends it.
    async fn deliver(&self, cache: &mut Conversations, record: &LogRecord) {
        let (conversation, entry) = match &record.body {
            Ok(body) => body,
            Err(poison) => {
                metrics::DELIVERY_POISON.add(1, []);
                return tracing::error!(partition = %record.partition, seq = record.seq, %poison, "an entry is left out");
            }
        };
        let Step { prev, recipients } = cache.step(conversation, record.seq, entry);
        let event = live_event(record, conversation, entry, prev);
        let mut unknown = Listeners::default();
        let listeners = cache.listeners(conversation).unwrap_or(&mut unknown);
        // The entry is taken in, so sending is repeated here, not the batch.
        loop {
            match self.send(&event, &recipients, listeners).await {
                Ok(sent) => return metrics::DELIVERY_SENDS.add(sent, []),
                Err(reason) => tracing::warn!(reason, "a live event could not be sent; trying again"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Returns in how many messages.
    async fn send(&self, event: &LiveEvent, recipients: &Recipients, listeners: &mut Listeners) -> Result<u64, String> {
        if recipients.members.len() < self.gateway_sends_members_min {
            self.send_to_each(event, recipients.iter()).await
        } else {
            self.send_to_gateways(event, recipients, listeners).await
        }
    }

    /// Sends an event once to each user who is online; returns in how many messages.
    async fn send_to_each(&self, event: &LiveEvent, users: impl Iterator<Item = &UserId>) -> Result<u64, String> {
        let mut sent = 0;
        for user in users {
            if let Some(link) = self.online.advance(event.partition, user, event.seq) {
                self.bus.send_live(user, event, link).await?;
                sent += 1;
            }
        }
        Ok(sent)
    }

    /// Sends an event once to each gateway where recipients are; returns in how many messages.
    async fn send_to_gateways(
        &self,
        event: &LiveEvent,
        recipients: &Recipients,
        listeners: &mut Listeners,
    ) -> Result<u64, String> {
        let mut sent = 0;
        let parted = self.online.part(event.partition, event.seq, &recipients.members, listeners).await;
        for (user, link) in parted.alone {
            self.bus.send_live(&user, event, link).await?;
            sent += 1;
        }
        for (gateway, users) in parted.gateways {
            sent += self.bus.ship(&gateway, event, &users).await?;
        }
        Ok(sent + self.send_to_each(event, recipients.removed.iter()).await?)
    }

    /// Forgets users who went offline and got nothing since.
    fn sweep(&self, partition: Partition, state: &mut State) {
        if state.swept.elapsed() >= SWEEP {
            self.online.sweep(partition);
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
        self.online.begin(partition, after);
        self.progress.begin(partition, after);
    }

    async fn process(&self, partition: Partition, batch: &[LogRecord]) -> Result<(), WorkError> {
        let Some(last) = batch.last().map(|record| record.seq) else { return Ok(()) };
        let mut state = self.partitions[partition.index()].lock().await;
        self.rosters.load(&mut state.conversations, batch).await.map_err(not_now)?;
        let repeats = self.repeats(batch).await?;
        // From here on nothing fails, so that the cache is never left between two entries.
        self.progress.deciding(partition, last);
        for record in batch.iter().filter(|record| !repeats.contains(&record.seq)) {
            self.deliver(&mut state.conversations, record).await;
        }
        // The acknowledgement goes over the same connection, behind what was sent.
        state.conversations.shrink();
        self.sweep(partition, &mut state);
        metrics::DELIVERY_ENTRIES.add(batch.len() as u64, []);
        Ok(())
    }

    fn ended(&self, partition: Partition) {
        self.progress.end(partition);
    }
}
