//! One person of a crowd: a device that records all it receives.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use natter_checker::{Attempt, Mark, Outcome, Reader, Received, Recorder, Span, Via};
use natter_client::{Client, Notification, RequestError, SendError, Stats};
use natter_ids::{ClientId, ConversationId, DeviceId, Position, Seq, UserId};
use natter_protocol::{Change, Event, MarkView, MarkedView, MarksView, Request, ServerFrame};
use natter_testkit::wait_for;

use super::{Habits, Talk, latency::Latency};
use crate::{Cluster, device::PATIENCE, people::user};

/// Messages of a conversation that people come back to.
const RECENT: usize = 30;

pub(crate) struct Person {
    user: UserId,
    device: DeviceId,
    client: Client,
    recorder: Recorder,
    latency: Arc<Latency>,
    heard: AtomicU64,
    /// The newest entry of each conversation that has come.
    newest: Mutex<HashMap<ConversationId, Seq>>,
    /// The newest messages of each conversation, and who said them.
    recent: Mutex<HashMap<ConversationId, VecDeque<(Seq, UserId)>>>,
    /// Since which entry those are members who were added.
    added: Mutex<HashMap<(ConversationId, UserId), Seq>>,
    /// How far the person has come in each conversation, as was told by itself.
    told: Mutex<HashMap<ConversationId, (Seq, Seq)>>,
    caught_up: AtomicU64,
}

impl Person {
    pub fn new(
        cluster: &Cluster,
        (name, number): (&str, usize),
        habits: Habits,
        recorder: Recorder,
        latency: Arc<Latency>,
    ) -> Self {
        let gateways = cluster.gateways().len();
        let order: Vec<_> = (0..gateways).map(|offset| (number + offset) % gateways).collect();
        let device = DeviceId::random();
        let client = cluster.client(name, &order).device(device.clone()).receipts(habits == Habits::All);
        Self {
            user: user(name),
            device,
            client: client.connect().expect("settings of a client"),
            recorder,
            latency,
            heard: AtomicU64::new(0),
            newest: Mutex::default(),
            recent: Mutex::default(),
            added: Mutex::default(),
            told: Mutex::default(),
            caught_up: AtomicU64::new(0),
        }
    }

    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// How many messages have come.
    pub fn heard(&self) -> u64 {
        self.heard.load(Relaxed)
    }

    /// Whether everything up to these entries has come, one for each conversation; those of others
    /// do not count.
    pub fn has_heard(&self, talks: &[Talk], upto: &[Seq]) -> bool {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = talks.iter().zip(upto).filter(|(talk, _)| talk.members.contains(&self.user));
        own.all(|(talk, upto)| newest.get(&talk.conversation).is_some_and(|seq| seq >= upto))
    }

