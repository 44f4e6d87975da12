//! Large rooms: what is said goes once to each gateway, and everybody has everything in order.

use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::ConversationId;
use natter_protocol::Change;
use natter_testkit::wait_for;

on_every_database!(a_room_costs_a_message_for_each_gateway);

const HERE: usize = 12;
const MEMBERS: usize = 600;
const TURNS: usize = 50;

/// What the service has sent so far.
async fn sent(cluster: &Cluster) -> f64 {
    let mut sent = 0.0;
    for delivery in cluster.deliveries() {
        sent += delivery.metric("natter_delivery_sends_total").await;
    }
    sent
}

/// The next `count` texts and where they were said.
async fn texts(device: &Device, count: usize) -> Vec<(ConversationId, String)> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let event = device.event().await;
        if let Change::Message { text, .. } = event.entry.change {
            texts.push((event.conversation, text));
        }
    }
    texts
}

/// Of a room of 600 some are here, at two gateways, and talk in the room and with each other: each
/// device gets each conversation in order, once and without a hole, while the room costs a message for
/// each gateway and not for each member; who comes in later and who goes are in it and out of it at once.
async fn a_room_costs_a_message_for_each_gateway(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let name = |number: usize| format!("person-{number}");
    let mut here = Vec::new();
    for number in 0..HERE {
        here.push(cluster.device(&name(number), number % 2).await);
    }
    let names: Vec<_> = (1..MEMBERS).map(name).collect();
    let room = here[0].group("the room", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let talk = here[0].direct("person-1").await;

    // Until delivery knows who is online for certain, it sends to each member alone.
    wait_for("a message to the room that is sent once to each gateway", PATIENCE, async || {
        let before = sent(&cluster).await;
        here[0].say(&room, "is anybody here?").await;
        for device in &here {
            texts(device, 1).await;
        }
        (sent(&cluster).await <= before + 2.0).then_some(())
    })
    .await;

    let before = sent(&cluster).await;
    for turn in 0..TURNS {
        here[0].say(&room, &format!("room {turn}")).await;
        here[0].say(&talk, &format!("talk {turn}")).await;
    }
    for (number, device) in here.iter().enumerate() {
        let of_both = number < 2;
        let texts = texts(device, if of_both { 2 * TURNS } else { TURNS }).await;
        for (conversation, what) in [(&room, "room"), (&talk, "talk")] {
            let said = texts.iter().filter(|(in_it, _)| in_it == conversation).map(|(_, text)| text.clone());
            let expected = (0..TURNS).filter(|_| conversation == &room || of_both);
            assert_eq!(said.collect::<Vec<_>>(), expected.map(|turn| format!("{what} {turn}")).collect::<Vec<_>>());
        }
        let stats = device.client().stats();
        assert_eq!((stats.holes, stats.repeats_in_session, stats.sessions), (0, 0, 1), "{}", name(number));
    }
    let cost = sent(&cluster).await - before;
    // The room: once to each of two gateways. The talk: once to each of its two.
    assert!(cost <= (4 * TURNS) as f64, "{TURNS} messages in each cost {cost} sends, of {HERE} members here");

    here[0].client().remove_member(&room, &user("person-3")).await.unwrap();
    here[0].client().add_member(&room, &user("newcomer")).await.unwrap();
    let newcomer = cluster.device("newcomer", 1).await;
    here[0].say(&room, "without person-3").await;
    assert_eq!(texts(&newcomer, 1).await[0].1, "without person-3");
    let removed = here[3].find(|next| match next {
        natter_client::Notification::Event(event, _) => Some(event.entry.change),
        _ => None,
    });
    assert_eq!(removed.await, Change::MemberRemoved { user: user("person-3") });
    here[0].say(&talk, "the end").await;
    let shown = here[3].client().history(&room, None, None, None).await;
    assert!(shown.is_err(), "whoever was removed reads nothing more");
}
