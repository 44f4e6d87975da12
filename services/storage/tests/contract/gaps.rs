//! Positions that a restore has cut off.

use natter_bus::storage_api::{Backlog, StorageFault};
use natter_ids::{Partition, Position, Seq};
use natter_storage::{ApplyError, Found, Gap, Plan, Record};

use crate::{
    database::Database,
    log::{start, user},
};

const PART: Partition = Partition(1);

/// Written down, a gap has no effect; once the checkpoint has passed it, positions inside are
/// refused and those at its ends are not.
pub async fn a_gap_counts_once_it_is_passed(database: &Database) {
    let store = database.open().await;
    store.apply(PART, 0, &[Record { seq: 10, body: None }]).await.unwrap();
    let found = Found { archived: 10, first: 1, last: 10, ..Found::default() };
    let jump = Gap { after: 10, next: 1_000 };
    let plan = Plan { jump, ..Plan::of(&found, 2_000_000_000).unwrap() };
    store.note_gaps(PART, &plan).await.unwrap();
    store.note_gaps(PART, &plan).await.unwrap();
    let told = async |position: Seq, archived: Seq| {
        let at = |seq| {
            let mut at = start();
            at.advance(PART, seq);
            at
        };
        let asked = Backlog { user: user("a"), after: at(position), upto: None, limit: 10 };
        let upto: Position = at(archived);
        // What changes while no service runs is seen by the next one.
        database.open().await.backlog(&asked, &upto).await.map(drop)
    };
    assert_eq!(told(11, 12).await, Ok(()), "the log goes on without the jump");

    store.pass_gap(PART, jump).await.unwrap();
    assert_eq!(store.checkpoint(PART).await.unwrap(), 999);
    let again = store.pass_gap(PART, jump).await;
    assert!(matches!(again, Err(ApplyError::Fenced { archived: 999 })), "{again:?}");
    for (position, refused) in
        [(9, false), (10, false), (11, true), (500, true), (998, true), (999, false), (1_000, false)]
    {
        let answer = if refused { Err(StorageFault::InGap) } else { Ok(()) };
        assert_eq!(told(position, 1_000).await, answer, "{position}");
    }
    // A gap that was written down for a jump that never came is forgotten by the next try.
    let late = Found { archived: 999, first: 1_000, last: 999, gaps: vec![jump, Gap { after: 999, next: 5_000 }] };
    let plan = Plan::of(&late, 2_000_000_000).unwrap();
    assert_eq!(plan.stale, [Gap { after: 999, next: 5_000 }]);
}
