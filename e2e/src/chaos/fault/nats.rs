//! Faults of NATS and of the wires to it.

use std::time::Duration;

use natter_ids::{ClientId, ConversationId};
use natter_protocol::ErrorCode;
use natter_testkit::{Flow, wait_for};
use tokio::time::sleep;

use super::{MEANWHILE, Node};
use crate::{
    Cluster,
    chaos::{PARTITIONS, Stage},
};

/// How long a send may take to be refused when nothing can accept it.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);
/// How long an unreadable entry may take to be told.
const TOLD_WITHIN: Duration = Duration::from_secs(20);
/// How long a gateway may take to notice that NATS does not answer.
const NOTICED_WITHIN: Duration = Duration::from_secs(12);

/// How a node goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Going {
    Killed,
    Asked,
}

pub(super) async fn without_node(Stage { cluster, crowd }: &Stage, node: Node, going: Going) {
    let nats = cluster.nats();
    let number = node.number(cluster).await;
    match going {
        Going::Killed => nats.kill_node(number).await,
        Going::Asked => nats.terminate_node(number).await,
    }
    crowd.says_more(MEANWHILE).await;
    crowd.hears_more(MEANWHILE).await;
    nats.restart_node(number).await;
    nats.in_sync(PARTITIONS).await;
}

/// The node runs and its clients reach it, but no other node does: what it leads must be led by
/// another, and what it still takes must not be said to be accepted.
pub(super) async fn isolate(Stage { cluster, crowd }: &Stage, node: Node, time: Duration) {
    let number = node.number(cluster).await;
    cluster.nats().isolate(number);
    crowd.says_more(MEANWHILE).await;
    crowd.hears_more(MEANWHILE).await;
    sleep(time).await;
    cluster.nats().rejoin(number);
    cluster.nats().in_sync(PARTITIONS).await;
}

/// A wire on which nothing passes, one way or both: the gateway notices and tells its sockets.
pub(super) async fn stall(Stage { cluster, .. }: &Stage, up: bool, down: bool, time: Duration) {
    let noticed = || log_lines_of_first_gateway(cluster, "the connection to NATS lost messages or broke");
    let before = noticed();
    let flow = |stalls| if stalls { Flow::Stall } else { Flow::Pass };
    cluster.wire_to_nats().set(flow(up), flow(down));
    if up || down {
        let what = "the gateway to notice that NATS does not answer";
        wait_for(what, NOTICED_WITHIN, async || (noticed() > before).then_some(())).await;
    }
    sleep(time).await;
    cluster.wire_to_nats().heal();
}

fn log_lines_of_first_gateway(cluster: &Cluster, text: &str) -> usize {
    cluster.log_lines_with(text).iter().filter(|line| line.starts_with("gateway-0")).count()
}

pub(super) async fn slow(Stage { cluster, crowd }: &Stage, later: Duration, time: Duration) {
    cluster.wire_to_nats().set(Flow::Delay(later), Flow::Delay(later));
    crowd.says_more(MEANWHILE).await;
    sleep(time).await;
    cluster.wire_to_nats().heal();
}

pub(super) async fn poison(Stage { cluster, .. }: &Stage) {
    let told = || cluster.log_lines_with("an entry is left out of the archive").len();
    let goal = told() + cluster.nats().poison(PARTITIONS).await;
    wait_for("every unreadable entry to be told", TOLD_WITHIN, async || (told() >= goal).then_some(())).await;
}

/// The owner of a partition makes its consumer anew by itself, and says so.
pub(super) async fn delete_consumers(Stage { cluster, crowd }: &Stage, name: &str) {
    let told = || cluster.log_lines_with("the consumer was gone and is made anew").len();
    let goal = told() + usize::from(PARTITIONS);
    cluster.nats().delete_consumers(PARTITIONS, name).await;
    wait_for("every consumer to be made anew", TOLD_WITHIN, async || (told() >= goal).then_some(())).await;
    crowd.says_more(MEANWHILE).await;
}

pub(super) async fn lose_majority(stage: &Stage) {
    for number in 0..2 {
        stage.cluster.nats().kill_node(number).await;
    }
    refused(stage, "without a majority").await;
    for number in 0..2 {
        stage.cluster.nats().restart_node(number).await;
    }
    stage.cluster.nats().in_sync(PARTITIONS).await;
}

/// Waits until a send is refused with a time to retry after.
pub(super) async fn refused(Stage { cluster, crowd }: &Stage, text: &str) {
    let http = cluster.http("person-0", 0);
    let sender = crate::user("person-0");
    let conversation = ConversationId::direct(&sender, &crate::user("person-1"));
    let refused = async || {
        let client_id = ClientId::now();
        // The leader may have it, and the others take it once they are back: `unavailable` says
        // that nobody knows.
        crowd.tries(&sender, &conversation, client_id, text);
        let refused = http.say(&conversation, client_id, text).await.err()?;
        assert!(refused.retry_after_ms.is_some(), "{refused:?} says when to try again");
        (refused.code == ErrorCode::Unavailable).then_some(())
    };
    wait_for("a send to be refused", REFUSED_WITHIN, refused).await;
}
