//! People who are online talk, in pairs and in groups.

use natter_client::RequestError;
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::ConversationId;
use natter_protocol::{Change, ConversationView, ErrorCode, Role};
use natter_testkit::wait_for;

on_every_database!(two_people_on_two_gateways);

/// What one says, the other hears at once, at whichever gateway; the sender's other devices get
/// it too, and everybody sees one order.
async fn two_people_on_two_gateways(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let phone = cluster.device("alice", 0).await;
    let laptop = cluster.device("alice", 1).await;
    let bob = cluster.device("bob", 1).await;

    let talk = phone.direct("bob").await;
    assert_eq!(talk, bob.direct("alice").await, "the same conversation from both sides");
    phone.say(&talk, "hello").await;
    bob.say(&talk, "hello yourself").await;
    laptop.say(&talk, "from my laptop").await;

    let said = ["hello", "hello yourself", "from my laptop"];
    for device in [&phone, &laptop, &bob] {
        let opened = device.event().await;
        assert!(matches!(opened.entry.change, Change::DirectOpened { .. }), "{opened:?}");
        device.hears(said).await;
    }
}

/// Whatever a user is called reaches everybody exactly so, and nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_any_kind() {
    let cluster = Cluster::builder().start().await;
    let longest = "é".repeat(64);
    let names =
        ["a.b", "*", ">", "two words", "🦀 crab", "\"quoted\"", "back\\slash", "'; DROP TABLE entries; --", &longest];
    let mut devices = Vec::new();
    for (number, name) in names.iter().enumerate() {
        devices.push(cluster.device(name, number % 2).await);
    }
    let room = devices[0].group("names", &names).await;
    for device in &devices {
        device.say(&room, &format!("I am {}", device.user())).await;
    }
    for device in &devices {
        for name in names {
            let (event, text) = device.message().await;
            assert_eq!((event.entry.sender.as_str(), text), (name, format!("I am {name}")), "to {}", device.user());
        }
    }
    // A user called `*` or `a.b` is one user: direct conversations go to nobody else.
    for pair in devices.windows(2) {
        let talk = pair[0].direct(pair[1].user().as_str()).await;
        pair[0].say(&talk, &format!("only for {}", pair[1].user())).await;
        pair[1].hears([format!("only for {}", pair[1].user())]).await;
    }
    let members = devices[0].client().members(&room, None, None).await.unwrap().members;
    let mut sorted = names.map(user);
    sorted.sort();
    assert_eq!(members.into_iter().map(|member| member.user).collect::<Vec<_>>(), sorted);
}

/// Texts arrive byte for byte: control characters, quotes, every plane of Unicode.
#[tokio::test(flavor = "multi_thread")]
async fn texts_of_any_kind() {
    let cluster = Cluster::single().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 0).await);
    let talk = alice.direct("bob").await;
    let long = "long ".repeat(14_000);
    let texts = ["", " ", "\u{0}\u{1}\n\r\t", "\"}],{\\", "👩‍👩‍👧‍👦 e\u{301} \u{10ffff}", "</script>", &long[..64 * 1024]];
    for text in texts {
        alice.say(&talk, text).await;
    }
    bob.hears(texts).await;
    wait_for("the archive to hold the same", PATIENCE, async || {
        let history = bob.client().history(&talk, None, None, None).await.unwrap().events;
        let kept: Vec<_> = history.iter().filter_map(|event| text_of(&event.entry.change)).collect();
        (kept == texts).then_some(())
    })
    .await;
}

fn text_of(change: &Change) -> Option<&str> {
    match change {
        Change::Message { text, .. } => Some(text),
        _ => None,
    }
}

/// A group lives: it is created, grows, is talked in, and everybody can look it up.
#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_group() {
    let cluster = Cluster::builder().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let carol = cluster.device("carol", 0).await;

    let group = alice.group("friends", &["bob"]).await;
    alice.say(&group, "before carol").await;
    bob.client().add_member(&group, &user("carol")).await.unwrap();
    bob.say(&group, "welcome").await;

    alice.hears(["before carol", "welcome"]).await;
    bob.hears(["before carol", "welcome"]).await;
    let first = carol.event().await;
    assert_eq!(first.entry.change, Change::MemberAdded { user: user("carol") }, "carol begins where she came in");
    carol.hears(["welcome"]).await;

    let view = listed(&alice, &group).await;
    assert_eq!((view.name.as_deref(), view.role), (Some("friends"), Role::Owner));
    assert_eq!(listed(&carol, &group).await.role, Role::Member);
    let refused = bob.client().remove_member(&group, &user("carol")).await;
    assert_eq!(code(refused), ErrorCode::NotAllowed, "only the owner removes");
}