    /// The newest entry that has come of a conversation.
    pub fn newest_of(&self, conversation: &ConversationId) -> Option<Seq> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).get(conversation).copied()
    }

    /// The newest messages that have come of a conversation and that nobody has deleted.
    pub fn recent(&self, conversation: &ConversationId) -> Vec<(Seq, UserId)> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.get(conversation).into_iter().flatten().cloned().collect()
    }

    /// Where the device is, once it has caught up.
    pub fn position(&self) -> Option<Position> {
        self.client.position()
    }

    pub fn stats(&self) -> Stats {
        self.client.stats()
    }

    pub async fn caught_up(&self) {
        let done = async || (self.caught_up.load(Relaxed) > 0).then_some(());
        wait_for(&format!("{} to be caught up", self.user), PATIENCE, done).await;
    }

    /// Takes leave; [`Person::receive`] ends.
    pub async fn close(&self) {
        self.client.close().await;
    }

    /// Records everything that comes, to the end.
    pub async fn receive(self: std::sync::Arc<Self>) {
        let mut session = 0;
        while let Some(next) = self.client.next_event().await {
            match next {
                Notification::Connected(_) => session += 1,
                Notification::CaughtUp(_) => drop(self.caught_up.fetch_add(1, Relaxed)),
                Notification::Event(event, _) => {
                    self.learn(&event);
                    let conversation = event.conversation.clone();
                    self.newest.lock().unwrap_or_else(PoisonError::into_inner).insert(conversation, event.seq);
                    let (user, device) = (self.user.clone(), self.device.clone());
                    self.recorder.received(Received { user, device, session, via: Via::Session, event: *event });
                }
                Notification::MarksChanged(marks) => self.is_told(&marks),
                Notification::Fatal(fatal) => panic!("{}'s client gave up: {fatal}", self.user),
                _ => {}
            }
        }
    }

    fn learn(&self, event: &Event) {
        let Event { conversation, seq, entry, .. } = event;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = recent.entry(conversation.clone()).or_default();
        match &entry.change {
            Change::Message { .. } => {
                self.heard.fetch_add(1, Relaxed);
                entry.client_id.iter().for_each(|id| self.latency.heard(*id));
                recent.push_back((*seq, entry.sender.clone()));
                if recent.len() > RECENT {
                    recent.pop_front();
                }
            }
            Change::Deleted { target } => recent.retain(|(seq, _)| seq != target),
            // The host of a group is told of all that changes its members, and so knows from when to when.
            Change::MemberAdded { user } if entry.sender == self.user => {
                let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
                let from = *added.entry((conversation.clone(), user.clone())).or_insert(*seq);
                self.recorder.member(Span { user: user.clone(), conversation: conversation.clone(), from, to: None });
            }
            Change::MemberRemoved { user } if entry.sender == self.user => {
                let of = (conversation.clone(), user.clone());
                let from = self.added.lock().unwrap_or_else(PoisonError::into_inner).remove(&of);
                if let (Some(from), (conversation, user)) = (from, of) {
                    self.recorder.member(Span { user, conversation, from, to: Some(*seq) });
                }
            }
            _ => {}
        }
    }

    fn is_told(&self, marks: &MarksView) {
        for mark in &marks.marks {
            if mark.user == self.user {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                let told = told.entry(marks.conversation.clone()).or_default();
                *told = (told.0.max(mark.delivered), told.1.max(mark.read));
            }
            self.recorder.mark(seen_by(&self.user, &self.device, false, &marks.conversation, mark));
        }
    }

    pub async fn create_group(&self, name: &str, members: &[UserId]) -> (ConversationId, Seq) {
        let created = self.client.create_group(name, members).await;
        let created = created.unwrap_or_else(|error| panic!("{} creates a group: {error}", self.user));
        (created.conversation, created.last_seq)
    }

    pub async fn open_direct(&self, peer: &UserId) -> (ConversationId, Seq) {
        let opened = self.client.open_direct(peer).await;
        let opened = opened.unwrap_or_else(|error| panic!("{} opens a conversation: {error}", self.user));
        (opened.conversation, opened.last_seq)
    }

    /// Says something and records it; waits through every outage.
    pub async fn say(&self, conversation: &ConversationId, text: String) -> Result<Seq, SendError> {
        let client_id: ClientId = self.client.new_client_id();
        self.latency.said(client_id);
        self.attempts(conversation, client_id, Change::message(text.clone()));
        let sent = self.client.send_with_id(conversation.clone(), client_id, text).await;
        let outcome = match &sent {
            Ok(accepted) => Outcome::Accepted { seq: accepted.seq },
            Err(SendError::Refused(_)) => Outcome::Refused,
            Err(_) => Outcome::Unknown,
        };
        self.recorder.outcome(client_id, outcome);
        sent.map(|accepted| accepted.seq)
    }

    fn attempts(&self, conversation: &ConversationId, client_id: ClientId, change: Change) {
        let (sender, conversation) = (self.user.clone(), conversation.clone());
        self.recorder.attempt(Attempt { sender, conversation, client_id, change });
    }

    /// Changes a message and records it.
    pub async fn change(&self, conversation: &ConversationId, change: Change) -> Result<(), RequestError> {
        let client_id = self.client.new_client_id();
        self.attempts(conversation, client_id, change.clone());
        let answer = self.client.request(asks_for(conversation.clone(), client_id, change)).await;
        let outcome = match &answer {
            Ok(ServerFrame::Accepted { seq, .. }) => Outcome::Accepted { seq: *seq },
            Err(RequestError::Refused(_)) => Outcome::Refused,
            _ => Outcome::Unknown,
        };
        self.recorder.outcome(client_id, outcome);
        answer.map(drop)
    }

    /// Says that everything that has come of a conversation is read, and records it.
    pub async fn reads(&self, conversation: &ConversationId) -> Result<(), RequestError> {
        let Some(read) = self.newest_of(conversation) else { return Ok(()) };
        self.recorder.reads(Reader { user: self.user.clone(), conversation: conversation.clone(), read });
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).get(conversation).copied();
        let before = told.unwrap_or_default();
        let MarkedView { delivered, read, .. } = self.client.mark(conversation, None, Some(read)).await?;
        let mark = MarkView { user: self.user.clone(), delivered, read };
        // What came by itself before it was asked may not be undone. What came after has no order with the answer:
        // two tasks take them in.
        let fell = delivered < before.0 || read < before.1;
        let asks = DeviceId::new(format!("{}-asks", self.device)).expect("a longer id");
        let device = if fell { &self.device } else { &asks };
        self.recorder.mark(seen_by(&self.user, device, true, conversation, &mark));
        Ok(())
    }

    pub async fn add(&self, group: &ConversationId, user: &UserId) -> Result<Seq, RequestError> {
        self.client.add_member(group, user).await
    }

    pub async fn remove(&self, group: &ConversationId, user: &UserId) -> Result<Seq, RequestError> {
        self.client.remove_member(group, user).await
    }
}

/// A mark as a device is told of it.
pub(super) fn seen_by(
    told: &UserId,
    device: &DeviceId,
    asked: bool,
    conversation: &ConversationId,
    MarkView { user, delivered, read }: &MarkView,
) -> Mark {
    Mark {
        told: told.clone(),
        device: device.clone(),
        asked,
        user: user.clone(),
        conversation: conversation.clone(),
        delivered: *delivered,
        read: *read,
    }
}

fn asks_for(conversation: ConversationId, client_id: ClientId, change: Change) -> Request {
    match change {
        Change::Edited { target, text, mentions } => Request::Edit { conversation, client_id, target, text, mentions },
        Change::Deleted { target } => Request::Delete { conversation, client_id, target },
        Change::Reacted { target, emoji, on } => Request::React { conversation, client_id, target, emoji, on },
        other => panic!("nobody in the crowd makes a {}", other.kind()),
    }
}
