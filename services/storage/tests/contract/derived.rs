//! What is kept so that nobody has to count, and what becomes of it while the release before, which does
//! not know of it, archives.

use natter_bus::storage_api::Overview;
use natter_ids::{ConversationId, Partition, Seq};
use natter_protocol::{Change, ReactionView};
use natter_storage::Store;
use sqlx::{AnyConnection, Connection};

use crate::{
    changes::{SECRET, history, holding, kinds, reacted},
    database::{Database, PARTITIONS},
    log::{Log, user},
};

/// Does to an archive what the release before does, or has done.
async fn execute(database: &Database, statements: &[String]) {
    sqlx::any::install_default_drivers();
    let mut sql = AnyConnection::connect(database.config.url.as_deref().unwrap()).await.unwrap();
    for text in statements {
        sqlx::query(sqlx::AssertSqlSafe(text.clone())).execute(&mut sql).await.unwrap();
    }
}

/// What the release before has archived: nothing that follows is kept.
async fn was_archived_before(database: &Database) {
    let forget = [
        "UPDATE checkpoints SET derived_after = 0, derived_upto = 0",
        "UPDATE conversations SET run_first = 0, run_last = 0, run_entries = 0",
        "DELETE FROM reaction_counts",
        "DELETE FROM erasables",
        "DELETE FROM change_runs",
        "DELETE FROM last_said",
    ];
    execute(database, &forget.map(str::to_owned)).await;
}

/// The release before archives the rest: what is kept stays as it is.
async fn archive_as_before(database: &Database, store: &Store, log: &mut Log, chat: &ConversationId) {
    let part = Partition::of(chat, PARTITIONS).0;
    let keep = ["reaction_counts", "erasables", "change_runs", "last_said"];
    let mut before: Vec<_> =
        keep.iter().map(|table| format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).collect();
    before.push(format!(
        "CREATE TABLE kept_upto AS SELECT derived_after, derived_upto FROM checkpoints WHERE part = {part}"
    ));
    execute(database, &before).await;
    log.archive(store).await;
    let mut after: Vec<_> = keep
        .iter()
        .flat_map(|table| {
            [
                format!("DELETE FROM {table}"),
                format!("INSERT INTO {table} SELECT * FROM kept_{table}"),
                format!("DROP TABLE kept_{table}"),
            ]
        })
        .collect();
    after.push(format!(
        "UPDATE checkpoints SET derived_after = (SELECT derived_after FROM kept_upto), \
         derived_upto = (SELECT derived_upto FROM kept_upto) WHERE part = {part}"
    ));
    after.push("DROP TABLE kept_upto".to_owned());
    execute(database, &after).await;
}

async fn reactions(store: &Store, chat: &ConversationId) -> Vec<(String, u32, bool)> {
    let page = history(store, "b", chat, false).await;
    let view = |view: &ReactionView| (view.emoji.clone(), view.count, view.mine);
    page.states.iter().flat_map(|state| state.reactions.iter().map(view)).collect()
}

async fn unread(store: &Store, who: &str) -> u64 {
    let asked = Overview {
        user: user(who),
        since: None,
        after: None,
        limit: 10,
        requests: natter_protocol::ShowRequests::Without,

        blocks: Vec::new(),
    };
    store.overview(&asked).await.unwrap().conversations[0].unread
}

/// Reactions, texts to erase and the last own message from before are found, and counted on from there.
pub async fn what_was_archived_before_is_found(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let first = log.say(&chat, "a", SECRET);
    log.append(&chat, "a", Change::Edited { target: first, text: format!("{SECRET}!"), mentions: Vec::new() });
    log.append(&chat, "a", reacted(first, "👍", true));
    log.append(&chat, "b", reacted(first, "👍", true));
    log.say(&chat, "b", "I see");
    log.say(&chat, "a", "and?");
    log.append(&chat, "b", reacted(first, "🥾", true));
    log.archive(&store).await;
    was_archived_before(database).await;
    let (boot, thumb) = (("🥾".to_owned(), 1, true), ("👍".to_owned(), 2, true));
    assert_eq!(reactions(&store, &chat).await, [thumb.clone(), boot.clone()]);
    assert_eq!(unread(&store, "b").await, 1, "behind what they have said");

    // A reaction that is there already changes nothing; one that goes is counted off.
    log.append(&chat, "b", reacted(first, "👍", true));
    log.append(&chat, "a", reacted(first, "👍", false));
    log.archive(&store).await;
    assert_eq!(reactions(&store, &chat).await, [("👍".to_owned(), 1, true), boot]);
    assert_eq!(unread(&store, "b").await, 1);
    log.append(&chat, "a", Change::Deleted { target: first });
    log.archive(&store).await;
    assert_eq!(holding(database, SECRET).await, [""; 0], "the edit from before, too");
}

