//! How many unread messages mean a user.

use natter_bus::storage_api::Overview;
use natter_ids::{ConversationId, Partition, Seq};
use natter_protocol::{Change, ShowRequests};
use natter_storage::Store;

use crate::{
    changes::everything,
    database::{Database, PARTITIONS},
    log::{Log, user},
    overview::read,
};

fn meaning(names: &[&str]) -> Change {
    let mentions = names.iter().map(|name| user(name)).collect();
    Change::Message { text: "hello".to_owned(), reply_to: None, forwarded: None, mentions }
}

fn edit(target: Seq, names: &[&str]) -> Change {
    let mentions = names.iter().map(|name| user(name)).collect();
    Change::Edited { target, text: "hello, edited".to_owned(), mentions }
}

/// What waits for somebody: unread messages, and those that mean them.
async fn waiting(store: &Store, who: &str, conversation: &ConversationId) -> (u64, u64) {
    let asked = Overview {
        user: user(who),
        since: None,
        after: None,
        limit: 1_000,
        requests: ShowRequests::Without,
        blocks: Vec::new(),
    };
    let page = store.overview(&asked).await.unwrap();
    let item = page.conversations.iter().find(|item| item.view.conversation == *conversation).unwrap();
    (item.unread, item.mentions)
}

async fn rows(database: &Database) -> usize {
    everything(database).await.iter().filter(|row| row.starts_with("mentions: ")).count()
}

/// Those behind what was read or said, however often one message names somebody; not one's own, and not those
/// from before one came. One row for each who is named, not for each member.
pub async fn mentions_are_counted_as_unread_messages_are(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let (group, other) = (log.group("a", "g", &["a", "b", "c"]), log.group("a", "h", &["a", "b"]));
    log.say(&group, "a", "nobody is meant");
    let first = log.append(&group, "a", meaning(&["b", "a", "b"]));
    log.append(&group, "a", meaning(&["b", "c"]));
    log.append(&other, "a", meaning(&["b"]));
    log.archive(&store).await;
    assert_eq!(waiting(&store, "b", &group).await, (3, 2));
    assert_eq!(waiting(&store, "b", &other).await, (1, 1));
    assert_eq!((waiting(&store, "c", &group).await, waiting(&store, "a", &group).await), ((3, 1), (0, 0)));
    assert_eq!(rows(database).await, 4);
    read(&store, "b", &group, first).await;
    assert_eq!(waiting(&store, "b", &group).await, (1, 1));
    // Who answers has read what stood before; and who says it again to oneself is not meant.
    log.append(&group, "b", meaning(&["b"]));
    log.archive(&store).await;
    assert_eq!(waiting(&store, "b", &group).await, (0, 0));
    log.add(&group, "a", "d");
    log.append(&group, "c", meaning(&["d", "b"]));
    log.remove(&group, "a", "d");
    log.add(&group, "a", "d");
    log.append(&group, "c", meaning(&["d"]));
    log.archive(&store).await;
    assert_eq!(waiting(&store, "d", &group).await, (1, 1), "what was said before they came is none of theirs");
}

/// What counts is whom the text names now; what was deleted or has disappeared names nobody.
pub async fn mentions_follow_the_text(database: &Database) {
    const TIME: u64 = 1_700_000_000_000;
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a", "b", "c"]);
    let seqs: Vec<_> = (0..3).map(|_| log.append(&group, "a", meaning(&["b"]))).collect();
    log.append(&group, "a", Change::TimerSet { seconds: 10 });
    log.append(&group, "a", meaning(&["b", "c"]));
    log.archive(&store).await;
    assert_eq!((waiting(&store, "b", &group).await.1, waiting(&store, "c", &group).await.1), (4, 1));
    log.append(&group, "a", edit(seqs[0], &["c"]));
    log.append(&group, "c", edit(seqs[1], &["c"]));
    log.archive(&store).await;
    assert_eq!((waiting(&store, "b", &group).await.1, waiting(&store, "c", &group).await.1), (3, 2), "not c's to edit");
    log.append(&group, "a", Change::Deleted { target: seqs[0] });
    log.append(&group, "a", Change::Deleted { target: seqs[2] });
    log.append(&group, "a", edit(seqs[2], &["b", "c"]));
    log.archive(&store).await;
    assert_eq!((waiting(&store, "b", &group).await.1, waiting(&store, "c", &group).await.1), (2, 1));
    assert_eq!(store.expire(Partition::of(&group, PARTITIONS), TIME + 10_000, 10).await.unwrap(), 1);
    assert_eq!((waiting(&store, "b", &group).await.1, waiting(&store, "c", &group).await.1), (1, 0));
    assert_eq!(rows(database).await, 1, "nothing is left of the others");
}
