//! Storage: archives the log into SQL and answers what can only be answered from the past.
//!
//! SQLite or PostgreSQL, by the same statements. Each partition is archived by one replica, in
//! order, and its checkpoint moves in the same transaction as the entries, so that every entry is
//! archived exactly once. Every replica answers requests.

mod answers;
mod apply;
mod archiver;
mod backlog;
mod config;
mod fold;
mod reads;
mod sql;
mod store;

use std::sync::Arc;

use natter_bus::{Bus, Service};
use natter_runtime::{OnEnd, Scope};

pub use apply::{ApplyError, Record};
pub use config::{Config, InvalidConfig};
pub use store::{Store, StoreError};

/// Why storage did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error("the archive cannot be opened")]
    Store(#[from] StoreError),
}

/// Opens the archive and starts storage; it stops when the scope is cancelled.
///
/// # Errors
/// [`StartError`] when the database cannot be opened or its tables not be brought up to date.
pub async fn start(config: Config, bus: Bus, scope: Scope) -> Result<(), StartError> {
    let store = Arc::new(Store::connect(&config, bus.partitions()).await?);
    answers::start(&config, &bus, &store, &scope);
    let (follow, cancel) = (bus.clone(), scope.cancel_token());
    scope.spawn("storage-archived", OnEnd::StopProcess, async move { follow.follow_archived(cancel).await });
    let archiver = Arc::new(archiver::Archiver::new(bus.clone(), store));
    let cancel = scope.cancel_token();
    scope.spawn("storage-partitions", OnEnd::StopProcess, async move {
        bus.run_partitions(Service::Storage, archiver, cancel).await;
    });
    Ok(())
}
