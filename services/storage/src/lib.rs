//! Storage: archives the log into SQL and answers what can only be answered from the past.
//!
//! SQLite or PostgreSQL, by the same statements. Each partition is archived by one replica, in
//! order, and its checkpoint moves in the same transaction as the entries, so that every entry is
//! archived exactly once. Every replica answers requests.

mod answers;
mod apply;
mod archiver;
mod arrange;
mod backlog;
mod changes;
mod clock;
mod config;
mod copies;
mod derived;
mod due;
mod entries;
mod eraser;
mod examine;
mod fold;
mod gaps;
mod groups;
mod hindsight;
mod history;
mod marker;
mod marks;
mod mentions;
mod overview;
#[cfg(test)]
mod plan_tests;
mod preview;
mod reactions;
mod reactors;
mod reads;
mod receipts;
mod reconciler;
mod requests;
mod restore;
mod runs;
mod said;
mod service;
mod spans;
mod sql;
mod states;
mod store;
mod timers;
mod unblock;
mod unheard;
mod unread;

pub use apply::{ApplyError, Record};
pub use config::{Config, InvalidConfig, SqliteSync};
pub use examine::{DatabaseReport, MigrationReport, examine};
pub use gaps::{Found, Gap, Plan};
pub use marks::WrittenMarks;
pub use reconciler::{Findings, Late, ReconcileError, Reconciler};
pub use requests::Accepted;
pub use restore::{RestoreError, Restorer, Survey};
pub use service::{StartError, start};
pub use store::{Store, StoreError};
