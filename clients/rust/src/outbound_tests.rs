#![allow(clippy::unwrap_used)]

use natter_ids::{ClientId, ConversationId, UserId};
use natter_protocol::ErrorCode;

use super::*;

fn conversation(name: &str) -> ConversationId {
    ConversationId::direct(&UserId::new("alice").unwrap(), &UserId::new(name).unwrap())
}

fn send(outbound: &mut Outbound, to: &str, text: &str) -> oneshot::Receiver<Answer> {
    let (reply, answer) = oneshot::channel();
    let request = Request::send(conversation(to), ClientId::now(), text);
    outbound.push(Outstanding::new(request, Asker::Application(reply)));
    answer
}

/// Puts everything that may go on the wire, and returns the texts.
fn pump(outbound: &mut Outbound, now: Instant, next_id: &mut u64) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(index) = outbound.next_ready(now) {
        if let Some(Request::Send { text, .. }) = outbound.request(index) {
            texts.push(text.clone());
        }
        outbound.sent(index, *next_id);
        *next_id += 1;
    }
    texts
}

#[test]
fn one_conversation_goes_one_by_one_and_others_are_not_held_up() {
    let mut outbound = Outbound::new(1);
    let _answers = [("bob", "b1"), ("bob", "b2"), ("carol", "c1")].map(|(to, text)| send(&mut outbound, to, text));
    let (now, mut id) = (Instant::now(), 0);
    assert_eq!(pump(&mut outbound, now, &mut id), ["b1", "c1"]);
    assert_eq!(outbound.answer(0, ServerFrame::Pong { id: 0 }), Some(Answered::Done));
    assert_eq!(pump(&mut outbound, now, &mut id), ["b2"]);
    assert_eq!(outbound.answer(99, ServerFrame::Pong { id: 99 }), None);
}

#[test]
fn a_refusal_that_may_pass_holds_back_what_follows() {
    let mut outbound = Outbound::new(2);
    let _answers = ["1", "2", "3"].map(|text| send(&mut outbound, "bob", text));
    let (now, mut id) = (Instant::now(), 0);
    assert_eq!(pump(&mut outbound, now, &mut id), ["1", "2"]);
    let error = ErrorBody::new(ErrorCode::RateLimited).retry_after_ms(50);
    assert_eq!(outbound.refuse(0, error, now), Some(Answered::Later));
    assert_eq!(pump(&mut outbound, now, &mut id), [""; 0]);
    let due = outbound.next_wake(now).unwrap();
    assert!(due >= now + Duration::from_millis(50));
    assert_eq!(pump(&mut outbound, due, &mut id), ["1"]);
}

#[test]
fn no_change_overtakes_another_of_the_same_conversation() {
    let mut outbound = Outbound::new(8);
    let react = |on| {
        let (reply, answer) = oneshot::channel();
        let (conversation, client_id) = (conversation("bob"), ClientId::now());
        let request = Request::React { conversation, client_id, target: 1, emoji: "+".into(), on };
        (Outstanding::new(request, Asker::Application(reply)), answer)
    };
    let (now, mut id) = (Instant::now(), 0);
    let [(on, _first), (off, _second)] = [react(true), react(false)];
    outbound.push(on);
    outbound.push(off);
    let _last = send(&mut outbound, "bob", "after both");
    pump(&mut outbound, now, &mut id);
    assert_eq!(id, 1, "only the first is on the wire");
    outbound.refuse(0, ErrorBody::new(ErrorCode::Unavailable).retry_after_ms(1_000), now);
    assert_eq!((pump(&mut outbound, now, &mut id), id), (Vec::new(), 1));
    let due = outbound.next_wake(now).unwrap();
    pump(&mut outbound, due, &mut id);
    assert_eq!(outbound.answer(1, ServerFrame::Pong { id: 1 }), Some(Answered::Done));
    assert_eq!(pump(&mut outbound, due, &mut id), [""; 0]);
    assert_eq!(outbound.answer(2, ServerFrame::Pong { id: 2 }), Some(Answered::Done));
    assert_eq!(pump(&mut outbound, due, &mut id), ["after both"]);
}

