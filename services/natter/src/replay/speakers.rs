//! A speaker: a user with one device, which comes and goes and keeps its position.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use anyhow::{Context, bail};
use natter_checker::{Received, Recorder, Via};
use natter_client::{Client, DisconnectReason, Notification, Stats, TokenSource};
use natter_ids::{ConversationId, DeviceId, Position, Seq, UserId};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::progress::Progress;

/// What all speakers share.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// The group that is listened to; everything else that a user receives is left out.
    pub group: ConversationId,
    pub recorder: Recorder,
    pub progress: Arc<Progress>,
}

/// How far a speaker's device is.
#[derive(Debug, Clone, Default)]
pub(super) struct Reached {
    /// Whether the session has told everything missed.
    pub caught_up: bool,
    /// The newest entry of the group.
    pub seq: Seq,
    /// Whether the client gave up.
    pub given_up: bool,
    /// Why there is no session, when one ended or none began.
    pub trouble: Option<DisconnectReason>,
}

/// Counts of what a speaker's device has been through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Times that the speaker came.
    pub connects: u64,
    /// Sessions, those after a lost connection included.
    pub sessions: u64,
    /// Entries received.
    pub received: u64,
    /// Entries received before a session had told everything missed.
    pub caught_up: u64,
    /// Entries pushed although the device had them; the client drops these.
    pub repeats: u64,
    /// Entries pushed without the one before them; the client asks again.
    pub holes: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.connects += other.connects;
        self.sessions += other.sessions;
        self.received += other.received;
        self.caught_up += other.caught_up;
        self.repeats += other.repeats;
        self.holes += other.holes;
    }
}

/// A user who says lines of the log.
#[derive(Debug)]
pub(super) struct Speaker {
    pub user: UserId,
    pub device: DeviceId,
    pub tally: Tally,
    /// In the order in which this speaker tries them.
    gateways: Vec<String>,
    ca_file: Option<std::path::PathBuf>,
    token: TokenSource,
    position: Option<Position>,
    online: Option<Online>,
    reached: watch::Sender<Reached>,
}

#[derive(Debug)]
struct Online {
    client: Arc<Client>,
    /// One task, which ends with the client, and is ended when this is dropped.
    listener: JoinSet<Tally>,
}

impl Speaker {
    pub fn new(user: UserId, gateways: Vec<String>, ca_file: Option<std::path::PathBuf>, token: TokenSource) -> Self {
        let (reached, _) = watch::channel(Reached::default());
        let device = DeviceId::random();
        Self { user, device, tally: Tally::default(), gateways, ca_file, token, position: None, online: None, reached }
    }

    /// The client, while the speaker is here.
    pub fn client(&self) -> Option<&Arc<Client>> {
        self.online.as_ref().map(|online| &online.client)
    }

    /// Comes, unless here already. The client connects in the background.
    ///
    /// # Errors
    /// An address that is none of a gateway.
    pub fn connect(&mut self, around: &Surroundings) -> anyhow::Result<()> {
        if self.online.is_some() {
            return Ok(());
        }
        self.reached.send_modify(|reached| reached.caught_up = false);
        let builder = Client::builder(self.gateways.clone(), self.token.clone());
        let builder = builder.device(self.device.clone()).position(self.position.clone()).receipts(false);
        let builder = crate::tokens::trusting(builder, self.ca_file.as_deref())?;
        let client = Arc::new(builder.connect()?);
        let listener = Listener {
            client: Arc::clone(&client),
            user: self.user.clone(),
            device: self.device.clone(),
            around: around.clone(),
            reached: self.reached.clone(),
            session: self.tally.sessions,
            tally: Tally { connects: 1, ..Tally::default() },
        };
        around.progress.online.fetch_add(1, Relaxed);
        self.online = Some(Online { client, listener: JoinSet::from_iter([listener.listen()]) });
        Ok(())
    }

