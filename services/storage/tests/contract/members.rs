//! Who is a member, from which entry to which.

use natter_bus::storage_api::{
    Acquaintances, Conversations, History, Members, Membership, MembershipReply, Roster, RosterReply, StorageFault,
};
use natter_ids::{ClientId, ConversationId, Seq, UserId};
use natter_protocol::{Change, Role};
use natter_storage::Store;

use crate::{
    database::Database,
    log::{Log, drain, start, user},
};

async fn membership(store: &Store, conversation: &ConversationId, who: &str) -> Option<MembershipReply> {
    let asked = Membership { user: user(who), conversation: conversation.clone(), at_least: 0 };
    store.membership(&asked).await.unwrap()
}

async fn roster(store: &Store, conversation: &ConversationId, before: Seq) -> RosterReply {
    store.roster(&Roster { conversation: conversation.clone(), before, after: None }).await.unwrap()
}

fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| user(name)).collect()
}

pub async fn odd_user_ids_are_taken_as_they_are(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let odd = ["a.b", "*", ">", "a b", "'", "\"", "%", "_", "\\", "🦀", "$1", "A", "a", "é", "e\u{301}", " "];
    let group = log.group("a.b", "odd", &odd);
    for one in odd {
        log.say(&group, one, "hello");
    }
    let chat = log.direct("*", "%");
    log.say(&chat, "%", "hi");
    log.archive(&store).await;

    let mut sorted = users(&odd);
    sorted.sort();
    assert_eq!(roster(&store, &group, Seq::MAX >> 1).await.members, sorted, "ordered by bytes");
    for one in odd {
        let in_chat = ["*", "%"].contains(&one);
        let events = drain(&store, one, &start(), &log.position(), 5).await;
        assert_eq!(events.len(), odd.len() + 1 + if in_chat { 2 } else { 0 }, "{one}");
        assert_eq!(membership(&store, &chat, one).await.unwrap().role.is_some(), in_chat, "{one}");
    }
    let asked = Acquaintances { user: user("*"), others: users(&["%", "%%", "nobody", "🦀"]) };
    let mut known = store.acquaintances(&asked).await.unwrap();
    known.sort();
    assert_eq!(known, users(&["%", "🦀"]));
}

pub async fn membership_tells_role_fence_and_count(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a", "b", "b"]);
    log.archive(&store).await;
    let of = |who| membership(&store, &group, who);
    let beginning = log.events.values().last().unwrap().seq;
    let fresh = MembershipReply {
        role: Some(Role::Owner),
        members: 2,
        name: Some("g".into()),
        last_seq: beginning,
        ..MembershipReply::default()
    };
    assert_eq!(of("a").await, Some(fresh.clone()));
    assert_eq!(of("b").await, Some(MembershipReply { role: Some(Role::Member), ..fresh.clone() }));
    assert_eq!(of("c").await, Some(MembershipReply { role: None, ..fresh }));

    let summary = |reply: Option<MembershipReply>| reply.map(|it| (it.role, it.fence, it.members)).unwrap();
    let added = log.add(&group, "b", "c");
    let again = log.add(&group, "a", "b");
    log.archive(&store).await;
    assert_eq!(summary(of("c").await), (Some(Role::Member), added, 3));
    assert_eq!(summary(of("b").await), (Some(Role::Member), again, 3), "adding a member moves the fence alone");
    let removed = log.remove(&group, "a", "b");
    let nobody = log.remove(&group, "a", "nobody");
    let left = log.append(&group, "a", Change::MemberLeft {});
    log.archive(&store).await;
    assert_eq!(summary(of("b").await), (None, removed, 1));
    assert_eq!(summary(of("nobody").await), (None, nobody, 1));
    assert_eq!(summary(of("a").await), (None, left, 1));
    let back = log.add(&group, "c", "a");
    log.archive(&store).await;
    assert_eq!(summary(of("a").await), (Some(Role::Member), back, 2), "an owner who comes back is a member");
    assert_eq!(membership(&store, &ConversationId::direct(&user("x"), &user("y")), "x").await, None);
}

pub async fn a_second_beginning_changes_nothing(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "first", &["a", "b"]);
    log.archive(&store).await;
    let change = Change::GroupCreated { name: "second".into(), members: users(&["x"]) };
    let second = log.append(&group, "a", change);
    log.archive(&store).await;
    let reply = membership(&store, &group, "x").await.unwrap();
    assert_eq!((reply.role, reply.members, reply.name.as_deref()), (None, 2, Some("first")));
    assert_eq!(reply.last_seq, second, "it is an entry like any other");
    assert_eq!(drain(&store, "b", &start(), &log.position(), 10).await.len(), 2);
    assert_eq!(drain(&store, "x", &start(), &log.position(), 10).await.len(), 0);
}