/// The release before takes the partition over for a while, and this one comes back.
pub async fn the_release_before_may_archive_in_between(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let first = log.say(&chat, "a", SECRET);
    log.append(&chat, "a", reacted(first, "👍", true));
    log.say(&chat, "b", "I see");
    log.archive(&store).await;
    assert_eq!(reactions(&store, &chat).await, [("👍".to_owned(), 1, false)]);

    log.append(&chat, "b", reacted(first, "👍", true));
    log.append(&chat, "b", reacted(first, "🥾", true));
    log.append(&chat, "a", Change::Edited { target: first, text: format!("{SECRET}!"), mentions: Vec::new() });
    log.say(&chat, "a", "one");
    log.say(&chat, "b", "two");
    archive_as_before(database, &store, &mut log, &chat).await;
    log.say(&chat, "a", "three");
    log.archive(&store).await;
    assert_eq!(reactions(&store, &chat).await, [("👍".to_owned(), 2, true), ("🥾".to_owned(), 1, true)]);
    assert_eq!(unread(&store, "b").await, 1, "behind what the release before has archived of them");
    log.append(&chat, "b", reacted(first, "👍", false));
    log.append(&chat, "a", Change::Deleted { target: first });
    log.archive(&store).await;
    assert_eq!(holding(database, SECRET).await, [""; 0]);
}

/// The numbers of the messages in history, page by page, in both directions.
async fn both_ways(store: &Store, chat: &ConversationId, limit: u32) -> [Vec<Seq>; 2] {
    let read = async |before, after| {
        let conversation = chat.clone();
        let asked = natter_bus::storage_api::History {
            user: user("b"),
            conversation,
            before,
            after,
            limit,
            edits: false,
            block: None,
        };
        store.history(&asked).await.unwrap()
    };
    let (mut back, mut forth) = (Vec::new(), Vec::new());
    loop {
        let page = read(back.first().copied(), None).await;
        back.splice(0..0, kinds(&page).into_iter().map(|(seq, _)| seq));
        if !page.more {
            break;
        }
    }
    loop {
        let page = read(None, Some(forth.last().copied().unwrap_or(0))).await;
        forth.extend(kinds(&page).into_iter().map(|(seq, _)| seq));
        if !page.more {
            return [back, forth];
        }
    }
}

/// Messages with many reactions behind them: history steps over those, whatever is written down of them,
/// and shows every message once.
pub async fn history_steps_over_reactions(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let mut seqs = vec![1];
    for turn in 0..40_usize {
        let said = log.say(&chat, "a", "x");
        seqs.push(said);
        // Long runs and short ones, in batches that end within them.
        for number in 0..[0, 3, 63, 64, 200][turn % 5] {
            log.append(&chat, ["a", "b"][number % 2], reacted(said, "👍", number % 4 < 2));
            if number % 50 == 49 {
                log.archive(&store).await;
            }
        }
    }
    log.archive(&store).await;
    assert_eq!(holding(database, "change_runs: ").await.len(), 16, "64 and 200, eight times each");
    for limit in [1, 7, 100] {
        assert_eq!(both_ways(&store, &chat, limit).await, [seqs.clone(), seqs.clone()], "{limit}");
    }
    was_archived_before(database).await;
    assert_eq!(both_ways(&store, &chat, 7).await, [seqs.clone(), seqs]);
}

/// What a page is planned by goes back to where it was when reactions go, and follows the longer of the
/// message and its edit.
pub async fn the_weight_of_a_message_does_not_drift(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let first = log.say(&chat, "a", &"x".repeat(2_000));
    log.archive(&store).await;
    let weight = async || {
        let rows = holding(database, &"x".repeat(2_000)).await;
        let row = rows.iter().find(|row| row.starts_with("entries: ")).unwrap();
        let numbers: Vec<_> = row.split(['|', ',']).skip(1).take(3).map(|it| it.parse::<u64>().unwrap()).collect();
        assert_eq!(numbers[0], first);
        numbers[2]
    };
    let before = weight().await;
    for _ in 0..3 {
        for emoji in ["👍", "🥾"] {
            log.append(&chat, "a", reacted(first, emoji, true));
            log.append(&chat, "b", reacted(first, emoji, true));
        }
        log.archive(&store).await;
        assert_eq!(weight().await, before + 2 * 128);
        for emoji in ["👍", "🥾"] {
            log.append(&chat, "b", reacted(first, emoji, false));
            log.append(&chat, "a", reacted(first, emoji, false));
        }
        log.archive(&store).await;
        assert_eq!(weight().await, before);
    }
    log.append(&chat, "a", reacted(first, "👍", true));
    let mentions: Vec<_> = (0..50).map(|number| user(&format!("{number:0>100}"))).collect();
    log.append(&chat, "a", Change::Edited { target: first, text: "short".to_owned(), mentions });
    log.archive(&store).await;
    let edited = weight().await;
    assert!((5_000..7_000).contains(&edited), "{edited}: mentions weigh, too");
    log.append(&chat, "a", Change::Edited { target: first, text: "short".to_owned(), mentions: Vec::new() });
    log.archive(&store).await;
    assert_eq!(weight().await, before + 128, "as long as it is, with one reaction");
}

/// Of a message with many reactions, only what holds a text is looked at when it is deleted.
pub async fn only_texts_are_noted_for_erasing(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let first = log.say(&chat, "a", SECRET);
    log.repeat(&chat);
    for number in 0..5 {
        log.append(&chat, "b", reacted(first, &format!(":{number}:"), true));
    }
    log.append(&chat, "a", Change::Edited { target: first, text: SECRET.to_owned(), mentions: Vec::new() });
    log.archive(&store).await;
    assert_eq!(holding(database, "erasables: ").await.len(), 2, "the repeat and the edit");
    log.append(&chat, "a", Change::Deleted { target: first });
    log.archive(&store).await;
    for gone in [SECRET, "erasables: ", "reaction_counts: "] {
        assert_eq!(holding(database, gone).await, [""; 0], "{gone}");
    }
    assert_eq!(holding(database, "erasures: ").await.len(), 3);
}
