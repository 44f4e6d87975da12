//! The reconciler finds what is late and what differs.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{sync::Arc, time::Duration};

use natter_bus::{Append, Bus, Fence, definitions};
use natter_ids::{ConversationId, GatewayId, Partition, UserId};
use natter_protocol::{Change, Entry};
use natter_storage::{Config, Findings, Reconciler, Record, Store};
use natter_testkit::{NatsServer, wait_for};
use sqlx::{Connection, SqliteConnection};

const PARTITION: Partition = Partition(0);
const ENTRIES: u64 = 3;

async fn connect(nats: &NatsServer) -> Bus {
    let config = natter_bus::Config { url: Some(nats.url()), partitions: 1, ..natter_bus::Config::default() };
    let bus = Bus::connect(&config, GatewayId::new("test").unwrap()).await.unwrap();
    let connected = async || bus.is_connected().then_some(());
    wait_for("a connection", Duration::from_secs(20), connected).await;
    definitions::apply(&bus, false).await.unwrap();
    bus
}

/// Appends the beginnings of so many conversations: each is an entry.
async fn append(bus: &Bus) {
    let alice = UserId::new("alice").unwrap();
    for number in 0..ENTRIES {
        let peer = UserId::new(format!("peer-{number}")).unwrap();
        let conversation = ConversationId::direct(&alice, &peer);
        let change = Change::DirectOpened { peers: [alice.clone(), peer] };
        let entry = Entry { sender: alice.clone(), client_id: None, time: 1, change };
        bus.append(Append { conversation: &conversation, entry: &entry, fence: Fence::Beginning }).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_late_or_differs_is_found() {
    let nats = NatsServer::start().await;
    let bus = connect(&nats).await;
    append(&bus).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archive.db");
    let config = Config { url: Some(format!("sqlite://{}", file.display())), ..Config::default() };
    let store = Arc::new(Store::connect(&config, 1).await.unwrap());
    let reconciler = Reconciler::new(bus.clone(), Arc::clone(&store));

    let found = reconciler.look(PARTITION, 0).await.unwrap();
    assert_eq!((found.unarchived.entries, found.undelivered.entries, found.lost), (ENTRIES, ENTRIES, 0));
    let found = reconciler.look(PARTITION, 0).await.unwrap();
    assert!(found.unarchived.oldest > Duration::ZERO, "{found:?}");

    let mut records = Vec::new();
    for seq in 1..=ENTRIES {
        let record = bus.record_at(PARTITION, seq).await.unwrap().unwrap();
        records.push(Record { seq, body: record.body.ok() });
    }
    store.apply(PARTITION, 0, &records).await.unwrap();
    let looks = async |what: &str, differs: [bool; ENTRIES as usize]| {
        for (sample, differs) in (0..).zip(differs) {
            let Findings { unarchived, divergent, .. } = reconciler.look(PARTITION, sample).await.unwrap();
            assert_eq!((unarchived.entries, divergent), (0, differs), "{what}: entry {}", sample + 1);
        }
    };
    looks("archived", [false, false, false]).await;
    let mut sql = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::query("UPDATE entries SET entry = replace(entry, 'alice', 'mallory') WHERE seq = 2")
        .execute(&mut sql)
        .await
        .unwrap();
    looks("one was changed", [false, true, false]).await;
    sqlx::query("DELETE FROM entries WHERE seq = 3").execute(&mut sql).await.unwrap();
    looks("one is gone too", [false, true, true]).await;
}
