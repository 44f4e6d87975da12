//! One person of a crowd: a device that records all it receives.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use natter_checker::{Attempt, Outcome, Received, Recorder, Via};
use natter_client::{Client, Notification, SendError, Stats};
use natter_ids::{ClientId, ConversationId, DeviceId, Position, Seq, UserId};
use natter_protocol::Change;
use natter_testkit::wait_for;

use super::{Talk, latency::Latency};
use crate::{Cluster, device::PATIENCE, people::user};

pub(crate) struct Person {
    user: UserId,
    device: DeviceId,
    client: Client,
    recorder: Recorder,
    latency: Arc<Latency>,
    heard: AtomicU64,
    /// The newest entry of each conversation that has come.
    newest: Mutex<HashMap<ConversationId, Seq>>,
    caught_up: AtomicU64,
}

impl Person {
    pub fn new(cluster: &Cluster, name: &str, number: usize, recorder: Recorder, latency: Arc<Latency>) -> Self {
        let gateways = cluster.gateways().len();
        let order: Vec<_> = (0..gateways).map(|offset| (number + offset) % gateways).collect();
        let device = DeviceId::random();
        let client = cluster.client(name, &order).device(device.clone()).connect().expect("settings of a client");
        let (heard, caught_up, newest) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::default());
        Self { user: user(name), device, client, recorder, latency, heard, newest, caught_up }
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
                    if matches!(event.entry.change, Change::Message { .. }) {
                        self.heard.fetch_add(1, Relaxed);
                        event.entry.client_id.iter().for_each(|id| self.latency.heard(*id));
                    }
                    let conversation = event.conversation.clone();
                    self.newest.lock().unwrap_or_else(PoisonError::into_inner).insert(conversation, event.seq);
                    let (user, device) = (self.user.clone(), self.device.clone());
                    self.recorder.received(Received { user, device, session, via: Via::Session, event: *event });
                }
                Notification::Fatal(fatal) => panic!("{}'s client gave up: {fatal}", self.user),
                _ => {}
            }
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
        let (sender, to) = (self.user.clone(), conversation.clone());
        self.latency.said(client_id);
        self.recorder.attempt(Attempt { sender, conversation: to.clone(), client_id, text: text.clone() });
        let sent = self.client.send_with_id(to, client_id, text).await;
        let outcome = match &sent {
            Ok(accepted) => Outcome::Accepted { seq: accepted.seq },
            Err(SendError::Refused(_)) => Outcome::Refused,
            Err(_) => Outcome::Unknown,
        };
        self.recorder.outcome(client_id, outcome);
        sent.map(|accepted| accepted.seq)
    }
}
