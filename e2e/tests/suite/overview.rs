//! The list of conversations, the same on all devices of a user.

use natter_client::{Notification, RequestError};
use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::ConversationId;
use natter_protocol::{
    Arrangement, ArrangementDraft, ArrangementView, ErrorBody, ErrorCode, MarkPage, MarkView, MarkedView, MarksView,
    OverviewItem, OverviewPage, ReceiptPage, SettingsView,
};
use natter_testkit::wait_for;

on_every_database!(the_list_is_the_same_on_all_devices);

/// Waits until a device's list is as expected: the archive is a moment behind what was said.
async fn until(device: &Device, what: &str, expected: impl Fn(&[OverviewItem]) -> bool) -> Vec<OverviewItem> {
    wait_for(what, PATIENCE, async || {
        let items = device.client().overview(None).await.unwrap().conversations;
        expected(&items).then_some(items)
    })
    .await
}

fn order(items: &[OverviewItem]) -> Vec<&ConversationId> {
    items.iter().map(|item| &item.view.conversation).collect()
}

/// Order, last message, unread counts, and what one device arranges the other one is told; over
/// WebSocket through two gateways, and over HTTP.
async fn the_list_is_the_same_on_all_devices(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let (phone, laptop) = (cluster.device("carol", 0).await, cluster.device("carol", 1).await);
    let (with_alice, with_bob) = (alice.direct("carol").await, bob.direct("carol").await);
    let group = alice.group("friends", &["bob", "carol"]).await;
    alice.say(&with_alice, "first").await;
    bob.say(&group, "to all").await;
    let indeed = alice.say(&group, "indeed").await;
    // Within a millisecond there is no later.
    wait_for("the next millisecond", PATIENCE, async || (crate::now_ms() > indeed.time).then_some(())).await;
    bob.say(&with_bob, "last").await;
    let expected = [&with_bob, &group, &with_alice];
    for device in [&phone, &laptop] {
        let list = until(device, "carol's list", |items| {
            order(items) == expected && items.iter().map(|item| item.unread).eq([1, 2, 1])
        })
        .await;
        assert_eq!(list[1].view.name.as_deref(), Some("friends"));
        assert_eq!(list[0].view.peer, Some(user("bob")));
        let last = list[0].last.as_ref().unwrap();
        assert_eq!(last.entry.sender, user("bob"));
    }
    let known = laptop.client().overview(None).await.unwrap().position;

    // What is read on one device is read on the other.
    let seen = phone.client().history(&group, None, None, None).await.unwrap().events;
    let newest = seen.last().unwrap().seq;
    phone.client().mark(&group, None, Some(newest)).await.unwrap();
    let own = laptop.find(|next| match next {
        Notification::MarksChanged(view) if view.conversation == group => Some(view.marks),
        _ => None,
    });
    assert_eq!((own.await[0].read, newest), (newest, newest));
    let changed = laptop.client().overview(Some(&known)).await.unwrap();
    assert_eq!(order(&changed.conversations), [&group], "nothing else has changed");
    assert_eq!((changed.conversations[0].unread, changed.conversations[0].read), (0, newest));

    // Pinned, muted and put away on one device, at once on the other, and over HTTP.
    let pinned = ArrangementDraft { pinned: Some(true), ..ArrangementDraft::default() };
    phone.client().arrange(&with_alice, pinned).await.unwrap();
    let told = laptop.find(|next| if let Notification::ArrangementChanged(it) = next { Some(it) } else { None }).await;
    let arrangement = Arrangement { pinned: true, ..Arrangement::default() };
    assert_eq!(told, ArrangementView { conversation: with_alice.clone(), arrangement });
    let http = cluster.http("carol", 1);
    let path = format!("/v1/conversations/{group}/arrangement");
    let arranged = http.post(&path, Some(r#"{"muted_until":4000000000000,"archived":true}"#)).await;
    let arranged: ArrangementView = arranged.read().unwrap();
    assert_eq!(arranged.arrangement.muted_until, Some(4_000_000_000_000));
    for device in [&phone, &laptop] {
        let told = device.find(|next| match next {
            Notification::ArrangementChanged(it) if it.conversation == group => Some(it),
            _ => None,
        });
        assert_eq!(told.await, arranged);
        let list = device.client().overview(None).await.unwrap().conversations;
        assert_eq!(order(&list), [&with_alice, &with_bob, &group]);
        assert!(list[2].arrangement.archived && !list[1].arrangement.archived);
    }
    let page: OverviewPage = http.get("/v1/overview?limit=2").await.read().unwrap();
    assert_eq!(order(&page.conversations), [&with_alice, &with_bob]);
    let next = page.next.unwrap();
    let page: OverviewPage = http.get(&format!("/v1/overview?limit=2&after={next}")).await.read().unwrap();
    assert_eq!((order(&page.conversations), page.next), (vec![&group], None));

    // Others' lists are others'.
    let list = until(&bob, "bob's list", |items| items.len() == 2).await;
    assert!(list.iter().all(|item| item.arrangement == Arrangement::default()), "{list:?}");
}

/// Marks, receipts and settings for clients that poll.
async fn over_http(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let alice = cluster.device("alice", 0).await;
    let group = alice.group("friends", &["bob", "carol"]).await;
    let said = alice.say(&group, "hello").await.seq;
    let (http, asking) = (cluster.http("carol", 1), cluster.http("alice", 0));
    let start: MarkPage = asking.get("/v1/marks").await.read().unwrap();
    assert!(start.conversations.is_empty());
    let path = format!("/v1/conversations/{group}/marks");
    let marked: MarkedView = http.post(&path, Some(&format!(r#"{{"read":{said}}}"#))).await.read().unwrap();
    assert_eq!((marked.delivered, marked.read), (said, said));
    let path = format!("/v1/conversations/{group}/receipts?seq={said}");
    let receipts: ReceiptPage = asking.get(&path).await.read().unwrap();
    assert_eq!((receipts.members, receipts.delivered, receipts.read), (2, 1, 1));
    let changed: MarkPage = asking.get(&format!("/v1/marks?since={}", start.position)).await.read().unwrap();
    let mark = MarkView { user: user("carol"), delivered: said, read: said };
    assert_eq!(changed.conversations, [MarksView { conversation: group, marks: vec![mark] }]);
    let set: SettingsView = http.post("/v1/settings", Some(r#"{"read_receipts":false}"#)).await.read().unwrap();
    let read: SettingsView = http.get("/v1/settings").await.read().unwrap();
    assert!(!set.read_receipts && !read.read_receipts);
}

on_every_database!(what_is_gone_is_not_unread);
on_every_database!(over_http);
on_every_database!(five_hundred_conversations_in_one_round_trip);
/// A badge counts what can still be read: not what was deleted, by itself or by a timer, whether it is read or not.
async fn what_is_gone_is_not_unread(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    let mut seqs = Vec::new();
    for said in ["one", "two", "three", "four"] {
        seqs.push(alice.say(&talk, said).await.seq);
    }
    let unread = async |count: u64| {
        wait_for(&format!("{count} unread"), PATIENCE, async || {
            let page = bob.client().overview_page(None, None, None).await.unwrap();
            let item = page.conversations.iter().find(|item| item.view.conversation == talk)?;
            (item.unread == count).then_some(())
        })
        .await;
    };
    unread(4).await;
    alice.client().delete(&talk, seqs[2]).await.unwrap();
    unread(3).await;
    bob.client().mark(&talk, None, Some(seqs[0])).await.unwrap();
    unread(2).await;
    alice.client().delete(&talk, seqs[0]).await.unwrap();
    alice.client().set_timer(&talk, 2).await.unwrap();
    let goes = alice.say(&talk, "it goes").await.seq;
    wait_for("it to go", PATIENCE, async || {
        let page = bob.client().history(&talk, None, None, None).await.unwrap().events;
        page.iter().any(|event| event.seq == goes && event.entry.change.kind() == "erased").then_some(())
    })
    .await;
    unread(2).await;
    alice.client().delete(&talk, seqs[3]).await.unwrap();
    unread(1).await;
}

/// A phone with 500 conversations starts in one round trip, and learns in one what has changed.
async fn five_hundred_conversations_in_one_round_trip(database: Db) {
    const TALKS: usize = 500;
    let cluster = Cluster::builder().database(database).set("connection.user_requests_burst", 5_000).start().await;
    let (alice, phone) = (cluster.device("alice", 0).await, cluster.device("carol", 1).await);
    let mut groups = Vec::new();
    for number in 0..TALKS {
        groups.push(alice.group(&format!("group {number}"), &["carol"]).await);
    }
    wait_for("all of them to be archived", PATIENCE, async || {
        let page = phone.client().overview_page(None, None, None).await.unwrap();
        (page.conversations.len() == TALKS).then_some(())
    })
    .await;
    let page = phone.client().overview_page(None, None, None).await.unwrap();
    assert_eq!((page.conversations.len(), page.next), (TALKS, None), "one answer");
    let said = alice.say(&groups[17], "news").await.seq;
    phone.hears(["news"]).await;
    let changed = wait_for("the change", PATIENCE, async || {
        let changed = phone.client().overview_page(Some(&page.position), None, None).await.unwrap();
        (!changed.conversations.is_empty()).then_some(changed)
    })
    .await;
    assert_eq!(order(&changed.conversations), [&groups[17]]);
    assert_eq!((changed.conversations[0].unread, changed.conversations[0].view.last_seq), (1, said));
    alice.client().remove_member(&groups[18], &user("carol")).await.unwrap();
    let gone = wait_for("the removal", PATIENCE, async || {
        let changed = phone.client().overview_page(Some(&changed.position), None, None).await.unwrap();
        (!changed.gone.is_empty()).then_some(changed.gone)
    })
    .await;
    assert_eq!(gone, [groups[18].clone()]);
}

/// Who is no member arranges nothing; tokens that are none are refused.
#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let cluster = Cluster::single().start().await;
    let (alice, mallory) = (cluster.device("alice", 0).await, cluster.device("mallory", 0).await);
    let group = alice.group("friends", &["bob"]).await;
    let refused = mallory.client().arrange(&group, ArrangementDraft::default()).await;
    assert!(
        matches!(&refused, Err(RequestError::Refused(error)) if error.code == ErrorCode::NotAMember),
        "{refused:?}"
    );
    let too_many = alice.client().overview_page(None, None, Some(501)).await;
    assert!(
        matches!(&too_many, Err(RequestError::Refused(error)) if error.limit.as_deref() == Some("overview_items_max")),
        "{too_many:?}"
    );
    let http = cluster.http("alice", 0);
    for (query, code) in [
        ("since=nonsense", ErrorCode::Malformed),
        ("after=1~2~3", ErrorCode::Malformed),
        ("since=1.AA~1.AAAA", ErrorCode::Malformed),
        ("since=1.AAAAAAAAAA~1.AAAAAAAAAA", ErrorCode::InvalidPosition),
    ] {
        let answer: Result<OverviewPage, ErrorBody> = http.get(&format!("/v1/overview?{query}")).await.read();
        assert_eq!(answer.map_err(|error| error.code).err(), Some(code), "{query}");
    }
}
