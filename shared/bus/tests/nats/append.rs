//! Appending: acknowledged, fenced, once, bounded.

use natter_bus::{Append, AppendError, Config, Fence, Stored, definitions};
use natter_ids::{ClientId, ConversationId, Partition};
use natter_protocol::{Change, Entry};
use natter_testkit::{Flow, Proxy};

use crate::world::{World, append, append_after, connect, direct, entry, said, user, wait_until};

fn opened(one: &str, other: &str) -> Entry {
    entry(one, Change::DirectOpened { peers: [user(one), user(other)] })
}

#[tokio::test]
async fn what_is_acknowledged_is_there() {
    let (mut world, bus) = World::new(2).await;
    let chat = direct("a", "b.c");
    let (beginning, message) = (opened("a", "b.c"), said("a", "hello\u{1F600}\n"));
    let first = bus.append(Append { conversation: &chat, entry: &beginning, fence: Fence::Beginning }).await.unwrap();
    let second = append(&bus, &chat, &message).await.unwrap();
    assert_eq!((first.repeat, second.repeat), (false, false));
    assert!(second.seq > first.seq);
    world.nats.restart().await;
    let again = world.connect("again").await;
    assert_eq!(again.last_seq(&chat).await.unwrap(), second.seq);
    assert_eq!(again.entry_at(&chat, first.seq).await.unwrap(), Some(beginning));
    assert_eq!(again.entry_at(&chat, second.seq).await.unwrap(), Some(message));
    assert_eq!(again.entry_at(&direct("a", "c"), second.seq).await.unwrap(), None, "of another conversation");
    assert_eq!(again.entry_at(&chat, second.seq + 1).await.unwrap(), None);
}

#[tokio::test]
async fn a_conversation_begins_once() {
    let (_world, bus) = World::new(1).await;
    let chat = direct("a", "b");
    let begin = async |entry: &Entry| bus.append(Append { conversation: &chat, entry, fence: Fence::Beginning }).await;
    begin(&opened("a", "b")).await.unwrap();
    assert!(matches!(begin(&opened("b", "a")).await, Err(AppendError::FenceMoved)));
    assert_eq!(bus.last_seq(&chat).await.unwrap(), 1, "nothing was stored");
}

#[tokio::test]
async fn of_many_who_begin_at_once_one_does() {
    let (_world, bus) = World::new(1).await;
    let chat = direct("a", "b");
    let beginnings: Vec<_> = (0..20).map(|_| opened("a", "b")).collect();
    let begun = futures_util::future::join_all(
        beginnings.iter().map(|entry| bus.append(Append { conversation: &chat, entry, fence: Fence::Beginning })),
    )
    .await;
    assert_eq!(begun.iter().filter(|result| result.is_ok()).count(), 1, "{begun:?}");
    assert!(begun.iter().all(|result| matches!(result, Ok(_) | Err(AppendError::FenceMoved))), "{begun:?}");
}

#[tokio::test]
async fn an_append_that_relies_on_an_older_membership_is_refused() {
    let (_world, bus) = World::new(2).await;
    let group = ConversationId::group(&user("a"), ClientId::now());
    let created = entry("a", Change::GroupCreated { name: "g".into(), members: vec![user("a"), user("*")] });
    bus.append(Append { conversation: &group, entry: &created, fence: Fence::Beginning }).await.unwrap();
    append(&bus, &group, &said("*", "still a member")).await.unwrap();
    let removal = entry("a", Change::MemberRemoved { user: user("*") });
    let removed = append(&bus, &group, &removal).await.unwrap();
    assert_eq!(bus.last_member_entry(&group, &user("*")).await.unwrap(), Some((removed.seq, removal)));
    assert_eq!(bus.last_member_entry(&group, &user("a")).await.unwrap(), None);

    let refused = append(&bus, &group, &said("*", "no more")).await;
    assert!(matches!(refused, Err(AppendError::FenceMoved)), "{refused:?}");
    let readded = append(&bus, &group, &entry("a", Change::MemberAdded { user: user("*") })).await.unwrap();
    let refused = append_after(&bus, &group, &said("*", "as of the removal"), removed.seq).await;
    assert!(matches!(refused, Err(AppendError::FenceMoved)), "{refused:?}");
    append_after(&bus, &group, &said("*", "back"), readded.seq).await.unwrap();
    append(&bus, &group, &said("a", "others are not affected")).await.unwrap();
}

