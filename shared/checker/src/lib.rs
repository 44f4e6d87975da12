//! Finds lost, repeated, reordered, divergent, phantom and leaked messages in clients' histories, changes
//! of messages that came to nothing or to something else, and marks that went back.
//!
//! A test tells a [`Recorder`] everything that its clients try, are answered and receive, and who
//! is a member from which entry to which. [`check`] then says what breaks Natter's guarantees; a
//! good history gives nothing. No I/O: a [`History`] can be written as lines of JSON and read
//! again, to look at a failure later.
//!
//! ```text
//! recorder.member(..)        who must have which entries, and nobody else
//! recorder.start(..)         from where a device that began in the middle is owed entries
//! recorder.attempt(..)       before a message or a change of one is sent, each time
//! recorder.outcome(..)       once it is answered, or the answer is given up
//! recorder.received(..)      each event, in the order in which the device received it
//! recorder.reads(..)         before somebody says how far they have read
//! recorder.mark(..)          how far a device is told that somebody has come
//! recorder.bound(..)         how soon a message has to arrive while nothing is broken,
//! recorder.broken(..)        and when something was,
//! recorder.mended(..)        until when
//! recorder.reading(..)       at the end, what history, a new device or the archive shows
//! check(&recorder.history()) the violations, none for a good history
//! ```
//!
//! What is recorded has an order, the order of the calls; the checker draws on it. A message that
//! was attempted after another one had been accepted has to follow it in the log. What a message is in
//! the end follows from the entries alone, in their order: its last edit counts, and once it is deleted
//! its text stands nowhere.

mod check;
mod clock;
mod detail;
mod history;
mod record;
mod recorder;
mod violation;

pub use check::check;
pub use detail::{Delay, Difference, Forgery, Mismatch, Witness};
pub use history::{History, UnreadableLine};
pub use record::{Attempt, DeviceStart, Mark, Outcome, Reader, Reading, Received, Source, Span, Via};
pub use recorder::Recorder;
pub use violation::{Kind, Violation};
