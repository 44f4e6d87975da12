//! What people do with messages after they were said: edits, deletions, reactions, pins.

use std::time::{Duration, SystemTime};

use async_nats::jetstream;
use natter_client::RequestError;
use natter_e2e::{Cluster, Db, Device, Http, PATIENCE, user};
use natter_ids::{ClientId, ConversationId, Position, Seq};
use natter_protocol::{AcceptedView, Change, ErrorBody, ErrorCode, Event, HistoryPage, ReactionView, Request};
use natter_testkit::wait_for;

on_every_database!(changes_reach_everybody);
on_every_database!(what_is_deleted_is_nowhere);
on_every_database!(who_may_and_who_may_not);
on_every_database!(a_retry_is_the_same_change);

/// An id that was made minutes ago: the log need not recognise it any more.
pub fn old_id() -> ClientId {
    let then = SystemTime::now() - Duration::from_secs(300);
    ClientId::at(u64::try_from(then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap())
}

fn edited(target: Seq, text: &str) -> Change {
    Change::Edited { target, text: text.to_owned(), mentions: Vec::new() }
}

fn reacted(target: Seq, emoji: &str, on: bool) -> Change {
    Change::Reacted { target, emoji: emoji.to_owned(), on }
}

/// The next events that change a message, in order.
pub async fn sees(device: &Device, expected: &[Change]) -> Vec<Event> {
    let mut seen = Vec::new();
    for change in expected {
        let event = device
            .find(|next| match next {
                natter_client::Notification::Event(event, _) if event.entry.change.target().is_some() => Some(*event),
                _ => None,
            })
            .await;
        assert_eq!(event.entry.change, *change);
        seen.push(event);
    }
    seen
}

pub fn texts(page: &HistoryPage) -> Vec<&str> {
    fn text(event: &Event) -> Option<&str> {
        match &event.entry.change {
            Change::Message { text, .. } => Some(text),
            _ => None,
        }
    }
    page.events.iter().filter_map(text).collect()
}

pub fn code<T: std::fmt::Debug>(answer: Result<T, impl Into<RequestError>>) -> ErrorCode {
    match answer.map_err(Into::into) {
        Err(RequestError::Refused(error)) => error.code,
        other => panic!("not refused: {other:?}"),
    }
}

async fn change(http: &Http, of: &ConversationId, seq: Seq, what: &str, body: &str) -> Result<AcceptedView, ErrorBody> {
    http.post(&format!("/v1/conversations/{of}/messages/{seq}/{what}"), Some(body)).await.read()
}

/// History, once it holds what was accepted up to a number.
pub async fn archived(http: &Http, of: &ConversationId, upto: Seq) -> HistoryPage {
    wait_for("the archive", PATIENCE, async || {
        let all = http.history(of, "edits=true").await.ok()?;
        (all.events.last()?.seq >= upto).then_some(())
    })
    .await;
    http.history(of, "").await.unwrap()
}

/// An edit, reactions, a pin and a deletion reach both users' devices at other gateways, live; a device
/// that was away, by resuming and by polling; and history shows what came of them.
async fn changes_reach_everybody(database: Db) {
    let cluster = Cluster::builder().set("nats.partitions", 1).database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let hers = cluster.device("alice", 1).await;
    let start = bob.client().position().unwrap();
    let talk = alice.direct("bob").await;
    let first = alice.say(&talk, "teh first").await.seq;
    let second = alice.say(&talk, "the second").await.seq;

    let (a, b) = (alice.client(), bob.client());
    a.edit(&talk, first, "the first").await.unwrap();
    b.react(&talk, first, "👍", true).await.unwrap();
    b.pin(&talk, second).await.unwrap();
    let http = cluster.http("bob", 0);
    let id = ClientId::now();
    let body = format!(r#"{{"client_id":"{id}","emoji":"🥾","on":true}}"#);
    let by_post = change(&http, &talk, first, "react", &body).await.unwrap();
    assert_eq!(change(&cluster.http("bob", 1), &talk, first, "react", &body).await, Ok(by_post), "a retry elsewhere");
    a.react(&talk, first, "🥾", true).await.unwrap();
    b.react(&talk, first, "👍", false).await.unwrap();
    let last = a.delete(&talk, second).await.unwrap();

    let expected = [
        edited(first, "the first"),
        reacted(first, "👍", true),
        Change::Pinned { target: second },
        reacted(first, "🥾", true),
        reacted(first, "🥾", true),
        reacted(first, "👍", false),
        Change::Deleted { target: second },
    ];
    for device in [&alice, &hers, &bob] {
        let seen = sees(device, &expected).await;
        assert_eq!(seen[6].seq, last);
    }

    let page = archived(&http, &talk, last).await;
    assert_eq!(texts(&page), ["the first"]);
    assert_eq!(page.events[2].entry.change, Change::Erased { was: "message".to_owned() });
    assert_eq!(page.events.len(), 4, "opened, two messages, a pin: what only changes a message has no place: {page:?}");
    let state = &page.states[0];
    assert_eq!((state.seq, state.pinned, page.states.len()), (first, false, 1));
    assert_eq!(state.reactions, [ReactionView { emoji: "🥾".to_owned(), count: 2, mine: true }]);
    assert!(state.edited_at.is_some());
    assert_eq!(a.history(&talk, None, None, None).await.unwrap().events, page.events, "over the socket too");
    let told = a.history_with_edits(&talk, None, None, None).await.unwrap();
    assert_eq!((texts(&told), told.events.len()), (vec!["teh first"], 10));

    // A device that was away, resuming and polling, gets every entry in its place.
    let away = Device::connect("bob", cluster.client("bob", &[1]).position(start.clone()));
    let missed = sees(&away, &expected).await;
    let polled = cluster.http("bob", 1).backlog(Some(&start), 100).await.unwrap().events;
    assert_eq!(polled.iter().filter(|event| event.entry.change.target().is_some()).count(), missed.len());
    assert!(!polled.iter().any(|event| format!("{event:?}").contains("the second")), "{polled:?}");
}

/// Who may not, may not: on both ways, with the reason; and what is refused changes nothing.
async fn who_may_and_who_may_not(database: Db) {
    let cluster = Cluster::builder().database(database).set("nats.partitions", 1).set("connection.edit_limit_s", 2);
    let cluster = cluster.set("connection.delete_limit_s", 2).start().await;
    let (owner, bob) = (cluster.device("owner", 0).await, cluster.device("bob", 1).await);
    let (carol, mallory) = (cluster.device("carol", 0).await, cluster.device("mallory", 1).await);
    let group = owner.group("friends", &["bob", "carol"]).await;
    let early = owner.say(&group, "mine").await.seq;
    let said = bob.say(&group, "bob's").await.seq;
    let (o, b, c, m) = (owner.client(), bob.client(), carol.client(), mallory.client());

    assert_eq!(code(o.edit(&group, said, "forged").await), ErrorCode::NotAllowed, "not even the owner");
    assert_eq!(code(c.edit(&group, said, "forged").await), ErrorCode::NotAllowed);
    assert_eq!(code(c.delete(&group, said).await), ErrorCode::NotAllowed);
    assert_eq!(code(b.edit(&group, said + 1_000, "x").await), ErrorCode::NoSuchMessage);
    assert_eq!(code(b.react(&group, said, "two words", true).await), ErrorCode::Malformed);
    let long = "x".repeat(65 * 1024);
    assert_eq!(code(b.edit(&group, said, &long).await), ErrorCode::TooLarge);
    // Strangers, and who was removed, learn nothing (G8).
    for (refused, what) in [
        (code(m.edit(&group, said, "x").await), "edit"),
        (code(m.delete(&group, said).await), "delete"),
        (code(m.react(&group, said, "👍", true).await), "react"),
        (code(m.pin(&group, said).await), "pin"),
        (code(m.unpin(&group, said).await), "unpin"),
        (code(m.pinned(&group, None, None).await), "pinned"),
    ] {
        assert_eq!(refused, ErrorCode::NotAMember, "{what} by a stranger");
    }
    o.add_member(&group, &user("mallory")).await.unwrap();
    assert_eq!(code(m.react(&group, early, "👍", true).await), ErrorCode::NoSuchMessage, "said before she came");
    o.remove_member(&group, &user("carol")).await.unwrap();
    for refused in [
        code(c.react(&group, said, "👍", true).await),
        code(c.pin(&group, said).await),
        code(c.pinned(&group, None, None).await),
    ] {
        assert_eq!(refused, ErrorCode::NotAMember, "removed a moment ago");
    }
    let body = format!(r#"{{"client_id":"{}"}}"#, ClientId::now());
    for what in ["delete", "pin", "unpin"] {
        let refused = change(&cluster.http("carol", 1), &group, said, what, &body).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::NotAMember, "{what} by post");
    }

    // Only within the time; who manages the group deletes at any time, and then it is deleted for all.
    b.edit(&group, said, "bob's, edited").await.unwrap();
    let late = async || (code_of(b.edit(&group, said, "later").await) == Some(ErrorCode::TooLate)).then_some(());
    wait_for("the time to be over", PATIENCE, late).await;
    assert_eq!(code(b.delete(&group, said).await), ErrorCode::TooLate);
    o.delete(&group, said).await.unwrap();
    let last = o.delete(&group, early).await.unwrap();
    for refused in [
        code(b.edit(&group, said, "x").await),
        code(b.delete(&group, said).await),
        code(b.react(&group, said, "👍", true).await),
        code(b.pin(&group, said).await),
    ] {
        assert_eq!(refused, ErrorCode::MessageDeleted);
    }
    let page = archived(&cluster.http("bob", 0), &group, last).await;
    assert_eq!(texts(&page), [] as [&str; 0]);
    assert_eq!(page.states, []);
}

fn code_of<T>(answer: Result<T, RequestError>) -> Option<ErrorCode> {
    match answer {
        Err(RequestError::Refused(error)) => Some(error.code),
        _ => None,
    }
}

/// The same client id is one change, however late and wherever it is said again; another change under
/// it is a conflict.
async fn a_retry_is_the_same_change(database: Db) {
    let cluster = Cluster::builder().database(database).set("nats.partitions", 1).start().await;
    let (alice, elsewhere) = (cluster.device("alice", 0).await, cluster.device("alice", 1).await);
    let talk = alice.direct("bob").await;
    for client_id in [ClientId::now(), old_id()] {
        let target = alice.say(&talk, "say it once").await.seq;
        let edit = |text: &str| Request::Edit {
            conversation: talk.clone(),
            client_id,
            target,
            text: text.to_owned(),
            mentions: Vec::new(),
        };
        let first = alice.client().request(edit("edited")).await.unwrap();
        let natter_protocol::ServerFrame::Accepted { seq, time, .. } = first else { panic!("{first:?}") };
        let same = async |device: &Device, when: &str| {
            let again = device.client().request(edit("edited")).await.unwrap();
            let natter_protocol::ServerFrame::Accepted { seq: number, time: at, .. } = again else {
                panic!("{again:?}")
            };
            assert_eq!((number, at), (seq, time), "{when}");
        };
        same(&alice, "at once").await;
        same(&elsewhere, "through another gateway").await;
        assert_eq!(code(elsewhere.client().request(edit("otherwise")).await), ErrorCode::ClientIdConflict);
        let delete = alice.client().delete(&talk, target).await.unwrap();
        same(&elsewhere, "after the message was deleted").await;
        let page = archived(&cluster.http("alice", 0), &talk, delete).await;
        let edits = cluster.http("alice", 0).history(&talk, "edits=true").await.unwrap().events;
        let of_it = |event: &&Event| event.entry.client_id == Some(client_id);
        assert_eq!(edits.iter().filter(of_it).count(), 1, "{page:?}");
    }
}

/// Deleted for everybody: the text is in no stream of the log, soon, and what it was said under is
/// still recognised; devices go on over the hole that it leaves in the log.
async fn what_is_deleted_is_nowhere(database: Db) {
    let cluster = Cluster::builder().set("nats.partitions", 1).database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let start = bob.client().position().unwrap();
    let talk = alice.direct("bob").await;
    let id = old_id();
    let first = alice.say_as(&talk, id, "the secret").await;
    let request = Request::Edit {
        conversation: talk.clone(),
        client_id: old_id(),
        target: first.seq,
        text: "the secret, edited".to_owned(),
        mentions: Vec::new(),
    };
    alice.client().request(request).await.unwrap();
    assert_eq!(in_the_log(&cluster, "the secret").await, 2);
    alice.client().delete(&talk, first.seq).await.unwrap();
    let gone = async || (in_the_log(&cluster, "the secret").await == 0).then_some(());
    wait_for("the log to erase it", PATIENCE, gone).await;

    let again = alice.say_as(&talk, id, "the secret").await;
    assert_eq!(again, first, "a retry is the same message, and adds nothing");
    assert_eq!(in_the_log(&cluster, "the secret").await, 0);
    cluster.restart_everything().await;
    alice.say(&talk, "after").await;
    resumes_over_the_hole(&cluster, start, first.seq).await;
}

async fn resumes_over_the_hole(cluster: &Cluster, start: Position, erased: Seq) {
    let away = Device::connect("bob", cluster.client("bob", &[0]).position(start));
    let mut seen = Vec::new();
    loop {
        let event = away.event().await;
        let done = matches!(&event.entry.change, Change::Message { text, .. } if text == "after");
        seen.push(event);
        if done {
            break;
        }
    }
    let kinds: Vec<_> = seen.iter().map(|event| event.entry.change.kind()).collect();
    assert_eq!(kinds, ["direct_opened", "erased", "erased", "deleted", "message"]);
    assert_eq!(seen[1].seq, erased);
    assert!(seen.windows(2).all(|pair| pair[1].prev == pair[0].seq), "each links to the one before: {seen:?}");
}

/// How many entries of the log hold a text.
pub async fn in_the_log(cluster: &Cluster, text: &str) -> usize {
    let client = async_nats::connect(cluster.nats().url()).await.unwrap();
    let stream = jetstream::new(client).get_stream("CHAT-0").await.unwrap();
    let state = stream.cached_info().state.clone();
    let mut found = 0;
    for seq in state.first_sequence..=state.last_sequence {
        if let Ok(message) = stream.get_raw_message(seq).await {
            found += usize::from(String::from_utf8_lossy(&message.payload).contains(text));
        }
    }
    found
}