#[tokio::test]
async fn a_repeat_gets_the_first_number_whatever_happened_since() {
    let (mut world, bus) = World::new(2).await;
    let group = ConversationId::group(&user("a"), ClientId::now());
    let message = said("b", "once");
    let first = append(&bus, &group, &message).await.unwrap();
    append(&bus, &group, &said("b", "another")).await.unwrap();
    let repeat = Stored { seq: first.seq, repeat: true };
    assert_eq!(append(&bus, &group, &message).await.unwrap(), repeat);
    // The same id of another sender, or elsewhere, is another message.
    let others = Entry { sender: user("c"), ..message.clone() };
    assert!(!append(&bus, &group, &others).await.unwrap().repeat);
    assert!(!append(&bus, &direct("b", "c"), &message).await.unwrap().repeat);
    append(&bus, &group, &entry("a", Change::MemberRemoved { user: user("b") })).await.unwrap();
    let readded = append(&bus, &group, &entry("a", Change::MemberAdded { user: user("b") })).await.unwrap();
    assert_eq!(append_after(&bus, &group, &message, readded.seq).await.unwrap(), repeat, "accepted is accepted");
    world.nats.restart().await;
    let again = world.connect("again").await;
    assert_eq!(append_after(&again, &group, &message, readded.seq).await.unwrap(), repeat, "after a restart");
}

/// Storage may be faster than the acknowledgement. That is no log that went back either.
#[tokio::test]
async fn what_is_archived_before_its_acknowledgement_came_is_stored() {
    let (world, bus) = World::new(1).await;
    let proxy = Proxy::tcp(world.nats.url().trim_start_matches("nats://")).await;
    let config = Config { url: Some(format!("nats://{}", proxy.address())), ..world.config.clone() };
    let behind_proxy = connect(&config, "far").await;
    let (chat, message) = (direct("a", "b"), said("a", "hello"));
    let archive = async {
        wait_until("the entry to be stored", async || bus.newest_seq(Partition(0)).await.unwrap() == 1).await;
        behind_proxy.note_archived(Partition(0), 1);
        proxy.heal();
    };
    proxy.set(Flow::Pass, Flow::Stall);
    let (stored, ()) = tokio::join!(append(&behind_proxy, &chat, &message), archive);
    assert_eq!(stored.unwrap().seq, 1);
}

#[tokio::test]
async fn a_full_log_refuses_and_drops_nothing() {
    let world = World::empty(1).await;
    let small = Config { log_mib_max: 1, ..world.config.clone() };
    let bus = connect(&small, "small").await;
    definitions::apply(&bus, false).await.unwrap();
    let (chat, text) = (direct("a", "b"), "x".repeat(60_000));
    let mut stored = 0;
    let refused = loop {
        match append(&bus, &chat, &said("a", &text)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 30, "1 MiB holds fewer");
    };
    assert!(matches!(refused, AppendError::Full), "{refused}");
    assert!(stored >= 15, "1 MiB holds more than {stored}");
    assert_eq!(bus.newest_seq(natter_ids::Partition(0)).await.unwrap(), stored);
    assert!(bus.entry_at(&chat, 1).await.unwrap().is_some(), "the oldest is still there");
}

#[tokio::test]
async fn without_a_server_nothing_is_accepted_and_nothing_is_stored_later() {
    let (mut world, bus) = World::new(1).await;
    let chat = direct("a", "b");
    world.nats.kill();
    let entries: Vec<_> = (0..5).map(|number| said("a", &number.to_string())).collect();
    for entry in &entries {
        let started = std::time::Instant::now();
        let refused = append(&bus, &chat, entry).await;
        assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
        assert!(started.elapsed().as_millis() < 6_000, "a refusal comes in time");
    }
    world.nats.restart().await;
    natter_testkit::wait_for("an append after the restart", crate::world::SOON, async || {
        append(&bus, &chat, &entries[4]).await.ok()
    })
    .await;
}
