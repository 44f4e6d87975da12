//! The floor: what the messaging underneath can do alone, without Natter.
//!
//! One async-nats client publishes to `user.<id>.inbox` and awaits JetStream's acknowledgements;
//! one durable pull consumer on a second client reads and acknowledges every message.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::{
    self, Context,
    consumer::{AckPolicy, PullConsumer, pull},
    context::PublishAckFuture,
    stream,
};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    measured::{Clock, Latencies, Latency},
    options::Plan,
    pacer,
    process::Nats,
};

/// Bytes of a payload, as long as the text of a message.
const PAYLOAD: usize = 200;
/// Publishes that wait for their acknowledgement.
const IN_FLIGHT: usize = 1_024;
const STREAM: &str = "FLOOR";
/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The floor at saturation.
#[derive(Debug, Clone, Copy)]
pub struct Saturation {
    /// Acknowledged publishes per second.
    pub published: f64,
    /// Messages that the consumer read per second, at the same time.
    pub consumed: f64,
    /// Processor seconds of `nats-server` per 1,000 messages read.
    pub nats_cpu: f64,
}

/// Work beside the measurement; it ends when this is dropped.
struct Task(JoinSet<Result<()>>);

impl Task {
    fn start(work: impl Future<Output = Result<()>> + Send + 'static) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(work);
        Self(tasks)
    }

    async fn finish(mut self) -> Result<()> {
        let ended = timeout(PATIENCE, self.0.join_next()).await.context("the floor's publisher does not end")?;
        ended.unwrap_or(Ok(Ok(())))?
    }
}

struct Floor {
    nats: Nats,
    jetstream: Context,
    subjects: Arc<[String]>,
    clock: Clock,
}

/// What the consumer has seen.
struct Read {
    count: AtomicU64,
    latencies: Latencies,
    /// Messages due before this are not measured.
    from: AtomicU64,
}

impl Floor {
    async fn start(users: usize) -> Result<Self> {
        let nats = Nats::start().await?;
        let jetstream = jetstream::new(nats.connect().await?);
        let config = stream::Config {
            name: STREAM.to_owned(),
            subjects: vec!["user.*.inbox".to_owned()],
            storage: stream::StorageType::File,
            ..stream::Config::default()
        };
        jetstream.create_stream(config).await?;
        let subjects = (0..users).map(|user| format!("user.u{user}.inbox")).collect();
        Ok(Self { nats, jetstream, subjects, clock: Clock::start() })
    }

    async fn consumer(&self) -> Result<PullConsumer> {
        let jetstream = jetstream::new(self.nats.connect().await?);
        let config = pull::Config {
            durable_name: Some("floor".to_owned()),
            ack_policy: AckPolicy::Explicit,
            max_ack_pending: 20_000,
            ..pull::Config::default()
        };
        Ok(jetstream.create_consumer_on_stream(config, STREAM).await?)
    }

    async fn read(&self) -> Result<(Arc<Read>, Task)> {
        let read = Arc::new(Read { count: AtomicU64::new(0), latencies: Latencies::new()?, from: AtomicU64::new(0) });
        let mut messages = self.consumer().await?.stream().max_messages_per_batch(1_000).messages().await?;
        let (seen, clock) = (Arc::clone(&read), self.clock);
        let task = Task::start(async move {
            while let Some(message) = messages.next().await {
                let message = message?;
                seen.count.fetch_add(1, Relaxed);
                if let Some(due) = due(&message.payload).filter(|due| *due >= seen.from.load(Relaxed)) {
                    seen.latencies.record(clock.now().saturating_sub(due));
                }
                message.ack().await.map_err(|error| anyhow::anyhow!(error))?;
            }
            Ok(())
        });
        Ok((read, task))
    }

    fn subject(&self, number: u64) -> String {
        self.subjects[usize::try_from(number).unwrap_or(0) % self.subjects.len()].clone()
    }

    /// Publishes without pause until stopped or done, and awaits every acknowledgement.
    async fn publish(&self, most: u64, stop: &AtomicBool, published: &AtomicU64) -> Result<()> {
        let body = payload(0);
        let mut waiting: VecDeque<PublishAckFuture> = VecDeque::with_capacity(IN_FLIGHT);
        for number in 0..most {
            if stop.load(Relaxed) {
                break;
            }
            if waiting.len() == IN_FLIGHT {
                acknowledged(&mut waiting, published).await?;
            }
            waiting.push_back(self.jetstream.publish(self.subject(number), body.clone()).await?);
        }
        while !waiting.is_empty() {
            acknowledged(&mut waiting, published).await?;
        }
        Ok(())
    }
}

