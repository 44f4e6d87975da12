//! Full disks.

use std::time::Duration;

use tokio::time::sleep;

use super::{MEANWHILE, nats::refused};
use crate::chaos::Stage;

/// NATS has no room: sends are refused. A nats-server that could not write goes on refusing when
/// there is room again, until it is restarted (seen with 2.15.1).
pub(super) async fn of_nats(stage: &Stage, time: Duration) {
    stage.cluster.disk_of_nats().fill();
    refused(stage, "on a full disk").await;
    sleep(time).await;
    stage.cluster.disk_of_nats().free();
    stage.cluster.nats().restart().await;
}

/// The archive has no room: live goes on, and the archive catches up once there is some.
pub(super) async fn of_archive(Stage { cluster, crowd }: &Stage, time: Duration) {
    cluster.disk_of_archive().fill();
    crowd.hears_more(MEANWHILE).await;
    sleep(time).await;
    cluster.disk_of_archive().free();
}
