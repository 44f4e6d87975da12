//! Marks that are not told while somebody is blocked.

use natter_bus::{
    Notice,
    storage_api::{Marks, Receipts, Unblocked, UserMark},
};
use natter_ids::{ConversationId, Partition, Seq};
use natter_protocol::MarkDraft;
use natter_storage::Store;

use crate::{
    database::{Database, PARTITIONS},
    log::{Log, user},
};

async fn mark(store: &Store, who: &str, of: &ConversationId, read: Seq, held: bool) -> usize {
    let mark = MarkDraft { delivered: None, read: Some(read) };
    let mark = UserMark { user: user(who), conversation: of.clone(), mark, held };
    let written = store.write_marks(Partition::of(of, PARTITIONS), &[mark], 100).await.unwrap();
    assert_eq!(written.stored[0].as_ref().unwrap().read, read);
    written.changes.iter().map(|change| change.recipients.len()).sum()
}

/// How far one user has come, as another is told when asking, and whether that counts as changed since a moment.
async fn told(store: &Store, who: &str, whom: &str, of: &ConversationId, since: Option<&Marks>) -> (Seq, Option<Seq>) {
    let asked = Receipts { user: user(whom), conversation: of.clone(), seq: 1, after: None, limit: 10 };
    let now = store.receipts(&asked).await.unwrap().marks.iter().find(|mark| mark.user == user(who)).unwrap().read;
    let Some(since) = since else { return (now, None) };
    let changed = store.marks(since, 100).await.unwrap().conversations;
    let changed = changed.iter().flat_map(|view| &view.marks).find(|mark| mark.user == user(who));
    (now, changed.map(|mark| mark.read))
}

async fn moment(store: &Store, who: &str) -> Marks {
    let page = store.marks(&Marks { user: user(who), since: None, limit: 10 }, 100).await.unwrap();
    Marks { user: user(who), since: Some(page.position), limit: 10 }
}

async fn unblock(store: &Store, who: &str, other: &str, of: &ConversationId) -> Vec<String> {
    let asked = Unblocked { user: user(who), other: user(other), conversation: of.clone() };
    let notices = store.unblocked(&asked).await.unwrap();
    let whose = |notice: Notice| match notice {
        Notice::Marks(change) => format!("{} {}", change.marks[0].user, change.marks[0].shown),
        other => panic!("{other:?}"),
    };
    notices.into_iter().map(whose).collect()
}

pub async fn a_held_mark_is_told_once_the_block_is_lifted(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let talk = log.direct("a", "b");
    let seqs: Vec<_> = (0..6).map(|_| log.say(&talk, "a", "hello")).collect();
    log.archive(&store).await;
    assert_eq!(mark(&store, "a", &talk, seqs[0], false).await, 2, "both are told");
    let (of_b, of_a) = (moment(&store, "b").await, moment(&store, "a").await);
    for (index, seq) in seqs[1..3].iter().enumerate() {
        assert_eq!(mark(&store, "a", &talk, *seq, true).await, 1, "{index}: their own devices");
        assert_eq!(told(&store, "a", "b", &talk, Some(&of_b)).await, (seqs[0], None));
    }
    // Both block each other: what b holds back stays so when a lifts theirs.
    mark(&store, "b", &talk, seqs[1], true).await;
    assert_eq!(unblock(&store, "a", "b", &talk).await, ["b 0".to_owned(), format!("a {}", seqs[2])]);
    assert_eq!(told(&store, "a", "b", &talk, Some(&of_b)).await, (seqs[2], Some(seqs[2])));
    assert_eq!(told(&store, "b", "a", &talk, Some(&of_a)).await, (0, Some(0)));
    assert_eq!(unblock(&store, "a", "b", &talk).await, ["b 0"], "twice does no harm");
    assert_eq!(unblock(&store, "b", "a", &talk).await, [format!("a {}", seqs[2]), format!("b {}", seqs[1])]);
    assert_eq!(told(&store, "b", "a", &talk, Some(&of_a)).await, (seqs[1], Some(seqs[1])));

    // A mark that is not held tells what was held, whoever has lost the lifting.
    mark(&store, "a", &talk, seqs[3], true).await;
    assert_eq!(mark(&store, "a", &talk, seqs[4], false).await, 2);
    assert_eq!(told(&store, "a", "b", &talk, Some(&of_b)).await, (seqs[4], Some(seqs[4])));
}
