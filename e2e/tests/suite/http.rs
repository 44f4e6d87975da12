//! The HTTP API, for clients that poll.

use hyper::Method;
use natter_e2e::{Cluster, Db, Device, Http, user};
use natter_ids::{ClientId, ConversationId, Position};
use natter_protocol::{Change, ConversationPage, ErrorCode, Event, MemberPage};
use natter_testkit::wait_for;

on_every_database!(polling_instead_of_a_socket);

fn texts(events: &[Event]) -> Vec<&str> {
    let text = |event| match event {
        &Event { entry: natter_protocol::Entry { change: Change::Message { ref text, .. }, .. }, .. } => {
            Some(text.as_str())
        }
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

/// A client without a socket learns where the present is, then pulls what it misses page by page
/// to the end, from any gateway; nothing is repeated.
async fn polling_instead_of_a_socket(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let alice = cluster.device("alice", 0).await;
    let talk = alice.direct("bob").await;
    alice.say(&talk, "before").await;
    archived(&cluster.http("alice", 0), &talk, "before").await;
    let present = cluster.http("bob", 0).backlog(None, 10).await.unwrap();
    assert_eq!((present.events.len(), present.more), (0, false), "without a position the present begins");

    let said: Vec<_> = (0..25).map(|number| format!("message {number}")).collect();
    for text in &said {
        alice.say(&talk, text).await;
    }
    archived(&cluster.http("alice", 0), &talk, "message 24").await;
    let (mut position, mut pulled, mut pages) = (present.position, Vec::new(), 0);
    loop {
        let page = cluster.http("bob", pages % 2).backlog(Some(&position), 10).await.unwrap();
        assert!(page.events.len() <= 10, "pages are as small as asked");
        (position, pages) = (page.position, pages + 1);
        pulled.extend(page.events);
        if !page.more {
            break;
        }
    }
    assert_eq!(texts(&pulled), said);
    assert!(pages >= 3, "{pages} pages");
    let again = cluster.http("bob", 1).backlog(Some(&position), 10).await.unwrap();
    assert_eq!((again.events.len(), again.more), (0, false), "nothing is repeated");

    // A socket goes on where the pulling stopped.
    let bob = Device::connect("bob", cluster.client("bob", &[1]).position(position));
    bob.caught_up().await;
    alice.say(&talk, "live").await;
    bob.hears(["live"]).await;
}

/// Waits until the newest entry of a conversation is this text.
async fn archived(http: &Http, talk: &ConversationId, text: &str) {
    wait_for(&format!("{text:?} to be archived"), natter_e2e::PATIENCE, async || {
        let newest = http.history(talk, "limit=1").await.ok()?.events;
        (texts(&newest) == [text]).then_some(())
    })
    .await;
}

/// What is said over HTTP reaches sockets, and a retry with the same id gets the same answer.
#[tokio::test(flavor = "multi_thread")]
async fn saying_things() {
    let cluster = Cluster::builder().start().await;
    let bob = cluster.device("bob", 1).await;
    let talk = bob.direct("alice").await;
    let id = ClientId::now();
    let first = cluster.http("alice", 0).say(&talk, id, "by post").await.unwrap();
    assert_eq!((&first.conversation, first.client_id), (&talk, id));
    bob.hears(["by post"]).await;
    assert_eq!(cluster.http("alice", 1).say(&talk, id, "by post").await, Ok(first), "a retry elsewhere");
    let conflict = cluster.http("alice", 1).say(&talk, id, "other words").await;
    assert_eq!(conflict.map_err(|error| error.code), Err(ErrorCode::ClientIdConflict));
}

/// History is read in pages from both ends, and both ways give the same.
#[tokio::test(flavor = "multi_thread")]
async fn history_both_ways() {
    let cluster = Cluster::single().start().await;
    let alice = cluster.device("alice", 0).await;
    let talk = alice.direct("bob").await;
    for number in 0..11 {
        alice.say(&talk, &format!("message {number}")).await;
    }
    let http = cluster.http("bob", 0);
    archived(&http, &talk, "message 10").await;
    let all = http.history(&talk, "after=0").await.unwrap();
    assert_eq!((all.events.len(), all.more), (12, false), "the beginning and eleven messages");
    assert!(all.events.windows(2).all(|pair| pair[1].prev == pair[0].seq), "each links to the one before");

    let forwards = pages(&http, &talk, "after", |page| page.last().map(|event| event.seq)).await;
    assert_eq!(forwards, all.events);
    let backwards = pages(&http, &talk, "before", |page| page.first().map(|event| event.seq)).await;
    let mut sorted = backwards.clone();
    sorted.sort_by_key(|event| event.seq);
    assert_eq!(sorted, all.events);
    assert_eq!(backwards[0].seq, all.events[8].seq, "the newest page is the first, each oldest first");
}

/// All pages in one direction, four entries at a time.
async fn pages(http: &Http, talk: &ConversationId, bound: &str, next: impl Fn(&[Event]) -> Option<u64>) -> Vec<Event> {
    let (mut read, mut at) = (Vec::new(), if bound == "after" { Some(0) } else { None });
    loop {
        let bounds = at.map(|seq| format!("{bound}={seq}&")).unwrap_or_default();
        let page = http.history(talk, &format!("{bounds}limit=4")).await.unwrap();
        assert!(page.events.len() <= 4);
        at = next(&page.events);
        read.extend(page.events);
        if !page.more {
            return read;
        }
    }
}

/// Conversations and members are listed as over the socket.
#[tokio::test(flavor = "multi_thread")]
async fn lists() {
    let cluster = Cluster::single().start().await;
    let alice = cluster.device("alice", 0).await;
    let group = alice.group("listed", &["bob", "carol"]).await;
    let talk = alice.direct("bob").await;
    let http = cluster.http("bob", 0);
    let page = wait_for("both conversations", natter_e2e::PATIENCE, async || {
        let page: ConversationPage = http.get("/v1/conversations").await.read().unwrap();
        (page.conversations.len() == 2).then_some(page)
    })
    .await;
    let names: Vec<_> = page.conversations.iter().map(|view| (view.conversation.clone(), view.peer.clone())).collect();
    assert_eq!(names, [(talk.clone(), Some(user("alice"))), (group.clone(), None)], "by id, direct ones first");
    let page: ConversationPage = http.get(&format!("/v1/conversations?after={talk}&limit=1")).await.read().unwrap();
    assert_eq!((page.conversations[0].conversation.clone(), page.more), (group.clone(), false));
    let page: MemberPage = http.get(&format!("/v1/conversations/{group}/members?after=alice")).await.read().unwrap();
    assert_eq!(page.members.iter().map(|member| member.user.as_str()).collect::<Vec<_>>(), ["bob", "carol"]);
}

/// What a path names is checked before anything is done: who and what there cannot be is `malformed` with a sentence
/// that says what there can be, however it is encoded; what is no text is nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn odd_paths_are_refused() {
    let cluster = Cluster::single().start().await;
    let http = cluster.http("alice", 0);
    let a_user = "The path: a user id is UTF-8 text of 1 to 128 bytes without control characters.";
    let a_device = "The path: such an id is 1 to 64 letters, digits, `-` or `_`.";
    let a_conversation = "The path: a conversation id is `d` or `g` and 22 letters, digits, `-` or `_`.";
    let long = "x".repeat(129);
    let odd = [
        (Method::PUT, "/v1/blocks/a%00b".to_owned(), a_user),
        (Method::PUT, "/v1/blocks/a%0Ab".to_owned(), a_user),
        (Method::PUT, "/v1/blocks/%C2%85".to_owned(), a_user),
        (Method::PUT, format!("/v1/blocks/{long}"), a_user),
        (Method::DELETE, "/v1/blocks/%7F".to_owned(), a_user),
        (Method::DELETE, "/v1/devices/two%20words".to_owned(), a_device),
        (Method::DELETE, "/v1/devices/%1B".to_owned(), a_device),
        (Method::GET, "/v1/conversations/nonsense/history".to_owned(), a_conversation),
        (Method::GET, "/v1/conversations/d%00/members".to_owned(), a_conversation),
        (Method::POST, "/v1/conversations/d..%2F../messages".to_owned(), a_conversation),
    ];
    for (method, path, said) in odd {
        let reply = http.request(method, &path, None).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.body);
        let refused = reply.read::<serde_json::Value>().unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::Malformed, said), "{path}");
    }
    for (method, path) in [(Method::PUT, "/v1/blocks/%FF"), (Method::DELETE, "/v1/devices/%C0")] {
        let reply = http.request(method, path, None).await;
        let refused = reply.read::<serde_json::Value>().map_err(|error| error.code);
        assert_eq!((reply.status, refused.unwrap_err()), (404, ErrorCode::NotFound), "{path}");
    }
    let blocks = http.get("/v1/blocks").await;
    assert_eq!(blocks.body, r#"{"blocks":[]}"#, "nobody is blocked by it");
    // What is odd only to look at is somebody.
    let reply = http.request(Method::PUT, "/v1/blocks/b%C3%B6b%2Fb%20%25", None).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.body.contains(r#""user":"böb/b %""#), "{}", reply.body);
}

/// Every refusal is JSON with a code, its status, and Retry-After where a retry helps.
#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let cluster = Cluster::single().set("connection.limits.message_bytes_max", 1_000).start().await;
    let alice = cluster.device("alice", 0).await;
    let talk = alice.direct("bob").await;
    let http = cluster.http("alice", 0);
    let code = |error: natter_protocol::ErrorBody| (error.code, error.limit);

    let long = http.say(&talk, ClientId::now(), &"x".repeat(1_001)).await.map_err(code);
    assert_eq!(long, Err((ErrorCode::TooLarge, Some("message_bytes_max".to_owned()))));
    let fits = http.say(&talk, ClientId::now(), &"x".repeat(1_000)).await;
    assert!(fits.is_ok(), "{fits:?}");
    let future = Position::from_seqs([1 << 40, 0, 0, 0]);
    for position in [Position::from_seqs([1]), future] {
        let refused = http.backlog(Some(&position), 10).await.map_err(|error| error.code);
        assert_eq!(refused, Err(ErrorCode::InvalidPosition), "{position}");
    }
    for (path, expected) in [
        ("/v1/nothing", ErrorCode::NotFound),
        ("/", ErrorCode::NotFound),
        ("/v1/tickets", ErrorCode::NotFound),
        ("/v1/conversations/nonsense/history", ErrorCode::Malformed),
        ("/v1/backlog?position=nonsense", ErrorCode::Malformed),
        ("/v1/backlog?limit=x", ErrorCode::Malformed),
        ("/v1/backlog?limit=100000", ErrorCode::TooLarge),
        ("/v1/conversations?limit=0", ErrorCode::Malformed),
    ] {
        let refused = http.get(path).await.read::<serde_json::Value>().map_err(|error| error.code);
        assert_eq!(refused.unwrap_err(), expected, "{path}");
    }
    for body in ["", "nonsense", "{}", r#"{"client_id":"x","text":"y"}"#] {
        let refused = http.post(&format!("/v1/conversations/{talk}/messages"), Some(body)).await;
        assert_eq!(refused.read::<serde_json::Value>().unwrap_err().code, ErrorCode::Malformed, "{body:?}");
    }
    let nobody = Http::new(cluster.gateway(0).address());
    for path in ["/v1/backlog", "/v1/conversations", "/v1/presence?user=bob"] {
        let refused = nobody.get(path).await;
        assert_eq!(refused.read::<serde_json::Value>().unwrap_err().code, ErrorCode::Unauthenticated, "{path}");
    }
}
