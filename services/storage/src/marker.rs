//! Writes the marks that gateways bring: one transaction for all that have come while the one before
//! was written.

use std::sync::Arc;

use natter_bus::{
    Bus, Notice,
    storage_api::{StorageFault, UserMark, WriteMarks},
};
use natter_ids::Partition;
use natter_protocol::MarkedView;
use natter_runtime::{OnEnd, Scope};
use natter_telemetry::metrics;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{Config, Store, reads::database};

/// Batches of gateways that wait for a partition's turn; a full queue makes them wait, and at last
/// refuses them.
const WAITING: usize = 64;
/// Most marks in one transaction.
const AT_ONCE: usize = 1_024;

type Stored = Vec<Option<MarkedView>>;

struct Batch {
    marks: Vec<UserMark>,
    done: oneshot::Sender<Result<Stored, StorageFault>>,
}

/// One queue for each partition.
pub(crate) struct Marker(Box<[mpsc::Sender<Batch>]>);

impl Marker {
    pub(crate) fn start(config: &Config, bus: &Bus, store: &Arc<Store>, scope: &Scope) -> Self {
        let queue = |partition| {
            let (sender, batches) = mpsc::channel(WAITING);
            let (bus, store, config) = (bus.clone(), Arc::clone(store), config.clone());
            let cancel = scope.cancel_token();
            scope.spawn("storage-marks", OnEnd::StopProcess, async move {
                let work = write_all(&config, &bus, &store, partition, batches);
                cancel.run_until_cancelled(work).await;
            });
            sender
        };
        Self(Partition::all(bus.partitions()).map(queue).collect())
    }

    /// Stores marks; returns what is stored then, in their order.
    pub(crate) async fn write(&self, asked: WriteMarks) -> Result<Stored, StorageFault> {
        let queue = self.0.get(asked.partition.index()).ok_or(StorageFault::Malformed)?;
        let (done, stored) = oneshot::channel();
        queue.send(Batch { marks: asked.marks, done }).await.map_err(|_| StorageFault::Database)?;
        stored.await.map_err(|_| StorageFault::Database)?
    }
}

async fn write_all(
    config: &Config,
    bus: &Bus,
    store: &Store,
    partition: Partition,
    mut batches: mpsc::Receiver<Batch>,
) {
    while let Some(first) = batches.recv().await {
        let (mut marks, mut asked) = (first.marks, vec![(0, first.done)]);
        while marks.len() < AT_ONCE
            && let Ok(next) = batches.try_recv()
        {
            asked.push((marks.len(), next.done));
            marks.extend(next.marks);
        }
        let written = timeout(config.answer_limit(), store.write_marks(partition, &marks, config.marks_members_max));
        let written = match written.await {
            Ok(written) => written.map_err(database),
            Err(_) => Err(StorageFault::Database),
        };
        let (mut stored, changes) = match written {
            Ok(written) => (Ok(written.stored), written.changes),
            Err(fault) => (Err(fault), Vec::new()),
        };
        let changed: usize = changes.iter().map(|change| change.marks.len()).sum();
        if changed > 0 {
            metrics::STORAGE_MARKS.add(changed as u64, []);
            metrics::STORAGE_MARK_COMMITS.add(1, []);
        }
        for change in changes {
            if let Err(error) = bus.notify(&Notice::Marks(change)).await {
                tracing::debug!(error, "nobody is told of marks now; they are asked for later");
                break;
            }
        }
        // From the last to the first, so that each takes its own off the end.
        for (begin, done) in asked.into_iter().rev() {
            let own = stored.as_mut().map(|stored| stored.split_off(begin)).map_err(|fault| fault.clone());
            // Who does not wait any more has asked again.
            let _ = done.send(own);
        }
    }
}
