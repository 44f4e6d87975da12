//! Marks only rise: what is told, seen without a client library that would pass over what is smaller, and what is stored.

use natter_e2e::{Cluster, Raw, user};
use natter_ids::{ConversationId, Seq};
use natter_protocol::{Request, ServerFrame};

/// How far bob has come, in every frame up to the one that says that he has read all of it.
async fn told(raw: &mut Raw, of: &ConversationId, last: Seq) -> Vec<(Seq, Seq)> {
    let mut told = Vec::new();
    loop {
        if let ServerFrame::MarksChanged { marks } = raw.frame().await
            && marks.conversation == *of
        {
            told.extend(marks.marks.iter().filter(|mark| mark.user == user("bob")).map(|it| (it.delivered, it.read)));
            if told.last().is_some_and(|(_, read)| *read == last) {
                return told;
            }
        }
    }
}

/// What is stored of bob's, as alice is told when she asks.
async fn stored(raw: &mut Raw, of: &ConversationId, seq: Seq) -> (Seq, Seq) {
    let request = Request::Receipts { conversation: of.clone(), seq, after: None, limit: None };
    match raw.ask(request).await {
        Ok(ServerFrame::Receipts { page, .. }) => page.marks.first().map_or((0, 0), |mark| (mark.delivered, mark.read)),
        other => panic!("instead of receipts: {other:?}"),
    }
}

/// Two devices tell different numbers at once, one of them through a gateway that stands still for a while and then
/// sends on what it held. Neither what is stored goes back, nor what a socket is told, where one replica of storage
/// and of delivery keep the order; several may tell the smaller of two numbers last, and clients pass over it.
#[tokio::test(flavor = "multi_thread")]
async fn marks_never_go_back() {
    const MESSAGES: usize = 30;
    let cluster = Cluster::builder().storages(1).deliveries(1).start().await;
    let alice = cluster.device("alice", 1).await;
    let (phone, laptop) = (cluster.device("bob", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    let mut seqs = Vec::new();
    for number in 0..MESSAGES {
        seqs.push(alice.say(&talk, &format!("message {number}")).await.seq);
    }
    let last = seqs[MESSAGES - 1];
    let (mut socket, mut asking) =
        (Raw::open(cluster.gateway(1), "alice").await, Raw::open(cluster.gateway(1), "alice").await);
    for raw in [&mut socket, &mut asking] {
        raw.begin(None).await;
    }
    let said_by_phone = async {
        let mut before = (0, 0);
        for seq in seqs.iter().take(10) {
            phone.client().mark(&talk, Some(*seq), Some(*seq)).await.unwrap();
            if *seq == seqs[4] {
                cluster.gateway(0).stop_signal();
                // It comes to the gateway's socket, and waits there.
                phone.client().read(&talk, seqs[5]);
                laptop.client().mark(&talk, None, Some(last)).await.unwrap();
                cluster.gateway(0).cont();
            }
            let now = stored(&mut asking, &talk, *seq).await;
            assert!(now.0 >= before.0.max(*seq) && now.1 >= before.1.max(*seq), "{now:?} after {before:?}");
            before = now;
        }
    };
    Box::pin(said_by_phone).await;
    // Smaller ones came after the largest: the next that is told would be theirs.
    let mut told = told(&mut socket, &talk, last).await;
    let after = alice.say(&talk, "one more").await.seq;
    laptop.client().mark(&talk, None, Some(after)).await.unwrap();
    told.extend(self::told(&mut socket, &talk, after).await);
    assert!(told.len() > 2 && told.is_sorted_by_key(|mark| mark.0), "{told:?}");
    assert!(told.is_sorted_by_key(|mark| mark.1), "{told:?}");
    let again = phone.client().mark(&talk, Some(seqs[0]), Some(seqs[0])).await.unwrap();
    assert_eq!((again.delivered, again.read), (after, after), "what is smaller changes nothing");
    assert_eq!(stored(&mut asking, &talk, after).await, (after, after));
}
