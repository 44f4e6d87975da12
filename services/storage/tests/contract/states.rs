//! Reactions, pins, and what is told of a message to whoever wants to change it.

use natter_bus::storage_api::{Message, Pinned, Reactors, StorageFault};
use natter_ids::Seq;
use natter_protocol::{Change, Entry, PINNED_MAX, REACTIONS_MAX, ReactionView};

use crate::{
    changes::{history, holding, kinds, reacted, said},
    database::Database,
    log::{Log, drain, start, user},
};

/// Each user has each emoji once on a message; they are counted, in the order they came; and there
/// are only so many different ones.
pub async fn reactions_are_a_set_and_bounded(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let first = log.say(&chat, "a", "x");
    for (who, emoji, on) in [
        ("a", "🥾", true),
        ("b", "👍", true),
        ("b", "👍", true),
        ("a", "👍", true),
        ("b", "🥾", false),
        ("a", "❌", false),
    ] {
        log.append(&chat, who, reacted(first, emoji, on));
    }
    log.append(&chat, "b", reacted(first, "two words", true));
    log.archive(&store).await;
    let view = |emoji: &str, count, mine| ReactionView { emoji: emoji.to_owned(), count, mine };
    let page = history(&store, "b", &chat, false).await;
    assert_eq!(page.states[0].reactions, [view("🥾", 1, false), view("👍", 2, true)]);
    assert_eq!(kinds(&page).len(), 2, "reactions have no place of their own");

    log.append(&chat, "b", reacted(first, "👍", false));
    for number in 0..=REACTIONS_MAX {
        log.append(&chat, "b", reacted(first, &format!(":{number}:"), true));
    }
    log.archive(&store).await;
    let state = &history(&store, "b", &chat, false).await.states[0];
    assert_eq!(state.reactions.len(), REACTIONS_MAX);
    assert_eq!(state.reactions[1], view("👍", 1, false), "taken back");
}

/// Pinned messages come by number, as they are now, page by page; only so many are pinned.
pub async fn pinned_messages_are_listed(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let seqs: Vec<_> = (0..=PINNED_MAX).map(|number| log.say(&chat, "a", &format!("m{number}"))).collect();
    log.append(&chat, "a", Change::Edited { target: seqs[1], text: "now".to_owned(), mentions: Vec::new() });
    for target in [seqs[3], seqs[1], seqs[2], seqs[1]] {
        log.append(&chat, "b", Change::Pinned { target });
    }
    log.append(&chat, "a", Change::Unpinned { target: seqs[2] });
    log.archive(&store).await;
    let pinned = async |before, limit| {
        let asked = Pinned { user: user("b"), conversation: chat.clone(), before, limit, block: None };
        store.pinned(&asked).await.unwrap()
    };
    let page = pinned(None, 10).await;
    assert_eq!((said(&page), page.more, page.states.len()), (vec!["now", "m3"], false, 2));
    assert!(page.states.iter().all(|state| state.pinned));
    let page = pinned(None, 1).await;
    assert_eq!((said(&page), page.more), (vec!["m3"], true));
    let page = pinned(Some(seqs[3]), 1).await;
    assert_eq!((said(&page), page.more), (vec!["now"], false));

    for target in &seqs {
        log.append(&chat, "b", Change::Pinned { target: *target });
    }
    log.archive(&store).await;
    let page = pinned(None, 1_000).await;
    assert_eq!(page.events.len(), PINNED_MAX);
    let asked = Pinned { user: user("c"), conversation: chat.clone(), before: None, limit: 10, block: None };
    assert_eq!(store.pinned(&asked).await.unwrap_err(), StorageFault::NotAMember);
}

/// What a gateway asks before it lets somebody change a message: strangers are told nothing (G8),
/// members nothing of what they cannot see.
pub async fn what_a_message_is_now_is_told_to_members_only(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a", "b"]);
    let before = log.say(&group, "a", "before c");
    log.add(&group, "a", "c");
    let seen = log.say(&group, "a", "seen");
    log.append(&group, "b", reacted(seen, "👍", true));
    log.append(&group, "b", Change::Pinned { target: seen });
    let removed = log.remove(&group, "a", "b");
    log.archive(&store).await;
    let ask = async |who: &str, seq| {
        let asked =
            Message { user: user(who), conversation: group.clone(), seq, at_least: 0, with_text: true, block: None };
        store.message(&asked).await
    };
    let found = ask("c", seen).await.unwrap().unwrap();
    assert_eq!((&found.sender, found.deleted, found.pinned, found.pinned_in_all), (&user("a"), false, true, 1));
    assert_eq!(found.emoji, ["👍"]);
    assert_eq!(ask("c", before).await, Ok(None), "said before they came");
    assert_eq!(ask("a", removed).await, Ok(None), "no message");
    assert_eq!(ask("a", 1 << 40).await, Ok(None));
    for stranger in ["b", "x"] {
        assert_eq!(ask(stranger, seen).await, Err(StorageFault::NotAMember), "{stranger}");
    }
    log.append(&group, "a", Change::Deleted { target: seen });
    log.archive(&store).await;
    assert!(ask("c", seen).await.unwrap().unwrap().deleted);
}

