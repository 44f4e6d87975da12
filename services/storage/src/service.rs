//! Starts everything that storage does.

use std::{sync::Arc, time::Duration};

use natter_bus::{Bus, Service};
use natter_ids::Partition;
use natter_runtime::{OnEnd, Scope};

use crate::{Config, Reconciler, Store, StoreError, answers, archiver, eraser::Eraser};

/// How long to wait before the database is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often the use of the pool is shown.
const POOL_SHOWN: Duration = Duration::from_secs(2);

/// Why storage did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used, and waiting does not help.
    #[error("the archive cannot be opened")]
    Store(#[from] StoreError),
}

/// Opens the archive and starts storage; it stops when the scope is cancelled. A database that
/// cannot be reached now is tried again until it can; meanwhile the log keeps what is accepted.
///
/// # Errors
/// [`StartError`] when the database refuses, or its tables cannot be brought up to date.
pub async fn start(config: Config, bus: Bus, scope: Scope) -> Result<(), StartError> {
    match Store::connect(&config, bus.partitions()).await {
        Ok(store) => serve(&config, bus, store, &scope),
        Err(error) if error.may_pass() => {
            tracing::warn!(reason = in_full(&error), "the database cannot be reached; storage waits for it");
            let tasks = scope.clone();
            scope.spawn("storage-open", OnEnd::Log, async move { open_later(config, bus, tasks).await });
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn open_later(config: Config, bus: Bus, scope: Scope) {
    let cancel = scope.cancel_token();
    while cancel.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_some() {
        match Store::connect(&config, bus.partitions()).await {
            Ok(store) => return serve(&config, bus, store, &scope),
            Err(error) => tracing::warn!(reason = in_full(&error), "the database still cannot be used"),
        }
    }
}

/// With what is behind it: that TLS is not trusted, say.
fn in_full(error: &StoreError) -> String {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn serve(config: &Config, bus: Bus, store: Store, scope: &Scope) {
    let clock = bus.clone();
    let store = Arc::new(store.with_clock(move || clock.now_ms()));
    answers::start(config, &bus, &store, scope);
    let (follow, cancel) = (bus.clone(), scope.cancel_token());
    scope.spawn("storage-archived", OnEnd::StopProcess, async move { follow.follow_archived(cancel).await });
    let (reconciler, cancel) = (Reconciler::new(bus.clone(), Arc::clone(&store)), scope.cancel_token());
    let every = Duration::from_millis(config.reconcile_ms.into());
    scope.spawn("storage-reconciler", OnEnd::StopProcess, async move { reconciler.run(every, cancel).await });
    for partition in Partition::all(bus.partitions()) {
        let eraser = Eraser::new(bus.clone(), Arc::clone(&store), partition, config);
        let cancel = scope.cancel_token();
        scope.spawn("storage-eraser", OnEnd::StopProcess, async move { eraser.run(cancel).await });
    }
    let (shown, cancel) = (Arc::clone(&store), scope.cancel_token());
    scope.spawn("storage-pool", OnEnd::StopProcess, async move {
        let mut tick = tokio::time::interval(POOL_SHOWN);
        while cancel.run_until_cancelled(tick.tick()).await.is_some() {
            shown.tell_pool();
        }
    });
    let archiver = Arc::new(archiver::Archiver::new(bus.clone(), store, config));
    let cancel = scope.cancel_token();
    scope.spawn("storage-partitions", OnEnd::StopProcess, async move {
        bus.run_partitions(Service::Storage, archiver, cancel).await;
    });
}
