//! nats-servers of other versions: upgraded and rolled back node by node while people talk.

use std::path::PathBuf;

use natter_e2e::{Cluster, Crowd};
use natter_testkit::tools::previous_nats_server;

/// The newest of the release before, and of the one that is too old.
const BEFORE: &str = "2.14.6";
const TOO_OLD: &str = "2.12.8";
const PARTITIONS: u16 = 2;

async fn roll(cluster: &Cluster, program: Option<PathBuf>, after_each: impl AsyncFn()) {
    for node in 0..cluster.nats().nodes() {
        cluster.nats().in_sync(PARTITIONS).await;
        cluster.nats().roll_node(node, program.clone()).await;
        after_each().await;
    }
    cluster.nats().in_sync(PARTITIONS).await;
}

/// From the release before to this one and back: nothing is lost, doubled or out of order.
#[tokio::test(flavor = "multi_thread")]
async fn nats_is_upgraded_and_rolled_back_while_people_talk() {
    let before = previous_nats_server(BEFORE);
    let cluster =
        Cluster::builder().set("nats.partitions", PARTITIONS).nats_nodes(3).nats_program(before.clone()).start().await;
    let crowd = Crowd::gather(&cluster, 4, 4.0).await;
    for program in [None, Some(before)] {
        roll(&cluster, program, async || crowd.hears_more(3).await).await;
        crowd.hears_more(5).await;
    }
    crowd.finish(&cluster).await.assert_clean();
    let starts = cluster.nats().lines_with("version:").await;
    let with = |version: &str| starts.iter().filter(|line| line.contains(version)).count();
    assert_eq!(with(BEFORE), 6, "each node began and ended with it: {starts:?}");
    assert_eq!(starts.len(), 9, "and ran the newer one between: {starts:?}");
}

/// Once Natter has read the log, a server that is too old for it cannot start on its data: it ends. The
/// others go on, and so does it with a newer one; nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_rolled_back_too_far_ends_and_has_lost_nothing() {
    let cluster = Cluster::builder().set("nats.partitions", PARTITIONS).nats_nodes(3).start().await;
    let crowd = Crowd::gather(&cluster, 4, 4.0).await;
    crowd.hears_more(3).await;
    cluster.nats().in_sync(PARTITIONS).await;
    let said = cluster.nats().roll_node_in_vain(0, previous_nats_server(TOO_OLD)).await;
    assert!(said.contains("Unknown group entry op type"), "{said}");
    crowd.hears_more(3).await;
    cluster.nats().restart_node(0).await;
    cluster.nats().in_sync(PARTITIONS).await;
    crowd.hears_more(3).await;
    crowd.finish(&cluster).await.assert_clean();
}