    /// Goes; what the device has received is kept, and its position.
    pub async fn disconnect(&mut self, around: &Surroundings) -> anyhow::Result<()> {
        let Some(Online { client, mut listener }) = self.online.take() else { return Ok(()) };
        client.close().await;
        if let Some(tally) = listener.join_next().await {
            self.tally += tally.context("a listener broke down")?;
        }
        self.position = client.position();
        around.progress.online.fetch_sub(1, Relaxed);
        Ok(())
    }

    /// Waits until the device has caught up and has the group's entry `seq`.
    ///
    /// # Errors
    /// When that is not so by the deadline, or the client gave up.
    pub async fn reach(&self, seq: Seq, deadline: Instant) -> anyhow::Result<()> {
        let mut reached = self.reached.subscribe();
        let there = |reached: &Reached| reached.given_up || (reached.caught_up && reached.seq >= seq);
        let in_time = tokio::time::timeout_at(deadline, reached.wait_for(there)).await.is_ok();
        let Reached { caught_up, seq: newest, given_up, trouble } = self.reached.borrow().clone();
        if given_up {
            let reason = self.client().and_then(|client| client.fatal()).map(ToString::to_string);
            bail!("the client of {:?} gave up: {}", self.user, reason.unwrap_or_default());
        }
        match trouble {
            _ if in_time => Ok(()),
            Some(reason) => bail!("{:?} has no session in time: {reason:?}", self.user),
            None if caught_up => bail!("{:?} did not receive entry {seq} in time, only up to {newest}", self.user),
            None => bail!("{:?} did not catch up in time, only up to entry {newest}", self.user),
        }
    }
}

struct Listener {
    client: Arc<Client>,
    user: UserId,
    device: DeviceId,
    around: Surroundings,
    reached: watch::Sender<Reached>,
    /// Number of the device's newest session.
    session: u64,
    tally: Tally,
}

impl Listener {
    async fn listen(mut self) -> Tally {
        while let Some(notification) = self.client.next_event().await {
            self.hear(notification);
        }
        let Stats { repeats_in_session, repeats_across_sessions, holes, .. } = self.client.stats();
        self.tally.repeats = repeats_in_session + repeats_across_sessions;
        self.tally.holes = holes;
        self.tally
    }

    fn hear(&mut self, notification: Notification) {
        match notification {
            Notification::Connected(_) => {
                self.session += 1;
                self.tally.sessions += 1;
                self.reached.send_modify(|reached| (reached.caught_up, reached.trouble) = (false, None));
            }
            Notification::CaughtUp(_) => self.reached.send_modify(|reached| reached.caught_up = true),
            Notification::Event(event, _) if event.conversation == self.around.group => {
                let seq = event.seq;
                let (user, device) = (self.user.clone(), self.device.clone());
                let via = Via::Session;
                self.around.recorder.received(Received { user, device, session: self.session, via, event: *event });
                self.around.progress.delivered.fetch_add(1, Relaxed);
                self.tally.received += 1;
                if !self.reached.borrow().caught_up {
                    self.tally.caught_up += 1;
                }
                // Only after it was recorded: whoever waits for it may look at the record.
                self.reached.send_modify(|reached| reached.seq = reached.seq.max(seq));
            }
            Notification::Fatal(_) => self.reached.send_modify(|reached| reached.given_up = true),
            Notification::Disconnected { reason, .. } => {
                self.reached.send_modify(|reached| reached.trouble = Some(reason));
            }
            // It began without one, and a hole would show what it lost.
            Notification::PositionRefused => self.reached.send_modify(|reached| reached.given_up = true),
            Notification::Event(..)
            | Notification::PresenceChanged(_)
            | Notification::MarksChanged(_)
            | Notification::SettingsChanged(_)
            | Notification::ArrangementChanged(_)
            | Notification::Typing { .. }
            | Notification::Unblocked { .. }
            | Notification::ResumeDelayed(_) => {}
        }
    }
}
