//! What a sender learns of who has received and read, and what readers tell.

use natter_client::{Notification, RequestError};
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::{ConversationId, Position, Seq};
use natter_protocol::{ErrorCode, GroupPatch, MarkView, Past, SettingsView, Strangers};
use natter_testkit::wait_for;

on_every_database!(a_sender_sees_delivered_and_read);
on_every_database!(who_came_later_is_not_waited_for);
on_every_database!(in_a_group_who_and_how_many);
on_every_database!(a_thousand_reads_are_a_handful_of_writes);
on_every_database!(read_receipts_can_be_switched_off);
on_every_database!(strangers_mark_nothing);

/// A new device that tells what it was handed.
async fn telling(cluster: &Cluster, name: &str, gateway: usize) -> Device {
    let device = Device::connect(name, cluster.client(name, &[gateway]).receipts(true));
    device.caught_up().await;
    device
}

/// Waits until a device is told that somebody has come so far in a conversation.
async fn sees(device: &Device, of: &ConversationId, who: &str, enough: impl Fn(&MarkView) -> bool) -> MarkView {
    device
        .find(|next| match next {
            Notification::MarksChanged(view) if view.conversation == *of => {
                view.marks.into_iter().find(|mark| mark.user == user(who) && enough(mark))
            }
            _ => None,
        })
        .await
}

/// Live through two gateways, after having been away, and asked.
async fn a_sender_sees_delivered_and_read(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let alice = telling(&cluster, "alice", 0).await;
    let (bob, tablet) = (telling(&cluster, "bob", 1).await, telling(&cluster, "bob", 0).await);
    let talk = alice.direct("bob").await;
    let first = alice.say(&talk, "one").await.seq;
    bob.hears(["one"]).await;
    let delivered = sees(&alice, &talk, "bob", |mark| mark.delivered >= first).await;
    assert_eq!(delivered.read, 0, "delivered is not read");
    bob.client().read(&talk, first);
    sees(&alice, &talk, "bob", |mark| mark.read == first).await;
    sees(&tablet, &talk, "bob", |mark| mark.read == first).await;

    // Alice is away while bob reads on; she learns it when she is back, at another gateway.
    let known = wait_for("a position of marks", PATIENCE, async || alice.client().marks_position()).await;
    let second = alice.say(&talk, "two").await.seq;
    let away = alice.leave().await;
    bob.hears(["two"]).await;
    bob.client().mark(&talk, None, Some(second)).await.unwrap();
    let back = cluster.client("alice", &[1]).receipts(true).position(away).marks_position(known);
    let back = Device::connect("alice", back);
    let read = sees(&back, &talk, "bob", |mark| mark.read == second).await;
    assert_eq!(read.delivered, second);

    let asked = back.client().receipts(&talk, second, None, None).await.unwrap();
    assert_eq!((asked.members, asked.delivered, asked.read), (1, 1, 1));
    let asked = back.client().receipts(&talk, second + 1, None, None).await.unwrap();
    assert_eq!((asked.members, asked.delivered, asked.read), (1, 0, 0));
}

/// In a group: who, and how many.
async fn in_a_group_who_and_how_many(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let alice = telling(&cluster, "alice", 0).await;
    let (bob, carol) = (telling(&cluster, "bob", 1).await, telling(&cluster, "carol", 0).await);
    let group = alice.group("friends", &["bob", "carol", "dave"]).await;
    let said = alice.say(&group, "hello").await.seq;
    bob.hears(["hello"]).await;
    carol.hears(["hello"]).await;
    carol.client().read(&group, said);
    // Both come over one connection, in any order, and perhaps together.
    let mut come = [false, false];
    while come != [true, true] {
        let (of_bob, of_carol) = alice
            .find(|next| match next {
                Notification::MarksChanged(view) if view.conversation == group => {
                    let has = |who, enough: fn(&MarkView) -> Seq| {
                        view.marks.iter().any(|mark| mark.user == user(who) && enough(mark) == said)
                    };
                    Some((has("bob", |mark| mark.delivered), has("carol", |mark| mark.read)))
                }
                _ => None,
            })
            .await;
        come = [come[0] || of_bob, come[1] || of_carol];
    }
    let page = alice.client().receipts(&group, said, None, None).await.unwrap();
    assert_eq!((page.members, page.delivered, page.read), (3, 2, 1));
    let view = |name, delivered, read| MarkView { user: user(name), delivered, read };
    assert_eq!(page.marks, [view("bob", said, 0), view("carol", said, said), view("dave", 0, 0)]);
    let page = alice.client().receipts(&group, said, Some(&user("bob")), Some(1)).await.unwrap();
    assert_eq!((page.marks.len(), page.more), (1, true));
}

