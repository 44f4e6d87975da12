//! Marks that are not told while somebody is blocked, and what was said before somebody came.

use natter_bus::{
    Notice,
    storage_api::{Latecomers, Marks, Receipts, Unblocked, UserMark},
};
use natter_ids::{ConversationId, Partition, Seq};
use natter_protocol::{Change, GroupPatch, MarkDraft, Past};
use natter_storage::Store;

use crate::{
    database::{Database, PARTITIONS},
    log::{Log, drain, start, text, user},
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

pub async fn who_came_later_does_not_get_the_text(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a", "b", "d"]);
    let said = log.say(&group, "a", "said");
    log.remove(&group, "a", "b");
    let between = log.say(&group, "a", "between");
    for name in ["b", "c"] {
        log.add(&group, "a", name);
    }
    let edit = |target| Change::Edited { target, text: "secret".into(), mentions: Vec::new() };
    let (first, second) = (log.append(&group, "a", edit(said)), log.append(&group, "a", edit(between)));
    log.append(&group, "a", Change::Pinned { target: said });
    log.remove(&group, "a", "c");
    log.archive(&store).await;
    let late = async |target: Seq, seq: Seq| {
        let asked = Latecomers { conversation: group.clone(), target, seq, after: None };
        let reply = store.latecomers(&asked).await.unwrap();
        assert!(!reply.more);
        reply.users.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    // As of the entry: who has gone since is among them, who was there when it was said is not.
    assert_eq!(
        (late(said, first).await, late(between, second).await),
        (vec!["c".to_owned()], vec!["b".into(), "c".into()])
    );
    let kinds = async |who: &str, log: &Log| -> Vec<String> {
        let events = drain(&store, who, &start(), &log.position(), 100).await;
        events.iter().map(|event| event.entry.change.kind().to_owned()).collect()
    };
    let came = ["member_added", "erased", "erased", "erased", "member_removed"];
    assert_eq!(kinds("c", &log).await, came, "though they are no member any more");
    let seen =
        ["group_created", "message", "member_removed", "member_added", "member_added", "edited", "erased", "pinned"];
    assert_eq!(kinds("b", &log).await[..8], seen);
    assert!(!kinds("d", &log).await.contains(&"erased".to_owned()));
    log.append(
        &group,
        "a",
        Change::GroupChanged { patch: GroupPatch { past: Some(Past::All), ..GroupPatch::default() } },
    );
    log.append(&group, "a", text("the end"));
    log.archive(&store).await;
    assert!(late(said, first).await.is_empty() && !kinds("b", &log).await.contains(&"erased".to_owned()));
}
