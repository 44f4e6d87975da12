//! Single entries are erased from the log, and everybody goes on over the holes.

use natter_bus::{EraseError, definitions};
use natter_ids::Partition;

use crate::world::{World, append, direct, said};

const PARTITION: Partition = Partition(0);

#[tokio::test]
async fn an_erased_entry_is_gone_and_its_number_is_not_given_again() {
    let (_world, bus) = World::new(1).await;
    let talk = direct("a", "b");
    let entries: Vec<_> = ["one", "two", "three", "four"].map(|text| said("a", text)).into();
    for entry in &entries {
        append(&bus, &talk, entry).await.unwrap();
    }
    assert!(append(&bus, &talk, &entries[1]).await.unwrap().repeat);
    for seq in [2, 4, 2] {
        bus.erase(PARTITION, seq).await.unwrap();
        assert!(bus.record_at(PARTITION, seq).await.unwrap().is_none());
    }
    // Read once more: over the hole, and to an end that is no entry.
    let mut range = bus.read_log(PARTITION, 0, 4).await.unwrap();
    let read: Vec<_> = range.next_batch().await.unwrap().unwrap().iter().map(|record| record.seq).collect();
    assert_eq!(read, [1, 3]);
    assert!(range.next_batch().await.unwrap().is_none());
    let mut range = bus.read_log(PARTITION, 3, 4).await.unwrap();
    assert!(range.next_batch().await.unwrap().is_none(), "nothing is left");
    assert_eq!(append(&bus, &talk, &said("a", "five")).await.unwrap().seq, 5);
    assert_eq!(bus.last_seq(&talk).await.unwrap(), 5);
}

/// A log of a release that let nobody delete entries goes on; a copy put back can erase.
#[tokio::test]
async fn a_log_of_an_earlier_release_goes_on() {
    let (world, bus) = World::new(1).await;
    let talk = direct("a", "b");
    append(&bus, &talk, &said("a", "one")).await.unwrap();
    let raw = world.raw().await;
    let mut config = raw.get_stream("CHAT-0").await.unwrap().cached_info().config.clone();
    config.deny_delete = true;
    raw.update_stream(config).await.unwrap();
    assert_eq!(definitions::apply(&bus, false).await.unwrap(), [], "no server takes it back");
    assert_eq!(bus.erase(PARTITION, 1).await, Err(EraseError::Denied));
    assert!(bus.record_at(PARTITION, 1).await.unwrap().is_some());

    let mut bytes = Vec::new();
    let keep = |chunk: &[u8]| {
        bytes.extend_from_slice(chunk);
        Ok(())
    };
    let copy = bus.save_stream("CHAT-0", keep).await.unwrap();
    raw.delete_stream("CHAT-0").await.unwrap();
    let mut unread = &bytes[..];
    bus.load_stream("CHAT-0", copy, |chunk| std::io::Read::read(&mut unread, chunk)).await.unwrap();
    bus.erase(PARTITION, 1).await.unwrap();
    assert!(bus.record_at(PARTITION, 1).await.unwrap().is_none());
}
