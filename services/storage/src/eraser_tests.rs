//! One round takes everything that is due.
#![allow(clippy::unwrap_used)]

use natter_bus::{Append, Fence, LogRecord, PartitionWorker, Service, WorkError, definitions};
use natter_ids::{ClientId, ConversationId, GatewayId, UserId};
use natter_protocol::{Change, Entry};
use natter_testkit::{NatsServer, wait_for};

use super::*;
use crate::Record;

const PARTITION: Partition = Partition(0);
const MESSAGES: u64 = 600;
const PATIENCE: Duration = Duration::from_secs(60);

/// Acknowledges what it reads.
struct Reader;

impl PartitionWorker for Reader {
    async fn begin(&self, _: Partition) -> Result<Option<Seq>, WorkError> {
        Ok(None)
    }

    async fn process(&self, _: Partition, _: &[LogRecord]) -> Result<(), WorkError> {
        Ok(())
    }
}

async fn connect(nats: &NatsServer) -> Bus {
    let config = natter_bus::Config { url: Some(nats.url()), partitions: 1, ..natter_bus::Config::default() };
    let bus = Bus::connect(&config, GatewayId::new("test").unwrap()).await.unwrap();
    wait_for("a connection", PATIENCE, async || bus.is_connected().then_some(())).await;
    definitions::apply(&bus, false).await.unwrap();
    bus
}

/// A conversation with messages that are due, and whose ids are old, in the log and in the archive.
async fn fill(bus: &Bus, store: &Store) {
    let (alice, bob) = (UserId::new("alice").unwrap(), UserId::new("bob").unwrap());
    let chat = ConversationId::direct(&alice, &bob);
    let opened = Change::DirectOpened { peers: [alice.clone(), bob] };
    let mut entries = vec![(None, opened), (None, Change::TimerSet { seconds: 1 })];
    entries.extend((0..MESSAGES).map(|number| (Some(ClientId::at(1_000 + number)), Change::message("x"))));
    let mut records = Vec::new();
    for (seq, (client_id, change)) in (1..).zip(entries) {
        let entry = Entry { sender: alice.clone(), client_id, time: 1, change };
        let fence = if seq == 1 { Fence::Beginning } else { Fence::Member { user: &alice, seq: 0 } };
        bus.append(Append { conversation: &chat, entry: &entry, fence }).await.unwrap();
        records.push(Record { seq, body: Some((chat.clone(), entry)) });
    }
    store.apply(PARTITION, 0, &records).await.unwrap();
}

/// Lets delivery and storage read the log to its end.
async fn read_log(bus: &Bus) {
    let stop = CancellationToken::new();
    let read = |service| bus.run_partitions(service, Arc::new(Reader), stop.clone());
    let wait = async {
        let is_read = async || {
            let progress = bus.progress(PARTITION).await.ok()?;
            (progress.delivered.min(progress.archived) == progress.newest).then_some(())
        };
        wait_for("the log to be read", PATIENCE, is_read).await;
        stop.cancel();
    };
    tokio::join!(Box::pin(read(Service::Delivery)), Box::pin(read(Service::Storage)), wait);
}

/// More than two transactions' worth is due at once: after one round nothing of it is left in the archive,
/// and after one that comes once the log was read, nothing in the log.
#[tokio::test]
async fn one_round_takes_everything_that_is_due() {
    let nats = NatsServer::start().await;
    let bus = connect(&nats).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("archive.db").display());
    let config = Config { url: Some(url), ..Config::default() };
    let store = Arc::new(Store::connect(&config, 1).await.unwrap());
    fill(&bus, &store).await;
    let left = async || {
        let mut left = Vec::new();
        for table in ["expirations", "erasures"] {
            let select = statement(format!("SELECT COUNT(*) FROM {table}"));
            left.push(select.fetch_one(&store.pool).await.unwrap().try_get::<i64, _>(0).unwrap());
        }
        left
    };
    assert_eq!(left().await, [600, 0]);
    let eraser = Eraser::new(bus.clone(), Arc::clone(&store), PARTITION, &config);
    eraser.round(&mut false).await;
    assert_eq!(left().await, [0, 600], "nobody has read the log yet");
    read_log(&bus).await;
    eraser.round(&mut false).await;
    assert_eq!(left().await, [0, 0]);
    for seq in [1, 2] {
        assert!(bus.record_at(PARTITION, seq).await.unwrap().is_some(), "{seq} is no message");
    }
    for seq in [3, 3 + MESSAGES / 2, 2 + MESSAGES] {
        assert!(bus.record_at(PARTITION, seq).await.unwrap().is_none(), "{seq}");
    }
}
