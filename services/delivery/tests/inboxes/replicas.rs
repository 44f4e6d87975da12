//! Replicas come and go.

use crate::world::{World, next};

#[tokio::test]
async fn while_replicas_take_turns_nothing_is_lost_and_the_order_stays() {
    let world = World::start().await;
    let mut running = world.deliver("d0").await;
    let [mut inbox] = world.inboxes(["b"]).await;
    let chat = world.begin_direct("a", "b").await;
    let say = async {
        let mut sent = Vec::new();
        for number in 0..300 {
            sent.push(world.say(&chat, "a", &number.to_string()).await);
        }
        sent
    };
    let turns = async {
        for number in 1..=3 {
            let next = world.deliver(&format!("d{number}")).await;
            assert!(running.stop(crate::world::SOON).await);
            running = next;
        }
    };
    let (sent, ()) = tokio::join!(say, turns);
    let (_, beginning) = next(&mut inbox).await;
    let mut last = beginning.seq;
    for expected in sent {
        let event = loop {
            let (arrival, event) = next(&mut inbox).await;
            // The next owner sends the last batch once more; whoever listens passes repeats over.
            if event.seq > last {
                assert!(arrival.link <= last, "{} is linked to {}, which never came", event.seq, arrival.link);
                break event;
            }
        };
        assert_eq!((event.seq, event.prev), (expected, last));
        last = event.seq;
    }
    world.stop([running]).await;
}
