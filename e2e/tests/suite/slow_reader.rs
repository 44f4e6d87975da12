//! A client that does not read costs a bounded amount of memory and disturbs nobody.

use natter_client::RawOptions;
use natter_e2e::{Cluster, Device, Http, PATIENCE, Raw, Service, token_for};
use natter_ids::Position;
use natter_protocol::{Change, CloseCode, Event, ServerFrame};

const MESSAGES: usize = 200;
const BYTES: usize = 60_000;
/// Bytes that the kernel keeps for the reader: few, so that the gateway notices soon.
const RECEIVE_BUFFER: u32 = 32 * 1024;

fn text_of(event: &Event) -> Option<usize> {
    match &event.entry.change {
        Change::Message { text, .. } => text.split(' ').next()?.parse().ok(),
        _ => None,
    }
}

/// Waits until the gateway has given up on a client that does not read.
async fn gives_up_on_a_slow_reader(gateway: &Service) {
    let admin = Http::new(gateway.admin_address());
    natter_testkit::wait_for("the gateway to give up on the slow reader", PATIENCE, async || {
        let metrics = admin.get("/metrics").await.body;
        let closes = metrics
            .lines()
            .find(|line| line.starts_with("natter_connection_closes_total") && line.contains("slow_consumer"));
        closes.map(drop)
    })
    .await;
}

/// A device that reads nothing is closed with a code that says to come back, while its neighbour
/// at the same gateway hears everything; it resumes and has lost nothing.
#[tokio::test(flavor = "multi_thread")]
async fn is_closed_and_resumes() {
    let cluster = Cluster::builder().set("connection.outbound_bytes_max", 256 * 1024).start().await;
    let alice = cluster.device("alice", 0).await;
    let neighbour = cluster.device("bob", 1).await;
    let options = RawOptions::new(cluster.gateway(1).url()).token(token_for("bob")).receive_buffer(RECEIVE_BUFFER);
    let mut slow = Raw::open_with(options).await;
    let start = slow.begin(None).await;
    let talk = alice.direct("bob").await;
    // At the pace of the neighbour, who may otherwise be slow as well.
    let say_and_hear_all = async {
        for number in 0..MESSAGES {
            alice.say(&talk, &format!("{number} {}", "x".repeat(BYTES))).await;
            let (event, _) = neighbour.message().await;
            assert_eq!(text_of(&event), Some(number), "the neighbour");
        }
    };
    let read_late = async {
        gives_up_on_a_slow_reader(cluster.gateway(1)).await;
        read_to_the_end(&mut slow, start).await
    };
    let ((), (heard, position, code)) = tokio::join!(say_and_hear_all, read_late);
    assert_eq!(code, CloseCode::SlowConsumer.number());
    assert!(heard < MESSAGES, "the slow reader was given everything");
    assert_eq!(neighbour.client().stats().disconnects, 0);

    let back = Device::connect("bob", cluster.client("bob", &[0]).position(position));
    for number in heard..MESSAGES {
        let (event, _) = back.message().await;
        assert_eq!(text_of(&event), Some(number), "after coming back");
    }
}

/// How many messages came, in order, the position with the last of them, and the close code.
async fn read_to_the_end(raw: &mut Raw, start: Position) -> (usize, Position, u16) {
    let (mut heard, mut position) = (0, start);
    loop {
        match raw.frame_or_close().await {
            Ok(ServerFrame::Event { position: at, event }) => {
                position = at;
                if let Some(number) = text_of(&event) {
                    assert_eq!(number, heard, "the slow reader");
                    heard += 1;
                }
            }
            Ok(_) => {}
            Err(code) => return (heard, position, code),
        }
    }
}
