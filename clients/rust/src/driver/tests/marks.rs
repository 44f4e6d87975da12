//! What an application is told of marks, and what its gateway is asked.

use super::*;
use crate::fake::{FakeSession, at, conversation, user};
use natter_ids::{Position, Seq};
use natter_protocol::{MarkPage, MarkView, MarkedView, MarksView, Request, RequestId, ServerFrame};

fn marks(with: &str, of: &str, delivered: Seq, read: Seq) -> MarksView {
    MarksView { conversation: conversation(with), marks: vec![MarkView { user: user(of), delivered, read }] }
}

fn told(view: MarksView) -> Notification {
    Notification::MarksChanged(view)
}

impl FakeSession {
    /// The next question about marks that were missed: its number, and since when.
    async fn asks_marks(&mut self) -> (RequestId, Option<Position>) {
        match self.request().await {
            (id, Request::Marks { since, .. }) => (id, since),
            other => panic!("{other:?} asks for no marks"),
        }
    }

    async fn answers_marks(&mut self, id: RequestId, conversations: Vec<MarksView>, position: Seq, more: bool) {
        self.send(&ServerFrame::Marks { id, page: MarkPage { conversations, position: at(position), more } }).await;
    }

    /// The next mark is stored beside what is stored already.
    async fn stores_mark(&mut self, delivered: Seq, read: Seq) -> Request {
        let (id, request) = self.request().await;
        let Request::Mark { conversation, .. } = &request else { panic!("{request:?} is no mark") };
        let marked = MarkedView { conversation: conversation.clone(), delivered, read };
        self.send(&ServerFrame::Marked { id, marked }).await;
        request
    }

    async fn note(&mut self, view: MarksView) {
        self.send(&ServerFrame::MarksChanged { marks: view }).await;
    }
}

/// The answer to a mark that the client sent by itself says how far another device has read.
#[tokio::test]
async fn what_another_device_has_read_is_told() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).receipts(true).position(at(4)).connect().unwrap();
    let (mut session, _) = gateway.session().await;
    connected(&client).await;
    session.event("bob", 9, 4).await;
    assert!(matches!(next(&client).await, Notification::Event(..)));
    let delivered = session.stores_mark(9, 7).await;
    assert_eq!(delivered, Request::Mark { conversation: conversation("bob"), delivered: Some(9), read: None });
    assert_eq!(next(&client).await, told(marks("bob", "alice", 9, 7)), "read on another device");
    session.note(marks("bob", "alice", 9, 7)).await;

    // What the application says itself is no news to it.
    client.read(&conversation("bob"), 8);
    session.stores_mark(9, 8).await;
    session.note(marks("bob", "alice", 9, 8)).await;
    session.note(marks("bob", "bob", 9, 0)).await;
    assert_eq!(next(&client).await, told(marks("bob", "bob", 9, 0)));
}

/// What the application was told by itself while its answer was on the way is not taken back by the answer.
#[tokio::test]
async fn an_answer_that_was_slower_than_a_note_tells_no_less() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).receipts(true).connect().unwrap();
    let (mut session, _) = gateway.session().await;
    connected(&client).await;
    let bob = conversation("bob");
    let asked = client.mark(&bob, None, Some(5));
    let (answer, ()) = tokio::join!(asked, async {
        let (id, _) = session.request().await;
        session.note(marks("bob", "alice", 9, 8)).await;
        let marked = MarkedView { conversation: bob.clone(), delivered: 5, read: 5 };
        session.send(&ServerFrame::Marked { id, marked }).await;
    });
    let MarkedView { delivered, read, .. } = answer.unwrap();
    assert_eq!((delivered, read), (9, 8));
    assert_eq!(next(&client).await, told(marks("bob", "alice", 9, 8)));
}

/// An answer that nobody has waited for is no reason to keep quiet.
#[tokio::test]
async fn an_answer_that_nobody_hears_is_not_learnt() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).receipts(true).connect().unwrap();
    let (mut session, _) = gateway.session().await;
    connected(&client).await;
    let bob = conversation("bob");
    let asked = async {
        let given_up = client
            .request_within(Request::Mark { conversation: bob.clone(), delivered: Some(9), read: Some(9) }, SHORT);
        assert!(given_up.await.is_err());
    };
    // The request is on the wire before its asker gives up, and answered after.
    tokio::join!(asked, async {
        let (id, _) = session.request().await;
        tokio::time::sleep(SHORT * 4).await;
        let marked = MarkedView { conversation: bob.clone(), delivered: 9, read: 9 };
        session.send(&ServerFrame::Marked { id, marked }).await;
    });
    session.note(marks("bob", "alice", 9, 9)).await;
    assert_eq!(next(&client).await, told(marks("bob", "alice", 9, 9)));
}