/// Who came after a message and does not see it counts neither among those who may read it nor as one who has; where
/// the group shows its past they do. Who was a member then and came back counts all along.
async fn who_came_later_is_not_waited_for(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob, carol) =
        (cluster.device("alice", 0).await, cluster.device("bob", 1).await, cluster.device("carol", 1).await);
    let group = alice.group("friends", &["bob"]).await;
    let first = alice.say(&group, "before carol").await.seq;
    bob.client().mark(&group, None, Some(first)).await.unwrap();
    alice.client().remove_member(&group, &user("bob")).await.unwrap();
    for name in ["bob", "carol"] {
        alice.client().add_member(&group, &user(name)).await.unwrap();
    }
    let second = alice.say(&group, "with carol").await.seq;
    carol.client().mark(&group, None, Some(second)).await.unwrap();
    let asked = async |seq: Seq| {
        let page = alice.client().receipts(&group, seq, None, None).await.unwrap();
        let marks: Vec<_> = page.marks.iter().map(|mark| mark.user.to_string()).collect();
        (page.members, page.delivered, page.read, marks.join(" "))
    };
    assert_eq!(asked(first).await, (1, 1, 1, "bob".to_owned()));
    assert_eq!(asked(second).await, (2, 1, 1, "bob carol".to_owned()));
    let patch = GroupPatch { past: Some(Past::All), ..GroupPatch::default() };
    alice.client().change_group(&group, patch).await.unwrap();
    wait_for("the setting to hold", PATIENCE, async || (asked(first).await.0 == 2).then_some(())).await;
    assert_eq!(asked(first).await, (2, 2, 2, "bob carol".to_owned()));
}

/// A reader who scrolls through a thousand messages costs a handful of writes, whether their client
/// says each or not.
async fn a_thousand_reads_are_a_handful_of_writes(database: Db) {
    let cluster = Cluster::builder().database(database).set("connection.user_requests_burst", 5_000).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    let last = {
        let sent = (0..1_000).map(|_| alice.client().send(talk.clone(), "."));
        let sent = futures_util::future::join_all(sent).await;
        sent.into_iter().map(|sent| sent.unwrap().seq).max().unwrap()
    };
    let before = written(&cluster).await;
    for seq in 1..=last {
        bob.client().read(&talk, seq);
        tokio::task::yield_now().await;
    }
    bob.client().mark(&talk, None, Some(last)).await.unwrap();
    let marks = written(&cluster).await - before;
    assert!((1.0..=10.0).contains(&marks), "{marks} marks were stored for {last} reads");

    // Every single one as a request of its own, from another conversation's reader.
    let said = alice.direct("carol").await;
    let sent = (0..500).map(|_| alice.client().send(said.clone(), "."));
    let sent = futures_util::future::join_all(sent).await;
    let seqs: Vec<_> = sent.into_iter().map(|sent| sent.unwrap().seq).collect();
    let carol = cluster.device("carol", 1).await;
    let before = written(&cluster).await;
    let marks = seqs.iter().map(|seq| carol.client().mark(&said, None, Some(*seq)));
    for marked in futures_util::future::join_all(marks).await {
        marked.unwrap();
    }
    let marks = written(&cluster).await - before;
    assert!(marks <= 30.0, "{marks} marks were stored for 500 requests, 32 of which are answered at once");
}

/// How many marks the replicas of storage have stored.
async fn written(cluster: &Cluster) -> f64 {
    let mut sum = 0.0;
    for storage in cluster.storages() {
        sum += storage.metric("natter_storage_marks_total").await;
    }
    sum
}

