//! A log that somebody deleted and made anew begins to count from one again.

use natter_e2e::{Cluster, Http, PATIENCE};
use natter_ids::{ClientId, ConversationId};
use natter_protocol::{Change, ErrorCode};
use natter_testkit::wait_for;

const PARTITIONS: u16 = 2;
const MESSAGES: usize = 5;

/// Nothing is accepted into it: the archive, which is further, would never take it. The operator is
/// told what to do, and what was archived is there.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_accepted_into_a_log_that_went_back() {
    let cluster = Cluster::builder().set("nats.partitions", PARTITIONS).start().await;
    let alice = cluster.device("alice", 0).await;
    let talk = alice.direct("bob").await;
    for number in 0..MESSAGES {
        alice.say(&talk, &format!("message {number}")).await;
    }
    let http = cluster.http("alice", 1);
    let archived = async || (texts(&http, &talk).await == MESSAGES).then_some(());
    wait_for("everything to be archived", PATIENCE, archived).await;

    for partition in 0..PARTITIONS {
        cluster.nats().delete_stream(&format!("CHAT-{partition}")).await;
    }
    cluster.apply().await;
    for gateway in 0..2 {
        let client_id = ClientId::now();
        // The second time it is a repeat of what the new log has.
        for _ in 0..2 {
            let refused = cluster.http("alice", gateway).say(&talk, client_id, "into the void").await.unwrap_err();
            assert_eq!(refused.code, ErrorCode::Unavailable, "{refused:?}");
            assert!(refused.retry_after_ms.is_some(), "{refused:?}");
        }
    }
    let told = cluster.log_lines_with("the log is behind the archive: run `natter restore`");
    assert!(!told.is_empty(), "the operator is told what to do");
    assert_eq!(texts(&http, &talk).await, MESSAGES, "what was archived is there");
}

/// How many messages the history shows.
async fn texts(http: &Http, talk: &ConversationId) -> usize {
    let page = http.history(talk, "limit=100").await.unwrap();
    page.events.iter().filter(|event| matches!(event.entry.change, Change::Message { .. })).count()
}