/// Its position is to be stored: whoever stops before reading what was missed asks for it again.
#[tokio::test]
async fn the_position_of_marks_follows_the_application() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).receipts(true).position(at(4)).marks_position(at(20)).connect().unwrap();
    let (mut session, _) = gateway.session().await;
    session.caught_up(4).await;
    let (id, since) = session.asks_marks().await;
    assert_eq!(since, Some(at(20)));
    session.answers_marks(id, vec![marks("bob", "bob", 3, 3)], 30, true).await;
    let (id, since) = session.asks_marks().await;
    assert_eq!(since, Some(at(30)), "the gateway is asked from what will reach the application");
    session.answers_marks(id, vec![marks("carol", "carol", 3, 3)], 40, false).await;
    session.note(marks("dave", "dave", 3, 3)).await;
    connected(&client).await;
    assert_eq!(next(&client).await, Notification::CaughtUp(at(4)));
    assert_eq!(client.marks_position(), Some(at(20)), "nothing has been read");
    assert_eq!(next(&client).await, told(marks("bob", "bob", 3, 3)));
    assert_eq!(client.marks_position(), Some(at(20)));
    assert_eq!(next(&client).await, told(marks("carol", "carol", 3, 3)));
    assert_eq!(client.marks_position(), Some(at(30)), "the first page is read");
    assert_eq!(next(&client).await, told(marks("dave", "dave", 3, 3)));
    assert_eq!(client.marks_position(), Some(at(40)));
}

/// What was on its way may have been answered before the loss.
#[tokio::test]
async fn a_second_loss_is_asked_about_as_well() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).receipts(true).position(at(4)).marks_position(at(20)).connect().unwrap();
    let (mut session, _) = gateway.session().await;
    session.caught_up(4).await;
    let (first, _) = session.asks_marks().await;
    session.caught_up(4).await;
    session.caught_up(4).await;
    session.answers_marks(first, Vec::new(), 30, false).await;
    let (second, since) = session.asks_marks().await;
    assert_eq!(since, Some(at(30)));
    session.answers_marks(second, Vec::new(), 31, false).await;
    session.event("bob", 5, 4).await;
    connected(&client).await;
    for _ in 0..3 {
        assert_eq!(next(&client).await, Notification::CaughtUp(at(4)));
    }
    assert!(matches!(next(&client).await, Notification::Event(..)));
    let asked = session.stores_mark(5, 0).await;
    assert!(matches!(asked, Request::Mark { .. }), "two losses are one question");
}

#[tokio::test]
async fn a_refused_watch_leaves_the_position_of_marks_alone() {
    let gateway = FakeGateway::start().await;
    let client = builder(&[&gateway]).receipts(true).position(at(4)).marks_position(at(20)).connect().unwrap();
    let (mut session, _) = gateway.session().await;
    let users = vec![user("bob")];
    let watch = async {
        let (id, _) = session.request().await;
        session.send(&ServerFrame::Presence { id, users: Vec::new() }).await;
    };
    both(client.watch_presence(&users), watch).await.0.unwrap();
    drop(session);
    let (mut session, _) = gateway.session().await;
    session.caught_up(4).await;
    let (watch, _) = session.request().await;
    session.asks_marks().await;
    session.refuse(watch, "too_large").await;
    drop(session);
    let (mut session, _) = gateway.session().await;
    session.caught_up(4).await;
    session.request().await;
    let (asked, since) = session.asks_marks().await;
    assert_eq!(since, Some(at(20)));
    // A position that is refused is none of this Natter: it begins at the present.
    session.refuse(asked, "invalid_position").await;
    let (asked, since) = session.asks_marks().await;
    assert_eq!(since, None);
    session.answers_marks(asked, Vec::new(), 3, false).await;
    session.note(marks("bob", "bob", 3, 3)).await;
    while next(&client).await != told(marks("bob", "bob", 3, 3)) {}
    assert_eq!(client.marks_position(), Some(at(3)));
}
