//! The checks. All take the [`Index`]; each looks at one side of the history.
//!
//! The work is proportional to the number of records and, for what is lost, to devices times
//! entries of their conversations, which is the number of receipts of a good history.

mod devices;
mod entries;
mod index;
mod marks;
mod messages;
mod order;
mod readings;
mod states;
mod stuck;
mod times;
mod tries;

use index::Index;

use crate::{History, Violation};

/// Says what breaks the guarantees in a history; nothing for a good one. The same history always
/// gives the same list.
pub fn check(history: &History) -> Vec<Violation> {
    let index = Index::new(history);
    let mut violations = Vec::new();
    messages::check(&index, &mut violations);
    entries::check(&index, &mut violations);
    order::check(&index, &mut violations);
    devices::check(&index, &mut violations);
    readings::check(&index, &mut violations);
    states::check(&index, &mut violations);
    stuck::check(&index, &mut violations);
    violations.extend(index.marks.violations);
    violations
}