async fn acknowledged(waiting: &mut VecDeque<PublishAckFuture>, published: &AtomicU64) -> Result<()> {
    if let Some(oldest) = waiting.pop_front() {
        oldest.await?;
        published.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// A payload that says when it was due.
fn payload(due: u64) -> Bytes {
    let mut bytes = vec![b'x'; PAYLOAD];
    bytes[..8].copy_from_slice(&due.to_be_bytes());
    bytes.into()
}

fn due(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Measures the floor at saturation.
///
/// # Errors
/// The server cannot be started or fails.
pub async fn saturation(plan: &Plan) -> Result<Saturation> {
    let floor = Arc::new(Floor::start(plan.users).await?);
    let (read, reader) = floor.read().await?;
    let (stop, published) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let publisher = Task::start({
        let (floor, stop, published) = (Arc::clone(&floor), Arc::clone(&stop), Arc::clone(&published));
        async move { floor.publish(u64::MAX, &stop, &published).await }
    });
    sleep(plan.warm_up).await;
    let numbers = || anyhow::Ok((published.load(Relaxed), read.count.load(Relaxed), floor.nats.cpu()?));
    let (begin, before) = (Instant::now(), numbers()?);
    sleep(plan.window).await;
    let (seconds, after) = (begin.elapsed().as_secs_f64(), numbers()?);
    stop.store(true, Relaxed);
    publisher.finish().await?;
    drop(reader);
    let consumed = (after.1 - before.1) as f64;
    ensure!(consumed > 0.0, "the floor's consumer read nothing");
    Ok(Saturation {
        published: (after.0 - before.0) as f64 / seconds,
        consumed: consumed / seconds,
        nats_cpu: (after.2 - before.2) / consumed * 1_000.0,
    })
}

/// Measures from due to read at an even rate.
///
/// # Errors
/// The server cannot be started, fails or cannot keep the rate.
pub async fn latency(plan: &Plan, rate: u32) -> Result<Latency> {
    let floor = Arc::new(Floor::start(plan.users).await?);
    let (read, reader) = floor.read().await?;
    read.from.store(floor.clock.now() + plan.warm_up.as_nanos() as u64, Relaxed);
    let (give, mut take) = mpsc::channel::<(u64, u64)>(65_536);
    let publisher = Task::start({
        let floor = Arc::clone(&floor);
        async move {
            let (waiting, mut acks) = mpsc::channel::<PublishAckFuture>(65_536);
            let acknowledged = Task::start(async move {
                while let Some(ack) = acks.recv().await {
                    ack.await?;
                }
                anyhow::Ok(())
            });
            while let Some((number, due)) = take.recv().await {
                waiting.send(floor.jetstream.publish(floor.subject(number), payload(due)).await?).await?;
            }
            drop(waiting);
            acknowledged.finish().await
        }
    });
    let clock = floor.clock;
    let taken = move |number, due| give.try_send((number, clock.at(due))).is_ok();
    let paced = pacer::pace(rate, plan.warm_up + plan.window, taken).await?;
    ensure!(paced.dropped == 0, "the floor cannot keep {rate}/s: {} messages could not be given", paced.dropped);
    publisher.finish().await?;
    let all = async {
        while read.count.load(Relaxed) < paced.given {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, all).await.context("the floor's consumer did not read everything")?;
    drop(reader);
    read.latencies.summary()
}

/// Measures how fast a new durable consumer reads what is stored, in messages per second.
///
/// # Errors
/// The server cannot be started or fails.
pub async fn drain(plan: &Plan) -> Result<f64> {
    let floor = Floor::start(plan.users).await?;
    let messages = (plan.drain_devices * plan.drain_messages) as u64;
    floor.publish(messages, &AtomicBool::new(false), &AtomicU64::new(0)).await?;
    let begin = Instant::now();
    let (read, reader) = floor.read().await?;
    let all = async {
        while read.count.load(Relaxed) < messages {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, all).await.context("the floor's consumer did not read everything")?;
    let seconds = begin.elapsed().as_secs_f64();
    drop(reader);
    Ok(messages as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_tell_when_they_were_due() {
        let bytes = payload(1_234_567_890_123);
        assert_eq!((bytes.len(), due(&bytes)), (PAYLOAD, Some(1_234_567_890_123)));
        assert_eq!(due(b"short"), None);
    }
}
