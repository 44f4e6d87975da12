//! One trace tells a message's way, from the sender's frame to the recipient's socket.

use natter_e2e::{Cluster, PATIENCE, Raw};
use natter_ids::{ClientId, ConversationId};
use natter_protocol::ServerFrame;
use natter_testkit::{Collector, ReceivedSpan, wait_for};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SENDER: &str = "b7ad6b7169203331";
const SAID: &str = "nobody but bob should read this";

/// Says something with a `traceparent`, whose flag asks to be recorded.
async fn say_traced(raw: &mut Raw, talk: &ConversationId) {
    let client_id = ClientId::now();
    raw.send(&format!(
        r#"{{"type":"send","id":1,"traceparent":"00-{TRACE}-{SENDER}-01","conversation":"{talk}","client_id":"{client_id}","text":"{SAID}"}}"#
    ))
    .await;
    while !matches!(raw.frame().await, ServerFrame::Accepted { id: 1, .. }) {}
}

/// The span of the trace with this name, from a process of this kind.
fn find<'a>(spans: &'a [ReceivedSpan], service: &str, name: &str) -> Option<&'a ReceivedSpan> {
    let named = |span: &&ReceivedSpan| span.name == name && span.service == format!("natter-{service}");
    spans.iter().find(|span| span.trace == TRACE && named(span))
}

const LOG: &str = "publish chat.{shard}.{conversation}.log";
const ENTRY: &str = "process chat.{shard}.{conversation}.log";
const BATCH: &str = "process chat.{shard}.{conversation}.log batch";
const PUSH: &str = "process user.{user}.inbox";

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_from_the_senders_frame_to_the_recipients_socket() {
    let collector = Collector::start().await;
    let builder = Cluster::builder().set("telemetry.otlp_endpoint", collector.url()).set("telemetry.trace_ratio", 1);
    let cluster = builder.start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    let mut raw = Raw::open(cluster.gateway(0), "alice").await;
    raw.begin(None).await;
    say_traced(&mut raw, &talk).await;
    bob.hears([SAID]).await;

    let whole =
        [("connection", "send"), ("connection", LOG), ("delivery", ENTRY), ("storage", ENTRY), ("connection", PUSH)];
    let spans = wait_for("a span of every part", PATIENCE, async || {
        let spans = collector.spans();
        whole.iter().all(|(service, name)| find(&spans, service, name).is_some()).then_some(spans)
    })
    .await;
    let [frame, append, delivered, archived, pushed] =
        whole.map(|(service, name)| find(&spans, service, name).expect("it was there"));
    let chain = [&frame.parent, &append.parent, &delivered.parent, &archived.parent, &pushed.parent];
    assert_eq!(chain, [SENDER, &frame.id, &append.id, &append.id, &delivered.id], "{spans:#?}");
    let kinds = [frame, append, delivered, archived, pushed].map(|span| span.kind.as_str());
    assert_eq!(kinds, ["Server", "Producer", "Consumer", "Consumer", "Consumer"]);
    for (service, entry) in [("natter-delivery", delivered), ("natter-storage", archived)] {
        let batches = spans.iter().filter(|span| span.name == BATCH && span.service == service);
        let joined = batches.clone().find(|batch| batch.links.contains(&(TRACE.to_owned(), append.id.clone())));
        let batch = joined.unwrap_or_else(|| panic!("no batch of {service} links to the message: {spans:#?}"));
        assert_eq!(entry.links, [(batch.trace.clone(), batch.id.clone())], "and back");
        assert_ne!(batch.trace, TRACE, "a batch is a trace of its own");
    }
    assert_eq!(append.attributes["messaging.system"], "nats");
    assert_eq!(append.attributes["messaging.operation.type"], "send");
    assert_eq!(delivered.attributes["messaging.consumer.group.name"], "delivery");
    nothing_private(&spans, &talk);
}

/// Spans leave the deployment: they hold no text, and name nobody.
fn nothing_private(spans: &[ReceivedSpan], talk: &ConversationId) {
    let all = format!("{spans:?}");
    for secret in [SAID, "alice", "bob", talk.as_str()] {
        assert!(!all.contains(secret), "{secret} is in a span: {all}");
    }
}

/// A client cannot make the deployment record what it sends.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_does_not_decide_what_is_recorded() {
    let collector = Collector::start().await;
    let builder = Cluster::builder().set("telemetry.otlp_endpoint", collector.url()).set("telemetry.trace_ratio", 0);
    let cluster = builder.start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    let mut raw = Raw::open(cluster.gateway(0), "alice").await;
    raw.begin(None).await;
    for _ in 0..20 {
        say_traced(&mut raw, &talk).await;
    }
    bob.hears([SAID; 20]).await;
    // Whoever stops sends the last spans before it ends.
    for service in [cluster.gateway(0), cluster.gateway(1), cluster.delivery(0), cluster.storage(0)] {
        service.terminate().await;
    }
    assert!(!collector.metrics().is_empty(), "nothing at all reached the collector");
    assert_eq!(collector.spans(), []);
}
