//! Faults of Natter's own processes.

use std::time::Duration;

use tokio::time::sleep;

use super::{MEANWHILE, Part};
use crate::{Release, chaos::Stage};

/// Work goes on without it, whichever it is, before it comes back.
pub(super) async fn kill(Stage { cluster, crowd }: &Stage, part: Part) {
    let service = part.of(cluster);
    service.kill9();
    crowd.says_more(MEANWHILE).await;
    service.restart().await;
}

pub(super) async fn terminate(Stage { cluster, crowd }: &Stage, part: Part) {
    let service = part.of(cluster);
    assert_eq!(service.terminate().await, Some(0), "{} was asked to stop", service.name());
    crowd.says_more(MEANWHILE).await;
    service.restart().await;
}

/// The release that is rolled out has brought the streams up to date before, as operators do.
pub(super) async fn roll(stage: &Stage, part: Part, release: Release) {
    if release == Release::This {
        stage.cluster.apply().await;
    }
    part.of(&stage.cluster).set_release(release);
    terminate(stage, part).await;
}

pub(super) async fn freeze(Stage { cluster, .. }: &Stage, part: Part, time: Duration) {
    let service = part.of(cluster);
    service.stop_signal();
    sleep(time).await;
    service.cont();
}

/// Both replicas, so that nobody stands in: whatever they were writing is cut off in the middle.
pub(super) async fn kill_archivers(Stage { cluster, crowd }: &Stage, times: u32) {
    for number in 0..times {
        let storages = cluster.storages();
        storages.iter().for_each(crate::Service::kill9);
        for storage in storages {
            storage.restart().await;
        }
        // At another moment of a transaction each time.
        sleep(Duration::from_millis(u64::from(number) * 37 % 250)).await;
    }
    crowd.says_more(MEANWHILE).await;
}
