//! Faults of the database and of the wire to it: live goes on without the archive.

use std::time::Duration;

use natter_testkit::{ArchiveLock, Flow, postgres};
use tokio::time::sleep;

use super::MEANWHILE;
use crate::chaos::Stage;

pub(super) async fn stall(Stage { cluster, crowd }: &Stage, time: Duration) {
    cluster.wire_to_database().set(Flow::Stall, Flow::Stall);
    crowd.hears_more(MEANWHILE).await;
    sleep(time).await;
    cluster.wire_to_database().heal();
}

pub(super) async fn down(Stage { cluster, crowd }: &Stage, time: Duration) {
    cluster.wire_to_database().set_down(true);
    crowd.hears_more(MEANWHILE).await;
    sleep(time).await;
    cluster.wire_to_database().set_down(false);
}

pub(super) async fn slow(Stage { cluster, crowd }: &Stage, later: Duration, time: Duration) {
    cluster.wire_to_database().set(Flow::Pass, Flow::Delay(later));
    crowd.hears_more(MEANWHILE).await;
    sleep(time).await;
    cluster.wire_to_database().heal();
}

/// Another program holds a lock that the archive needs.
pub(super) async fn lock(Stage { cluster, crowd }: &Stage, time: Duration) {
    let lock = ArchiveLock::take(cluster.database_url()).await;
    crowd.hears_more(MEANWHILE).await;
    sleep(time).await;
    lock.give_back().await;
}

/// The server itself is killed, and recovers from its own log.
pub(super) async fn restart(Stage { crowd, .. }: &Stage, time: Duration) {
    postgres::kill().await;
    crowd.hears_more(MEANWHILE).await;
    sleep(time).await;
    postgres::start_again().await;
}