#[test]
fn what_is_due_but_held_back_sets_no_timer() {
    let mut outbound = Outbound::new(2);
    let _answers = ["1", "2"].map(|text| send(&mut outbound, "bob", text));
    let (now, mut id) = (Instant::now(), 0);
    assert_eq!(pump(&mut outbound, now, &mut id), ["1", "2"]);
    let refused = |ms| ErrorBody::new(ErrorCode::RateLimited).retry_after_ms(ms);
    outbound.refuse(0, refused(1_000), now);
    outbound.refuse(1, refused(10), now);
    let second = outbound.next_wake(now).unwrap();
    assert!(second < now + Duration::from_millis(20));
    assert_eq!(pump(&mut outbound, second, &mut id), [""; 0], "the first one goes first");
    let first = outbound.next_wake(second).unwrap();
    assert!(first >= now + Duration::from_secs(1), "a time that has passed would be waited for again and again");
    assert_eq!(pump(&mut outbound, first, &mut id), ["1", "2"]);
}

#[test]
fn watches_go_one_by_one() {
    let mut outbound = Outbound::new(8);
    let watch = || Request::WatchPresence { users: vec![UserId::new("bob").unwrap()] };
    let (reply, _answer) = oneshot::channel();
    outbound.push(Outstanding::new(watch(), Asker::Application(reply)));
    outbound.push_first(Outstanding::new(watch(), Asker::Driver));
    let now = Instant::now();
    assert_eq!(outbound.next_ready(now), Some(0));
    outbound.sent(0, 1);
    assert_eq!(outbound.next_ready(now), None, "the second replaces the first, so it comes after it");
    let answer = ServerFrame::Presence { id: 1, users: vec![] };
    assert_eq!(outbound.answer(1, answer.clone()), Some(Answered::ForDriver(Box::new((watch(), Ok(answer))))));
    assert_eq!(outbound.next_ready(now), Some(0));
}

#[test]
fn an_answer_that_cannot_be_read_ends_the_request() {
    let mut outbound = Outbound::new(1);
    let mut answer = send(&mut outbound, "bob", "1");
    let mut id = 0;
    pump(&mut outbound, Instant::now(), &mut id);
    outbound.unreadable(0);
    assert_eq!(answer.try_recv().unwrap(), Err(RequestError::UnexpectedAnswer));
}

#[test]
fn a_lost_session_sends_again_in_the_old_order() {
    let mut outbound = Outbound::new(3);
    let mut answers = ["1", "2", "3"].map(|text| send(&mut outbound, "bob", text));
    let (now, mut id) = (Instant::now(), 0);
    assert_eq!(pump(&mut outbound, now, &mut id), ["1", "2", "3"]);
    outbound.session_ended();
    assert_eq!(outbound.answer(1, ServerFrame::Pong { id: 1 }), None, "the old session's ids are void");
    answers[1].close();
    assert_eq!(pump(&mut outbound, now, &mut id), ["1", "3"], "given up by the application: not sent again");
    outbound.fail_all(&RequestError::Closed);
    assert_eq!(answers[0].try_recv().unwrap(), Err(RequestError::Closed));
}

#[test]
fn a_final_refusal_reaches_the_application() {
    let mut outbound = Outbound::new(1);
    let mut answer = send(&mut outbound, "bob", "1");
    let (now, mut id) = (Instant::now(), 0);
    pump(&mut outbound, now, &mut id);
    let error = ErrorBody::new(ErrorCode::NotAMember);
    assert_eq!(outbound.refuse(0, error.clone(), now), Some(Answered::Done));
    assert_eq!(answer.try_recv().unwrap(), Err(RequestError::Refused(error)));
}
