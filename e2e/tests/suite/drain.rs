//! A gateway that is asked to stop while everybody on it writes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use natter_client::Client;
use natter_e2e::{Cluster, Http, PATIENCE, Service, user};
use natter_ids::ConversationId;
use natter_protocol::Change;
use natter_testkit::wait_for;
use tokio::{task::JoinSet, time::Instant};

const CLIENTS: usize = 200;
const PER_SEC: usize = 100;
const DELAY: Duration = Duration::from_secs(3);
/// Each writes so often.
const PAUSE: Duration = Duration::from_millis(200);

struct Writer {
    client: Client,
    conversation: ConversationId,
}

impl Writer {
    async fn new(cluster: &Cluster, number: usize, first: usize) -> Self {
        let name = format!("writer-{number}");
        let client = cluster.client(&name, &[first, 1 - first]).discard_events().connect().unwrap();
        // Notes to oneself: a conversation of one's own.
        let conversation = client.open_direct(&user(&name)).await.unwrap().conversation;
        Self { client, conversation }
    }

    /// Writes until told to stop; returns what was said. Every message has to be accepted.
    async fn write(&self, stop: &AtomicBool) -> Vec<String> {
        let mut said = Vec::new();
        while !stop.load(Relaxed) {
            let text = format!("message {}", said.len());
            let sent = tokio::time::timeout(PATIENCE, self.client.send(self.conversation.clone(), &text)).await;
            sent.expect("a message is not answered").expect("a message is refused");
            said.push(text);
            tokio::time::sleep(PAUSE).await;
        }
        said
    }

    async fn stored(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut after = Some(0);
        while let Some(from) = after {
            let page = self.client.history(&self.conversation, None, Some(from), None).await.unwrap();
            after = page.events.last().map(|event| event.seq);
            texts.extend(page.events.into_iter().filter_map(|event| match event.entry.change {
                Change::Message { text, .. } => Some(text),
                _ => None,
            }));
        }
        texts
    }
}

/// 0 also before the first.
async fn sessions(gateway: &Service) -> usize {
    let page = Http::new(gateway.admin_address()).get("/metrics").await.body;
    let value = page.lines().find_map(|line| line.strip_prefix("natter_connection_sessions "));
    value.map_or(0, |value| value.parse::<f64>().unwrap() as usize)
}

async fn is_ready(gateway: &Service) -> bool {
    Http::new(gateway.admin_address()).get("/health/ready").await.status == 200
}

/// Watches everybody arrive at the other gateway; returns when all had. No more may have come than
/// the pace allows since the delay.
async fn arrivals(other: &Service, asked: Instant) -> Duration {
    let mut samples = Vec::new();
    loop {
        let arrived = sessions(other).await;
        let allowed = asked.elapsed().saturating_sub(DELAY).as_secs_f64() * PER_SEC as f64 + 1.0;
        samples.push((asked.elapsed(), arrived));
        assert!(arrived as f64 <= allowed, "{arrived} have come to the other gateway, {allowed} may: {samples:?}");
        if arrived == CLIENTS + 1 {
            return asked.elapsed();
        }
        assert!(asked.elapsed() < PATIENCE, "not everybody has moved: {samples:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// It says at once that it is not ready, serves for the delay, also who comes then, and sends its
/// clients off at the pace. No message is lost, doubled or out of order, and it ends in time.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_writes_while_a_gateway_drains() {
    let cluster = Cluster::builder()
        .set("connection.drain_per_sec", PER_SEC)
        .set("connection.drain_delay_ms", DELAY.as_millis())
        .start()
        .await;
    let cluster = Arc::new(cluster);
    let mut connecting = JoinSet::new();
    for number in 0..CLIENTS {
        let cluster = Arc::clone(&cluster);
        connecting.spawn(async move { Writer::new(&cluster, number, 0).await });
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = connecting.join_all().await.into_iter().map(Arc::new).collect();
    let mut writing = JoinSet::new();
    for writer in &writers {
        let (writer, stop) = (Arc::clone(writer), Arc::clone(&stop));
        writing.spawn(async move { (Arc::clone(&writer), writer.write(&stop).await) });
    }
    let (gateway, other) = (cluster.gateway(0), cluster.gateway(1));
    assert_eq!(sessions(gateway).await, CLIENTS);
    assert!(is_ready(gateway).await);

    let asked = Instant::now();
    gateway.ask_to_stop();
    let refused = wait_for("readiness to go", PATIENCE, async || (!is_ready(gateway).await).then_some(()));
    refused.await;
    let not_ready = asked.elapsed();
    let late = Writer::new(&cluster, CLIENTS, 0).await;
    late.client.send(late.conversation.clone(), "late").await.unwrap();
    let served = asked.elapsed();
    let staying = sessions(gateway).await;
    assert!(served < DELAY, "the machine is too busy to say anything about the delay: {served:?}");
    assert_eq!(staying, CLIENTS + 1, "nobody is sent off during the delay");

    let (ended, moved) = tokio::join!(
        async {
            assert_eq!(gateway.ended().await, Some(0));
            asked.elapsed()
        },
        arrivals(other, asked)
    );
    let paced = DELAY + Duration::from_secs_f64(CLIENTS as f64 / PER_SEC as f64);
    assert!(ended >= paced, "{CLIENTS} clients were sent off too soon: {ended:?}");
    assert!(ended <= paced + Duration::from_secs(10), "the drain takes too long: {ended:?}, {paced:?} were expected");

    stop.store(true, Relaxed);
    let mut messages = 0;
    for (writer, said) in writing.join_all().await {
        messages += said.len();
        assert!(said.len() > 5, "it wrote while the gateway drained");
        let stored = wait_for("the archive", PATIENCE, async || {
            let stored = writer.stored().await;
            (stored.len() >= said.len()).then_some(stored)
        });
        assert_eq!(stored.await, said);
        assert_eq!(writer.client.stats().sessions, 2, "one move is enough");
        writer.client.close().await;
    }
    late.client.close().await;
    let report = format!(
        "{CLIENTS} clients, {messages} messages: not ready after {not_ready:?}, everybody has moved after {moved:?}, \
         ended after {ended:?} ({paced:?} by the pace)"
    );
    std::fs::write(cluster.folder().join("drain.txt"), &report).unwrap();
    if let Some(path) = std::env::var_os("NATTER_DRAIN_REPORT") {
        std::fs::write(path, report).unwrap();
    }
}

/// The other services give their partitions away when they are asked to stop: nobody waits for the
/// leases to expire.
#[tokio::test(flavor = "multi_thread")]
async fn workers_give_their_partitions_away() {
    const LEASE: Duration = Duration::from_secs(40);
    let cluster = Cluster::builder().set("nats.lease_ms", LEASE.as_millis()).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    alice.say(&talk, "before").await;
    bob.hears(["before"]).await;
    for leaving in [cluster.delivery(0), cluster.storage(0)] {
        assert!(is_ready(leaving).await);
        let asked = Instant::now();
        assert_eq!(leaving.terminate().await, Some(0));
        let text = format!("after {}", leaving.name());
        alice.say(&talk, &text).await;
        bob.hears([text.as_str()]).await;
        let archived = async || {
            let page = alice.client().history(&talk, None, None, None).await.ok()?;
            let is_it = |change: &Change| matches!(change, Change::Message { text: stored, .. } if *stored == text);
            page.events.iter().any(|event| is_it(&event.entry.change)).then_some(())
        };
        wait_for("the archive to have it", PATIENCE, archived).await;
        assert!(asked.elapsed() < LEASE / 2, "{} took {:?} to be replaced", leaving.name(), asked.elapsed());
    }
}
