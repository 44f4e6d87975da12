//! Machines whose clocks are wrong: everybody goes by the clock of NATS.

use natter_e2e::Cluster;
use natter_ids::ClientId;

const HOUR_SECS: i64 = 3600;

/// A gateway that is behind would take every new message for one of the future, one that is ahead
/// would find every token expired, and both would write wrong times.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_an_hour_off_takes_and_times_messages_as_any_other() {
    let cluster =
        Cluster::builder().gateways(3).clock("gateway-0", -HOUR_SECS).clock("gateway-1", HOUR_SECS).start().await;
    let talk = cluster.device("alice", 2).await.direct("bob").await;
    for gateway in 0..3 {
        let http = cluster.http("alice", gateway);
        let client_id = ClientId::now();
        let before = crate::now_ms();
        let said = http.say(&talk, client_id, "hello").await;
        let said = said.unwrap_or_else(|error| panic!("gateway-{gateway} refuses: {error:?}"));
        let (early, late) = (before.saturating_sub(2_000), crate::now_ms() + 2_000);
        assert!((early..late).contains(&said.time), "gateway-{gateway} wrote {} at {before}", said.time);
        // The same one again, at the next gateway: the same answer.
        let next = (gateway + 1) % 3;
        let again = cluster.http("alice", next).say(&talk, client_id, "hello").await.unwrap();
        assert_eq!((again.seq, again.time), (said.seq, said.time), "gateway-{next} repeats gateway-{gateway}");
    }
    let warned = cluster.log_lines_with("this machine's clock is behind that of NATS");
    assert!(warned.iter().any(|line| line.starts_with("gateway-0")), "the operator is told: {warned:?}");
}