/// An entry of a kind that a later version knows is archived and handed out as it is, once.
pub async fn an_unknown_kind_is_archived_as_it_is(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let chat = log.direct("a", "b");
    let later = r#"{"sender":"a","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","time":3,"kind":"applauded","loud":[1,{"x":null}]}"#;
    let entry: Entry = serde_json::from_str(later).unwrap();
    let seq = log.append_entry(&chat, entry.clone());
    log.repeat(&chat);
    log.archive(&store).await;
    let page = history(&store, "b", &chat, false).await;
    assert_eq!((page.events.len(), page.events[1].seq, &page.events[1].entry), (2, seq, &entry));
    let missed = drain(&store, "b", &start(), &log.position(), 9).await;
    assert_eq!(serde_json::to_string(&missed[1].entry).unwrap(), later);
    assert_eq!(holding(database, "applauded").await.len(), 1, "once");
}

/// Every user who has reacted, once, with what they have on the message now in the order they did; page by
/// page, for one emoji or all; to whoever sees the message.
pub async fn who_has_reacted_is_told_page_by_page(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let names: Vec<_> = (0..20).map(|number| format!("u{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let group = log.group("u00", "g", &names);
    let first = log.say(&group, "u00", "x");
    let other = log.say(&group, "u00", "y");
    log.append(&group, "u00", reacted(other, "👎", true));
    for (turn, name) in names.iter().rev().enumerate() {
        for emoji in (0..REACTIONS_MAX).rev().step_by(1 + turn % 3) {
            log.append(&group, name, reacted(first, &format!(":{emoji:02}:"), true));
        }
    }
    log.append(&group, "u00", reacted(first, ":15:", false));
    log.append(&group, "u00", reacted(first, ":15:", true));
    log.add(&group, "u00", "late");
    log.archive(&store).await;
    let ask = async |who: &str, target: Seq, emoji: Option<&str>, after: Option<&str>, limit| {
        let (user, after) = (user(who), after.map(user));
        let asked =
            Reactors { user, conversation: group.clone(), target, emoji: emoji.map(str::to_owned), after, limit };
        store.reactors(&asked).await
    };
    let expected = |turn: usize| {
        let mut emoji: Vec<_> = (0..REACTIONS_MAX).rev().step_by(1 + turn % 3).map(|it| format!(":{it:02}:")).collect();
        if turn == 19 {
            // Taken back and given again: it is the last one now.
            emoji.rotate_left(1);
        }
        emoji
    };
    for limit in [1, 7, 20, 1_000] {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = ask("u05", first, None, after.as_deref(), limit).await.unwrap().unwrap();
            assert_eq!((page.sender, page.deleted), (user("u00"), false));
            let mut users: Vec<_> = page.reactions.iter().map(|reaction| reaction.user.to_string()).collect();
            users.dedup();
            assert!(users.len() <= limit as usize, "{limit}: {users:?}");
            after = users.pop();
            all.extend(page.reactions.into_iter().map(|reaction| (reaction.user.to_string(), reaction.emoji)));
            if !page.more {
                break;
            }
        }
        let wanted = names
            .iter()
            .enumerate()
            .flat_map(|(index, name)| expected(19 - index).into_iter().map(move |emoji| ((*name).to_owned(), emoji)));
        assert_eq!(all, wanted.collect::<Vec<_>>(), "{limit} at a time");
    }
    // Those with one emoji alone: every one who has it.
    let page = ask("u05", first, Some(":14:"), None, 20).await.unwrap().unwrap();
    let wanted = (0..20).filter(|index| expected(19 - index).iter().any(|emoji| emoji == ":14:")).count();
    assert_eq!((page.reactions.len(), page.more), (wanted, false));
    assert_eq!(ask("late", first, None, None, 9).await, Ok(None), "said before they came");
    assert_eq!(ask("u05", first + 2, None, None, 9).await, Ok(None), "no message");
    assert_eq!(ask("x", first, None, None, 9).await, Err(StorageFault::NotAMember));
    log.append(&group, "u00", Change::Deleted { target: first });
    log.archive(&store).await;
    let gone = ask("u05", first, None, None, 9).await.unwrap().unwrap();
    assert!(gone.deleted && gone.reactions.is_empty());
}
