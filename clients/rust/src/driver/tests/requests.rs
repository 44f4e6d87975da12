//! Requests: repeated until they are answered.

use super::*;
use crate::{
    RequestError, SendError,
    fake::{conversation, user},
};
use natter_ids::ClientId;
use natter_protocol::{ErrorCode, Limits, PresenceView, Request, ServerFrame};
use std::time::Instant;

#[tokio::test]
async fn after_a_loss_a_message_is_sent_again_under_its_id() {
    let (first, second) = (FakeGateway::start().await, FakeGateway::start().await);
    let client = builder(&[&first, &second]).connect().unwrap();
    let id = ClientId::now();
    let script = async {
        let (mut session, _) = first.session().await;
        let (_, asked) = session.request().await;
        drop(session);
        let (mut session, _) = second.session().await;
        let (request, again) = session.request().await;
        assert_eq!(asked, again);
        session.accept(request, &again, 7).await;
        (session, asked)
    };
    let (sent, (_session, asked)) = both(client.send_with_id(conversation("bob"), id, "hello"), script).await;
    let Request::Send { client_id, .. } = asked else { panic!("{asked:?}") };
    let sent = sent.unwrap();
    assert_eq!((sent.client_id, client_id, sent.seq), (id, id, 7));
    assert_eq!(client.stats().repeated_requests, 1);
}

/// An answer, or a message said again elsewhere, is tried anew under its id, and waits no shorter than others.
#[tokio::test]
async fn answers_and_forwards_keep_their_ids() {
    let gateway = FakeGateway::start().await;
    let hurried = builder(&[&gateway]).send_deadline(SHORT * 10).connect().unwrap();
    let (bob, carol, id) = (conversation("bob"), conversation("carol"), ClientId::now());
    let mut session = gateway.session().await.0;
    let mentions = [user("bob")];
    let (sent, (_, first)) = both(hurried.reply_with_id(&bob, id, 3, "so be it", &mentions), session.request()).await;
    assert_eq!(sent, Err(SendError::Deadline(id)));
    let forward = hurried.forward_with_id((&bob, 3), &carol, id, true);
    let (sent, (_, asked)) = both(forward, session.request()).await;
    assert_eq!(sent, Err(SendError::Deadline(id)));
    let from = bob.clone();
    assert_eq!(asked, Request::Forward { conversation: carol, client_id: id, from, target: 3, hide_sender: true });

    let client = builder(&[&gateway]).connect().unwrap();
    let mut session = gateway.session().await.0;
    let script = async {
        let (request, again) = session.request().await;
        session.accept(request, &again, 7).await;
        again
    };
    let (sent, again) = both(client.reply_with_id(&bob, id, 3, "so be it", &mentions), script).await;
    assert_eq!((sent.unwrap().seq, &again), (7, &first));
    let Request::Send { client_id, reply_to, .. } = again else { panic!("{again:?}") };
    assert_eq!((client_id, reply_to), (id, Some(3)));
}

#[tokio::test]
async fn refusals_are_repeated_or_told() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let script = async {
        let (mut session, _) = gateway.session().await;
        let (id, asked) = session.request().await;
        let refused = Instant::now();
        session
            .send_text(format!(
                r#"{{"type":"error","id":{id},"code":"rate_limited","message":"","retry_after_ms":60}}"#
            ))
            .await;
        let (id, again) = session.request().await;
        assert_eq!(asked, again);
        assert!(refused.elapsed() >= Duration::from_millis(60), "{:?}", refused.elapsed());
        session.refuse(id, "not_a_member").await;
        session
    };
    let (sent, _session) = both(client.send(conversation("bob"), "hello"), script).await;
    let Err(SendError::Refused(error)) = sent else { panic!("{sent:?}") };
    assert_eq!(error.code, ErrorCode::NotAMember);
}

/// The gateway would end the session, and every one after it.
#[tokio::test]
async fn a_frame_too_large_is_refused_at_home() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let script = async {
        let (mut session, _) = gateway.greet().await;
        session.welcome(60_000, Limits { frame_bytes_max: 300, ..Limits::default() }).await;
        let (id, asked) = session.request().await;
        session.accept(id, &asked, 1).await;
        session
    };
    let large = client.send(conversation("bob"), "x".repeat(301));
    let small = client.send(conversation("bob"), "x");
    let ((large, small), _session) = both(async { tokio::join!(large, small) }, script).await;
    let Err(SendError::Refused(error)) = large else { panic!("{large:?}") };
    assert_eq!((error.code, error.limit.as_deref()), (ErrorCode::TooLarge, Some("frame_bytes_max")));
    small.unwrap();
}

