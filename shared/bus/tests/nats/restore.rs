//! A log that jumps, copies of streams, and who runs.

use natter_bus::{Bus, Config, Service, definitions};
use natter_ids::Partition;
use natter_testkit::{NatsCluster, nats_cluster};

use crate::world::{World, append, connect, direct, said, wait_until};

const PARTITION: Partition = Partition(0);
const NEXT: u64 = 1 << 43;
/// So often a node is asked that may lag behind.
const READS: usize = 100;

/// The log goes on at the number, and its consumers too: what was acknowledged and what was not.
async fn jumps(bus: &Bus) {
    let talk = direct("a", "b");
    assert_eq!(append(bus, &talk, &said("a", "before")).await.unwrap().seq, 1);
    bus.jump_log(PARTITION, NEXT).await.unwrap();
    let extent = bus.log_extent(PARTITION).await.unwrap().unwrap();
    assert_eq!((extent.first, extent.last, extent.newest_at), (NEXT, NEXT - 1, 0));
    // In a replicated log they follow a moment later.
    wait_until(&format!("the consumers of {:?} to follow", Service::ALL), async || {
        let progress = bus.progress(PARTITION).await.unwrap();
        (progress.delivered, progress.archived) == (NEXT - 1, NEXT - 1)
    })
    .await;
    assert_eq!(append(bus, &talk, &said("a", "behind")).await.unwrap().seq, NEXT);
    let mut range = bus.read_log(PARTITION, NEXT - 1, NEXT).await.unwrap();
    assert_eq!(range.next_batch().await.unwrap().unwrap()[0].seq, NEXT);
    assert!(range.next_batch().await.unwrap().is_none());
    assert!(bus.jump_log(PARTITION, 5).await.is_err(), "it never goes back");
}

/// A connection to a cluster with a log on all its nodes.
async fn replicated(cluster: &NatsCluster) -> Bus {
    let urls: Vec<_> = cluster.nodes.iter().map(natter_testkit::NatsServer::url).collect();
    let config = Config { url: Some(urls.join(",")), partitions: 1, replicas: 3, ..Config::default() };
    let bus = connect(&config, "test").await;
    wait_until("streams on three nodes", async || definitions::apply(&bus, false).await.is_ok()).await;
    bus
}

#[tokio::test]
async fn a_log_jumps_with_its_consumers() {
    let (_world, bus) = World::new(1).await;
    jumps(&bus).await;
}

#[tokio::test]
async fn a_replicated_log_jumps_with_its_consumers() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = nats_cluster(folder.path(), 3).await;
    jumps(&replicated(&cluster).await).await;
}

/// Whichever node hands the log out, and however far it is behind: what was accepted is read.
#[tokio::test]
async fn a_replicated_log_is_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = nats_cluster(folder.path(), 3).await;
    let bus = replicated(&cluster).await;
    let talk = direct("a", "b");
    for number in 1..=READS {
        let seq = append(&bus, &talk, &said("a", "newest")).await.unwrap().seq;
        let mut range = bus.read_log(PARTITION, seq - 1, seq).await.unwrap();
        let batch = range.next_batch().await.unwrap();
        let read: Vec<_> = batch.into_iter().flatten().map(|record| record.seq).collect();
        assert_eq!(read, [seq], "reading {number} of {READS}");
    }
}

/// Longer than a chunk, and put back under the same numbers.
#[tokio::test]
async fn a_stream_comes_back_from_its_copy() {
    let (_world, bus) = World::new(1).await;
    for _ in 0..100 {
        let text: String = (0..4_000).map(|_| char::from(rand_letter())).collect();
        append(&bus, &direct("a", "b"), &said("a", &text)).await.unwrap();
    }
    let mut bytes = Vec::new();
    let keep = |chunk: &[u8]| {
        bytes.extend_from_slice(chunk);
        Ok(())
    };
    let copy = bus.save_stream("CHAT-0", keep).await.unwrap();
    let (other, there) = World::new(1).await;
    let mut unread = &bytes[..];
    let read = |chunk: &mut [u8]| std::io::Read::read(&mut unread, chunk);
    assert!(there.load_stream("CHAT-0", copy.clone(), read).await.is_err(), "nothing is overwritten");
    other.raw().await.delete_stream("CHAT-0").await.unwrap();
    let mut unread = &bytes[..bytes.len() / 2];
    let read = |chunk: &mut [u8]| std::io::Read::read(&mut unread, chunk);
    assert!(there.load_stream("CHAT-0", copy.clone(), read).await.is_err(), "half a copy is none");
    let mut unread = &bytes[..];
    let read = |chunk: &mut [u8]| std::io::Read::read(&mut unread, chunk);
    there.load_stream("CHAT-0", copy, read).await.unwrap();
    let extent = there.log_extent(PARTITION).await.unwrap().unwrap();
    assert_eq!((extent.first, extent.last), (1, 100));
    assert!(bytes.len() > 200_000, "{} bytes are more than a chunk", bytes.len());
}

/// Letters that do not compress away.
fn rand_letter() -> u8 {
    use std::hash::{BuildHasher, RandomState};
    b'a' + u8::try_from(RandomState::new().hash_one(0) % 26).unwrap()
}
