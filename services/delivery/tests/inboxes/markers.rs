//! Markers, from all owners, under load.

use std::collections::{BTreeMap, btree_map::Entry};

use natter_ids::Partition;

use crate::world::{PARTITIONS, World, next};

#[tokio::test]
async fn after_the_markers_nothing_above_them_is_missing() {
    let world = World::start().await;
    let deliveries = [world.deliver("d1").await, world.deliver("d2").await];
    // A conversation of the user in each partition.
    let mut chats = BTreeMap::new();
    for number in 0.. {
        let peer = format!("b{number}");
        let at = Partition::of(
            &natter_ids::ConversationId::direct(&crate::world::user("a"), &crate::world::user(&peer)),
            PARTITIONS,
        );
        if let Entry::Vacant(free) = chats.entry(at) {
            free.insert(world.begin_direct("a", &peer).await);
        }
        if chats.len() == usize::from(PARTITIONS) {
            break;
        }
    }
    let say = async {
        let mut sent: BTreeMap<Partition, Vec<u64>> = BTreeMap::new();
        for number in 0..200 {
            for (partition, chat) in &chats {
                let seq = world.say(chat, "a", &number.to_string()).await;
                sent.entry(*partition).or_default().push(seq);
            }
        }
        sent
    };
    let resume = async {
        let [mut inbox] = world.inboxes(["a"]).await;
        let (_, markers) = world.markers("a", &mut inbox).await;
        (inbox, markers)
    };
    let (sent, (mut inbox, markers)) = tokio::join!(say, resume);
    let reached: BTreeMap<_, _> =
        markers.iter().flat_map(|marker| &marker.reached).map(|at| (at.partition, *at)).collect();
    assert_eq!(reached.len(), usize::from(PARTITIONS), "every partition has an owner that answers");

    // What is above the markers comes, in order, each once; the rest is the archive's.
    let mut expected: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (partition, seqs) in &sent {
        let above = seqs.iter().copied().filter(|seq| *seq > reached[partition].seq);
        expected.insert(*partition, above.collect());
    }
    let mut links: BTreeMap<_, _> = reached.iter().map(|(partition, at)| (*partition, at.link)).collect();
    while expected.values().any(|seqs| !seqs.is_empty()) {
        let (arrival, event) = next(&mut inbox).await;
        let partition = arrival.event.partition;
        if event.seq > reached[&partition].seq {
            assert_eq!(expected.get_mut(&partition).unwrap().remove(0), event.seq);
        }
        if event.seq > links[&partition] {
            assert!(arrival.link <= links[&partition], "{} is linked to {}", event.seq, arrival.link);
            links.insert(partition, event.seq);
        }
    }
    world.stop(deliveries).await;
}