pub async fn a_roster_is_of_its_moment(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a", "b"]);
    let added = log.add(&group, "a", "c");
    let removed = log.remove(&group, "a", "b");
    let back = log.add(&group, "a", "b");
    log.archive(&store).await;
    let of = |before| roster(&store, &group, before);
    let reply = |names: &[&str], last_seq| RosterReply { members: users(names), last_seq, more: false };
    assert_eq!(of(added - 1).await, reply(&[], 0), "before it began");
    assert_eq!(of(added).await, reply(&["a", "b"], added - 1));
    assert_eq!(of(removed).await, reply(&["a", "b", "c"], added));
    assert_eq!(of(back).await, reply(&["a", "c"], removed));
    assert_eq!(of(back + 100).await, reply(&["a", "b", "c"], back));
}

pub async fn strangers_are_told_nothing(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "secret", &["a", "gone"]);
    log.say(&group, "a", "secret");
    log.remove(&group, "a", "gone");
    log.say(&group, "a", "more secret");
    log.archive(&store).await;
    let unknown = ConversationId::group(&user("a"), ClientId::now());
    for (who, conversation) in [("stranger", &group), ("gone", &group), ("a", &unknown)] {
        let conversation = conversation.clone();
        let history = History {
            user: user(who),
            conversation: conversation.clone(),
            before: None,
            after: None,
            limit: 9,
            edits: false,

            block: None,
        };
        assert_eq!(store.history(&history).await.unwrap_err(), StorageFault::NotAMember, "{who}");
        let members = Members { user: user(who), conversation, after: None, limit: 9 };
        assert_eq!(store.members(&members).await.unwrap_err(), StorageFault::NotAMember, "{who}");
    }
    for who in ["stranger", "gone"] {
        let asked = Conversations { user: user(who), after: None, limit: 9 };
        assert!(store.conversations(&asked).await.unwrap().conversations.is_empty(), "{who}");
        assert_eq!(membership(&store, &group, who).await.unwrap().role, None, "{who}");
        let asked = Acquaintances { user: user(who), others: users(&["a"]) };
        assert!(store.acquaintances(&asked).await.unwrap().is_empty(), "{who}");
    }
    assert!(drain(&store, "stranger", &start(), &log.position(), 9).await.is_empty());
    assert_eq!(drain(&store, "gone", &start(), &log.position(), 9).await.len(), 3, "up to their removal");
}

pub async fn pages_go_on_after_the_last(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let names = ["Z", "a", "b", "c", "é", "Ω", "_"];
    let mut expected: Vec<_> = (0..5).map(|number| log.group("a", &format!("g{number}"), &names)).collect();
    expected.push(log.direct("a", "b"));
    expected.sort();
    let left = log.group("b", "left", &["a", "b"]);
    log.append(&left, "a", Change::MemberLeft {});
    log.archive(&store).await;

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.conversations(&Conversations { user: user("a"), after, limit: 4 }).await.unwrap();
        seen.extend(page.conversations);
        after = seen.last().map(|view| view.conversation.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.iter().map(|view| view.conversation.clone()).collect::<Vec<_>>(), expected);
    for view in seen {
        assert_eq!(view.peer, view.conversation.is_direct().then(|| user("b")));
        assert_eq!(view.name.is_some(), !view.conversation.is_direct());
        assert_eq!(view.role == Role::Owner, !view.conversation.is_direct());
        assert!(log.events.values().any(|event| event.seq == view.last_seq && event.conversation == view.conversation));
    }

    let mut sorted = users(&names);
    sorted.sort();
    let group = expected.iter().find(|conversation| !conversation.is_direct()).unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let asked = Members { user: user("é"), conversation: group.clone(), after, limit: 3 };
        let page = store.members(&asked).await.unwrap();
        seen.extend(page.members.into_iter().map(|member| member.user));
        after = seen.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, sorted);
}

pub async fn acquaintances_share_a_conversation_now(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    log.direct("a", "friend");
    let group = log.group("a", "g", &["a", "mate", "gone"]);
    log.remove(&group, "a", "gone");
    log.direct("friend", "stranger");
    log.archive(&store).await;
    let others = users(&["friend", "mate", "gone", "stranger", "a", "nobody"]);
    let mut known = store.acquaintances(&Acquaintances { user: user("a"), others }).await.unwrap();
    known.sort();
    assert_eq!(known, users(&["a", "friend", "mate"]));
    let alone = Acquaintances { user: user("nobody"), others: users(&["nobody", "a"]) };
    assert_eq!(store.acquaintances(&alone).await.unwrap(), users(&["nobody"]));
    let none = Acquaintances { user: user("a"), others: Vec::new() };
    assert_eq!(store.acquaintances(&none).await.unwrap(), []);
}

pub async fn notes_to_oneself_are_a_conversation(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let notes = log.direct("a", "a");
    log.say(&notes, "a", "milk");
    log.archive(&store).await;
    let page = store.conversations(&Conversations { user: user("a"), after: None, limit: 9 }).await.unwrap();
    assert_eq!(page.conversations[0].peer, Some(user("a")));
    assert_eq!(membership(&store, &notes, "a").await.unwrap().members, 1);
    assert_eq!(drain(&store, "a", &start(), &log.position(), 9).await.len(), 2);
}