/// Who has switched read receipts off is not seen reading, live, asked and afterwards, and sees
/// nobody read. All their devices know of it.
async fn read_receipts_can_be_switched_off(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (telling(&cluster, "alice", 0).await, telling(&cluster, "bob", 1).await);
    let tablet = telling(&cluster, "bob", 0).await;
    let talk = alice.direct("bob").await;
    let off = bob.client().settings(Some(false)).await.unwrap();
    assert_eq!(off, SettingsView { read_receipts: false, strangers: Strangers::Allow });
    let told = tablet.find(|next| if let Notification::SettingsChanged(it) = next { Some(it) } else { None }).await;
    assert_eq!(told, off);

    let said = alice.say(&talk, "read this").await.seq;
    bob.hears(["read this"]).await;
    bob.client().mark(&talk, None, Some(said)).await.unwrap();
    sees(&tablet, &talk, "bob", |mark| mark.read == said).await;
    let answer = bob.say(&talk, "so what").await.seq;
    alice.client().mark(&talk, None, Some(answer)).await.unwrap();
    sees(&bob, &talk, "alice", |mark| mark.delivered == answer && mark.read == 0).await;
    let seen = sees(&alice, &talk, "bob", |mark| mark.delivered >= said).await;
    assert_eq!(seen.read, 0);
    let since = Some(Position::start(alice.client().position().unwrap().partitions()));
    for (device, who) in [(&alice, "bob"), (&bob, "alice")] {
        let asked = device.client().receipts(&talk, said, None, None).await.unwrap();
        assert_eq!((asked.delivered, asked.read, asked.marks[0].read), (1, 0, 0), "{who}");
        let page = device.client().marks(since.as_ref(), None).await.unwrap();
        let marks: Vec<_> = page.conversations.iter().flat_map(|view| &view.marks).collect();
        assert!(marks.iter().any(|mark| mark.user == user(who) && mark.read == 0), "{marks:?}");
    }
}

/// Who is no member marks nothing and learns nothing.
async fn strangers_mark_nothing(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (telling(&cluster, "alice", 0).await, cluster.device("bob", 1).await);
    let group = alice.group("friends", &["bob"]).await;
    let said = alice.say(&group, "hello").await.seq;
    bob.client().mark(&group, None, Some(said)).await.unwrap();
    let mallory = cluster.device("mallory", 1).await;
    let code = |refused: RequestError| match refused {
        RequestError::Refused(error) => error.code,
        other => panic!("{other}"),
    };
    let refused = mallory.client().mark(&group, None, Some(said)).await.unwrap_err();
    assert_eq!(code(refused), ErrorCode::NotAMember);
    let refused = mallory.client().receipts(&group, said, None, None).await.unwrap_err();
    assert_eq!(code(refused), ErrorCode::NotAMember);
    let nothing = alice.client().mark(&group, None, None).await.unwrap_err();
    assert_eq!(code(nothing), ErrorCode::Malformed);
    // What is beyond the newest entry counts as it.
    let ahead = bob.client().mark(&group, None, Some(said + 1_000_000)).await.unwrap();
    assert_eq!(ahead.read, said);

    alice.client().remove_member(&group, &user("bob")).await.unwrap();
    let refused = bob.client().receipts(&group, said, None, None).await.unwrap_err();
    assert_eq!(code(refused), ErrorCode::NotAMember);
    wait_for("marks of a removed member to be refused", PATIENCE, async || {
        match bob.client().mark(&group, None, Some(said)).await {
            Err(refused) => (code(refused) == ErrorCode::NotAMember).then_some(()),
            Ok(_) => None,
        }
    })
    .await;
}

/// A gateway that starts after everything was archived knows of none of it, and takes marks all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_late_takes_marks() {
    let cluster = Cluster::builder().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 0).await);
    let talk = alice.direct("bob").await;
    let seq = alice.say(&talk, "read it later").await.seq;
    bob.hears(["read it later"]).await;
    let archived = async || bob.client().history(&talk, None, None, None).await.unwrap().events;
    wait_for("the archive", PATIENCE, async || archived().await.iter().any(|event| event.seq == seq).then_some(()))
        .await;
    cluster.gateway(1).restart().await;
    let late = cluster.device("bob", 1).await;
    let marked = tokio::time::timeout(PATIENCE, late.client().mark(&talk, None, Some(seq))).await;
    assert_eq!(marked.expect("an answer").unwrap().read, seq);
}