#[tokio::test]
async fn an_answer_of_a_later_version_ends_the_request() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let script = async {
        let (mut session, _) = gateway.session().await;
        let (id, _) = session.request().await;
        session.send_text(format!(r#"{{"type":"conversation_of_later","id":{id}}}"#)).await;
        session
    };
    let bob = user("bob");
    let (opened, _session) = both(client.open_direct(&bob), script).await;
    assert_eq!(opened, Err(RequestError::UnexpectedAnswer));
}

#[tokio::test]
async fn a_watch_goes_on_in_the_next_session() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).connect().unwrap();
    let online = |online| PresenceView { user: user("bob"), online, away: false, last_seen: None };
    let users = vec![user("bob")];
    let script = async {
        let (mut session, _) = gateway.session().await;
        let (id, asked) = session.request().await;
        assert_eq!(asked, Request::WatchPresence { users: users.clone() });
        session.send(&ServerFrame::Presence { id, users: vec![online(true)] }).await;
        session.send(&ServerFrame::PresenceChanged { presence: online(false) }).await;
        session
    };
    let (watched, session) = both(client.watch_presence(&users), script).await;
    assert_eq!(watched.unwrap(), [online(true)]);
    connected(&client).await;
    assert_eq!(next(&client).await, Notification::PresenceChanged(online(false)));
    drop(session);
    disconnected(&client).await;

    let (mut session, _) = gateway.session().await;
    connected(&client).await;
    let (id, asked) = session.request().await;
    assert_eq!(asked, Request::WatchPresence { users: users.clone() });
    session.send(&ServerFrame::Presence { id, users: vec![online(true)] }).await;
    assert_eq!(next(&client).await, Notification::PresenceChanged(online(true)), "it changed in between");

    let stop = async {
        let (id, asked) = session.request().await;
        assert_eq!(asked, Request::WatchPresence { users: vec![] });
        session.send(&ServerFrame::Presence { id, users: vec![] }).await;
    };
    let (stopped, ()) = both(client.watch_presence(&[]), stop).await;
    stopped.unwrap();
    drop(session);
    let (mut session, _) = gateway.session().await;
    let send = client.send(conversation("bob"), "x");
    let (sent, ()) = both(send, async {
        let (id, asked) = session.request().await;
        session.accept(id, &asked, 1).await;
    })
    .await;
    sent.expect("the first request after the watch has ended is the message");
}

#[tokio::test]
async fn many_messages_at_once_arrive_in_order() {
    const COUNT: u64 = 2_000;
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).pipeline(64).connect().unwrap();
    let to = conversation("bob");
    let sends = futures_util::future::join_all((0..COUNT).map(|number| client.send(to.clone(), number.to_string())));
    let script = async {
        let (mut session, _) = gateway.session().await;
        for number in 0..COUNT {
            let (id, asked) = session.request().await;
            let Request::Send { text, .. } = &asked else { panic!("{asked:?}") };
            assert_eq!(text, &number.to_string());
            session.accept(id, &asked, number + 1).await;
        }
        session
    };
    let (sent, _session) = both(sends, script).await;
    assert!(sent.into_iter().zip(1..).all(|(sent, seq)| sent.unwrap().seq == seq));
}

/// A call that has begun keeps its place before a later one, also while nobody polls it.
#[tokio::test]
async fn a_later_message_never_overtakes_a_waiting_one() {
    const BEFORE: usize = 20;
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).pipeline(64).connect().unwrap();
    let (mut session, _) = gateway.session().await;
    let send = |number: usize| Box::pin(client.send(conversation("bob"), number.to_string()));
    let mut earlier: Vec<_> = (0..BEFORE).map(send).collect();
    for send in &mut earlier {
        assert!(futures_util::poll!(send).is_pending());
    }
    // By then the driver has made room for all that wait.
    let (first, asked) = session.request().await;
    session.accept(first, &asked, 1).await;
    let mut later = send(BEFORE);
    assert!(futures_util::poll!(&mut later).is_pending());
    earlier.push(later);
    let script = async {
        for number in 1..=BEFORE {
            let (id, asked) = session.request().await;
            let Request::Send { text, .. } = &asked else { panic!("{asked:?}") };
            assert_eq!(text, &number.to_string());
            session.accept(id, &asked, number as u64 + 1).await;
        }
    };
    both(futures_util::future::join_all(earlier), script).await;
}

#[tokio::test]
async fn a_gateway_that_takes_nothing_is_left() {
    let gateway = FakeGateway::start().await;
    let write_timeout = Duration::from_millis(150);
    let options = Options {
        pipeline: 256,
        write_timeout,
        backoff_min: SHORT,
        backoff_max: SHORT,
        ..Options::new(vec![gateway.url.clone()], TokenSource::fixed("token"))
    };
    let client = Client::start(options);
    let (_session, _) = gateway.session().await;
    connected(&client).await;
    let to = conversation("bob");
    let text = "x".repeat(300_000);
    let sends = futures_util::future::join_all((0..100).map(|_| client.send(to.clone(), text.as_str())));
    tokio::select! {
        _ = Box::pin(sends) => panic!("nothing was accepted"),
        (reason, _) = disconnected(&client) => assert!(matches!(reason, DisconnectReason::Lost(_)), "{reason:?}"),
    }
}