/// A conversation in a user's list, once the archive has it.
async fn listed(device: &Device, conversation: &ConversationId) -> ConversationView {
    wait_for(&format!("{}'s list", device.user()), PATIENCE, async || {
        let page = device.client().conversations(None, None).await.unwrap();
        page.conversations.into_iter().find(|view| view.conversation == *conversation)
    })
    .await
}

/// Two devices that create a group under one id, or open one conversation at the same time, get
/// the same one.
#[tokio::test(flavor = "multi_thread")]
async fn beginnings_are_idempotent() {
    let cluster = Cluster::builder().start().await;
    let (one, other) = (cluster.device("alice", 0).await, cluster.device("alice", 1).await);
    let bob = cluster.device("bob", 1).await;
    let id = one.client().new_client_id();
    let members = [user("bob")];
    let (first, second) = tokio::join!(
        one.client().create_group_with_id(id, "twice", &members),
        other.client().create_group_with_id(id, "twice", &members),
    );
    assert_eq!(first.unwrap().conversation, second.unwrap().conversation);
    let (from_alice, from_bob) = tokio::join!(one.direct("bob"), bob.direct("alice"));
    assert_eq!(from_alice, from_bob);

    one.say(&from_alice, "once").await;
    let seen = begun_until(&bob, "once").await;
    assert_eq!(seen, 2, "one group and one direct conversation begin");
}

/// How many conversations begin before a text comes.
async fn begun_until(device: &Device, text: &str) -> usize {
    let mut begun = 0;
    loop {
        let event = device.event().await;
        begun += usize::from(event.entry.change.is_beginning());
        if text_of(&event.entry.change) == Some(text) {
            return begun;
        }
    }
}

/// Notes to oneself are a conversation of one.
#[tokio::test(flavor = "multi_thread")]
async fn notes_to_oneself() {
    let cluster = Cluster::single().start().await;
    let (phone, laptop) = (cluster.device("alice", 0).await, cluster.device("alice", 0).await);
    let notes = phone.direct("alice").await;
    phone.say(&notes, "buy milk").await;
    laptop.hears(["buy milk"]).await;
    phone.hears(["buy milk"]).await;
}

/// Lists come in pages, each beginning where the one before ended.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_conversations_and_members() {
    let cluster = Cluster::single().start().await;
    let alice = cluster.device("alice", 0).await;
    let names: Vec<_> = (0..7).map(|number| format!("member-{number}")).collect();
    let group = alice.group("paged", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut opened = vec![group.clone()];
    for name in &names {
        opened.push(alice.direct(name).await);
    }
    opened.sort();
    // What was begun is archived a moment later.
    wait_for("all conversations to be archived", PATIENCE, async || {
        let page = alice.client().conversations(None, None).await.unwrap();
        (page.conversations.len() == opened.len()).then_some(())
    })
    .await;

    let (mut listed, mut after): (Vec<ConversationId>, _) = (Vec::new(), None);
    loop {
        let page = alice.client().conversations(after.as_ref(), Some(3)).await.unwrap();
        assert!(page.conversations.len() <= 3);
        listed.extend(page.conversations.into_iter().map(|view| view.conversation));
        after = listed.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(listed, opened);

    let first = alice.client().members(&group, None, Some(5)).await.unwrap();
    let rest = alice.client().members(&group, Some(&first.members[4].user), Some(5)).await.unwrap();
    assert_eq!((first.members.len(), first.more, rest.members.len(), rest.more), (5, true, 3, false));
    let owners: Vec<_> =
        first.members.iter().chain(&rest.members).filter(|member| member.role == Role::Owner).collect();
    assert_eq!(owners.len(), 1);
    assert_eq!(owners[0].user, user("alice"));
}

fn code<T: std::fmt::Debug>(result: Result<T, RequestError>) -> ErrorCode {
    match result {
        Err(RequestError::Refused(error)) => error.code,
        other => panic!("not refused: {other:?}"),
    }
}
