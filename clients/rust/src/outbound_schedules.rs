//! Requests through random schedules: sessions that end anywhere, answers that are lost, come in
//! any order or put off, an application that gives up. Every message is stored once and in the
//! order of the calls, and its sender hears which number it has.
#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, VecDeque};

use natter_ids::{ClientId, ConversationId, Seq, UserId};
use natter_protocol::ErrorCode;
use proptest::{prelude::*, sample::Index};

use super::*;

#[derive(Debug, Clone)]
enum Op {
    /// The application says something in one of two conversations.
    Say(usize),
    /// The client puts the next request on the wire.
    Put,
    /// The gateway takes the oldest request and stores the message, or finds that it has.
    Take,
    /// The gateway takes the oldest request and refuses it for that many milliseconds.
    PutOff(u32),
    /// One of the answers arrives.
    Answer(Index),
    /// The connection breaks: what is on the way in either direction is gone.
    Break,
    /// The application no longer waits for one of its messages.
    GiveUp(Index),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..2_usize).prop_map(Op::Say),
        6 => Just(Op::Put),
        6 => Just(Op::Take),
        1 => (1..50_u32).prop_map(Op::PutOff),
        6 => any::<Index>().prop_map(Op::Answer),
        1 => Just(Op::Break),
        1 => any::<Index>().prop_map(Op::GiveUp),
        1 => (1..100_u64).prop_map(Op::Wait),
    ]
}

/// A message as the application knows it.
struct Said {
    client_id: ClientId,
    conversation: usize,
    answer: Option<oneshot::Receiver<Answer>>,
    heard: Option<Seq>,
}

struct Schedule {
    outbound: Outbound,
    now: Instant,
    next_id: RequestId,
    said: Vec<Said>,
    /// Requests on their way to the gateway.
    wire: VecDeque<(RequestId, ClientId)>,
    /// Answers on their way back: a number, or for how long it is put off.
    answers: Vec<(RequestId, Result<Seq, u32>)>,
    /// What the log of each conversation holds.
    logs: [Vec<ClientId>; 2],
}

fn conversations() -> [ConversationId; 2] {
    ["bob", "carol"].map(|name| ConversationId::direct(&UserId::new("alice").unwrap(), &UserId::new(name).unwrap()))
}

impl Schedule {
    fn new(pipeline: usize) -> Self {
        let (wire, answers, logs) = (VecDeque::new(), Vec::new(), [Vec::new(), Vec::new()]);
        let (outbound, now) = (Outbound::new(pipeline), Instant::now());
        Self { outbound, now, next_id: 1, said: Vec::new(), wire, answers, logs }
    }

    fn play(&mut self, op: &Op) {
        match op {
            Op::Say(conversation) => self.say(*conversation),
            Op::Put => drop(self.put()),
            Op::Take => drop(self.take()),
            Op::PutOff(ms) => {
                if let Some((id, _)) = self.wire.pop_front() {
                    self.answers.push((id, Err(*ms)));
                }
            }
            Op::Answer(which) if !self.answers.is_empty() => self.answer(which.index(self.answers.len())),
            Op::GiveUp(which) if !self.said.is_empty() => {
                let which = which.index(self.said.len());
                self.said[which].answer = None;
            }
            Op::Answer(_) | Op::GiveUp(_) => {}
            Op::Break => {
                self.wire.clear();
                self.answers.clear();
                self.outbound.session_ended();
                // Each session numbers its requests anew.
                self.next_id = 1;
            }
            Op::Wait(ms) => self.now += Duration::from_millis(*ms),
        }
    }

    fn say(&mut self, conversation: usize) {
        let (reply, answer) = oneshot::channel();
        let client_id = ClientId::now();
        let text = client_id.to_string();
        let request = Request::send(conversations()[conversation].clone(), client_id, text);
        self.outbound.push(Outstanding::new(request, Asker::Application(reply)));
        self.said.push(Said { client_id, conversation, answer: Some(answer), heard: None });
    }

    fn put(&mut self) -> bool {
        let Some(index) = self.outbound.next_ready(self.now) else { return false };
        let Some(Request::Send { client_id, text, .. }) = self.outbound.request(index) else { panic!("no message") };
        assert_eq!(*text, client_id.to_string(), "an id keeps its text");
        let (client_id, id) = (*client_id, self.next_id);
        let said = self.said.iter().find(|said| said.client_id == client_id).unwrap();
        assert_eq!(said.heard, None, "what was answered goes again");
        assert!(self.wire.iter().all(|(_, other)| *other != client_id), "a message is twice on the wire");
        self.outbound.sent(index, id);
        self.next_id += 1;
        self.wire.push_back((id, client_id));
        true
    }

    fn take(&mut self) -> bool {
        let Some((id, client_id)) = self.wire.pop_front() else { return false };
        let conversation = self.said.iter().find(|said| said.client_id == client_id).unwrap().conversation;
        let log = &mut self.logs[conversation];
        let place = log.iter().position(|stored| *stored == client_id).unwrap_or_else(|| {
            log.push(client_id);
            log.len() - 1
        });
        self.answers.push((id, Ok(place as Seq + 1)));
        true
    }

    fn answer(&mut self, which: usize) {
        let (id, answer) = self.answers.remove(which);
        match answer {
            Ok(seq) => {
                let conversation = conversations()[0].clone();
                let frame = ServerFrame::Accepted { id, conversation, client_id: None, seq, time: 0 };
                // Whoever has given up does not hear it.
                let answered = self.outbound.answer(id, frame);
                assert!(matches!(answered, Some(Answered::Done | Answered::Unheard)), "{answered:?}");
            }
            Err(ms) => {
                let error = ErrorBody::new(ErrorCode::Unavailable).retry_after_ms(ms);
                assert_eq!(self.outbound.refuse(id, error, self.now), Some(Answered::Later));
            }
        }
        self.hear();
    }

    fn hear(&mut self) {
        for said in &mut self.said {
            let Some(Ok(answer)) = said.answer.as_mut().map(oneshot::Receiver::try_recv) else { continue };
            let Ok(ServerFrame::Accepted { seq, .. }) = answer else { panic!("another answer: {answer:?}") };
            assert_eq!(said.heard.replace(seq), None, "a message is answered twice");
            assert_eq!(self.logs[said.conversation][seq as usize - 1], said.client_id, "under another's number");
            said.answer = None;
        }
    }

    /// Nothing breaks any more.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            let moved = self.put() | self.take();
            if !self.answers.is_empty() {
                self.answer(0);
            } else if !moved {
                match self.outbound.next_wake(self.now) {
                    Some(at) => self.now = at,
                    None => break,
                }
            }
        }
    }

    fn check(&self, in_order: bool) {
        let mut told = HashMap::new();
        for (place, said) in self.said.iter().enumerate() {
            told.insert(said.client_id, place);
            assert!(said.answer.is_none(), "message {place} waits for ever");
        }
        for log in &self.logs {
            let places: Vec<_> = log.iter().map(|id| told[id]).collect();
            assert!(!in_order || places.is_sorted(), "one overtook another: {places:?}");
        }
        assert_eq!(self.outbound.queue.len(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_message_is_stored_and_answered_once(ops in prop::collection::vec(op(), 1..200), pipeline in 1..4_usize) {
        let mut schedule = Schedule::new(pipeline);
        ops.iter().for_each(|op| schedule.play(op));
        schedule.finish();
        // With more than one on the wire, one that is put off is overtaken.
        let put_off = ops.iter().any(|op| matches!(op, Op::PutOff(_)));
        schedule.check(pipeline == 1 || !put_off);
    }
}
