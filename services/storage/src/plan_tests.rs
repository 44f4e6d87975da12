//! What a read costs, asked of the planner: pages of a large archive are found through indexes,
//! so that they cost what they return.
#![allow(clippy::unwrap_used)]

use natter_ids::{ClientId, ConversationId, Partition, UserId};
use natter_protocol::{Change, Entry};
use sqlx::Row;

use crate::{
    Config, Record, Store,
    backlog::missed_text,
    entries,
    entries::{From, Show},
    hindsight, mentions, overview, preview, reactions, reactors, reads, receipts, requests, runs, said,
    sql::statement,
    states, unheard, unread,
};

const PARTITIONS: u16 = 2;

async fn store(folder: &tempfile::TempDir) -> Store {
    let url = format!("sqlite://{}", folder.path().join("archive.db").display());
    Store::connect(&Config { url: Some(url), ..Config::default() }, PARTITIONS).await.unwrap()
}

/// An archive of 100,000 entries in 500 conversations of two users each.
async fn fill(store: &Store) {
    let user = |name: String| UserId::new(name).unwrap();
    for partition in Partition::all(PARTITIONS) {
        let peers: Vec<_> = (0..500)
            .map(|number| [user(format!("a{number}")), user(format!("b{}", number % 100))])
            .filter(|[one, other]| Partition::of(&ConversationId::direct(one, other), PARTITIONS) == partition)
            .collect();
        let mut seq = 0;
        for _ in 0..100 {
            let mut records = Vec::new();
            for turn in 0..500 {
                let peers = peers[turn % peers.len()].clone();
                let conversation = ConversationId::direct(&peers[0], &peers[1]);
                let first = seq < peers.len() as u64;
                let client_id = (!first).then(ClientId::now);
                let sender = peers[0].clone();
                let change = if first { Change::DirectOpened { peers } } else { Change::message("x") };
                seq += 1;
                let entry = Entry { sender, client_id, time: 1, change };
                records.push(Record { seq, body: Some((conversation, entry)) });
            }
            store.apply(partition, seq - 500, &records).await.unwrap();
        }
    }
}

/// The steps of the planner, one a line.
async fn plan(store: &Store, text: &str) -> Vec<String> {
    let mut explain = statement(format!("EXPLAIN QUERY PLAN {text}"));
    let count = (1..).take_while(|number| text.contains(&format!("${number}"))).count();
    for _ in 0..count {
        explain = explain.bind(0_i64);
    }
    explain.fetch_all(&store.pool).await.unwrap().iter().map(|row| row.get::<String, _>(3)).collect()
}

#[tokio::test]
async fn pages_of_a_large_archive_are_found_through_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let small = plans(&store).await;
    fill(&store).await;
    sqlx::query("ANALYZE").execute(&store.pool).await.unwrap();
    store.close().await;
    // A new connection plans with what was counted.
    let store = self::store(&folder).await;
    let large = plans(&store).await;
    for (name, steps) in small.into_iter().chain(large) {
        for step in &steps {
            assert!(
                !step.contains("SCAN") || step.contains("CONSTANT ROW") || step.starts_with("SCAN r"),
                "{name} reads everything: {steps:#?}"
            );
            // The sorts that may be: few rows, of a user's own conversations or of a page's messages.
            assert!(
                !step.contains("TEMP B-TREE") || ["acquaintances", "changed marks", "reactions"].contains(&name),
                "{name} sorts: {steps:#?}"
            );
        }
        let searched = steps.iter().any(|step| step.contains("SEARCH") && step.contains("INDEX"));
        assert!(searched, "{name} uses an index: {steps:#?}");
    }
}

async fn plans(store: &Store) -> Vec<(&'static str, Vec<String>)> {
    let mut plans = Vec::new();
    for (name, text) in [
        ("missed", missed_text(PARTITIONS)),
        ("sizes, oldest", entries::sizes_text(4, Show::Log, From::Oldest)),
        ("sizes, newest", entries::sizes_text(1, Show::Messages, From::Newest)),
        ("events", entries::events_text(4, Show::Messages)),
        ("edits", states::edits_text(4)),
        ("pins", states::pins_text(4)),
        ("expirations", states::expirations_text(4)),
        ("conversations", reads::CONVERSATIONS.to_owned()),
        ("members", reads::MEMBERS.to_owned()),
        ("roster", reads::ROSTER.to_owned()),
        ("changed marks", receipts::changed_text()),
        ("receipts", receipts::receipts_text()),
        ("receipts, counted", receipts::counts_text()),
        ("reactors", reactors::REACTORS.to_owned()),
        ("overview", overview::NUMBERS.to_owned()),
        ("gone conversations", overview::GONE.to_owned()),
        ("last said", said::said_text(4)),
        ("edited previews", preview::edits_text(4)),
        ("reactions", reactions::counts_text(4)),
        ("latecomers", hindsight::LATECOMERS.to_owned()),
        ("heard", unheard::heard_text(4)),
        ("earlier edits", unheard::EARLIER_EDITS.to_owned()),
        ("runs, oldest", runs::RUNS_ASCENDING.to_owned()),
        ("runs, newest", runs::RUNS_DESCENDING.to_owned()),
        ("read up to", unread::ordinals_text(4)),
        ("mentions", mentions::mentions_text(4)),
        ("withheld", requests::withheld_text(4)),
        ("acquaintances", reads::acquaintances_text(4)),
    ] {
        plans.push((name, plan(store, &text).await));
    }
    plans
}
