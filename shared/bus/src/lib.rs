//! Subjects, streams and typed messaging over NATS: the only user of async-nats.
//!
//! Services see verbs, not subjects: [`Bus::append`] writes to a conversation's log,
//! [`Bus::run_partitions`] hands a service the partitions it owns, [`Bus::send_live`] pushes to
//! whoever is online, [`Bus::ask`] and [`Bus::respond`] are typed request/reply.

mod access;
mod append;
mod archived;
mod clock;
mod config;
mod connect;
pub mod definitions;
mod erase;
mod gateway_inbox;
mod lease;
mod link;
mod live;
mod log;
mod lookup;
mod marks;
mod marks_api;
mod message_api;
mod partitions;
pub mod permissions;
pub mod presence;
mod progress;
mod pulse;
mod reader;
mod request;
mod restore;
mod snapshot;
mod spans;
pub mod storage_api;
mod subjects;
mod survey;
mod tickets;
mod typing;
pub mod users;

pub use append::{Append, AppendError, Fence, Stored, Target};
pub use config::{Config, InvalidConfig};
pub use connect::{Bus, ConnectError};
pub use erase::EraseError;
pub use gateway_inbox::{GatewayInbox, Shipment};
pub use lease::{LeaseAction, LeaseTable};
pub use link::LinkEvent;
pub use live::{Arrival, Inbox, InboxMessage, LiveEvent, Marker, MarkerRequest, MarkerRequests, Reached};
pub use log::{FRESH_ID_AGE_MS, FUTURE_ID_MS, LogRecord, Poison};
pub use lookup::LookupError;
pub use marks::{MarksChange, Note, Notice, Notices, Recipient, StoredMark};
pub use partitions::{PartitionWorker, WorkError};
pub use progress::Progress;
pub use request::AskError;
pub use restore::{LogExtent, LogRange};
pub use snapshot::{SnapshotError, StreamCopy};
pub use spans::push as push_span;
pub use subjects::Service;
pub use survey::{AccountReport, ConsumerReport, OwnerReport, ServerReport, StreamReport};
pub use typing::{Typing, TypingSignals};
