//! One of the pair: a device at one gateway.

use std::{path::PathBuf, time::Duration};

use futures_util::FutureExt;
use natter_client::{Client, DisconnectReason, Fatal, Notification, RequestError, SendError, TokenSource};
use natter_ids::{ConversationId, DeviceId, Position, UserId};
use natter_protocol::Change;
use tokio::time::{Instant, timeout};

use super::{
    Args,
    ledger::Ledger,
    stage::{Failure, Stage},
};
use crate::tokens;

/// The canary is one client: it may try again soon.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Faults that wait to be told.
const FAULTS_MAX: usize = 64;

/// How far the session has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// There is none, and why, when that is known.
    Away(Option<String>),
    /// It has begun; what was missed is still on its way, and what that waits for.
    Greeted(Option<String>),
    Live,
}

/// A user's device.
pub struct Device {
    pub user: UserId,
    peer: UserId,
    pub gateway: String,
    token: TokenSource,
    ca_file: Option<PathBuf>,
    limit: Duration,
    id: DeviceId,
    client: Option<Client>,
    state: State,
    /// Where the device stopped, while there is no client.
    position: Option<Position>,
    repeats: u64,
    /// What the other one sends here.
    pub ledger: Ledger,
    faults: Vec<Failure>,
}

impl Device {
    /// The first of the users, who writes to the second; `gateway` is where.
    pub fn new(users: [&UserId; 2], gateway: String, token: TokenSource, args: &Args, ledger: Ledger) -> Self {
        let [user, peer] = users.map(Clone::clone);
        Self {
            user,
            peer,
            gateway,
            token,
            ca_file: args.ca_file.clone(),
            limit: args.timeout,
            id: DeviceId::random(),
            client: None,
            state: State::Away(None),
            position: None,
            repeats: 0,
            ledger,
            faults: Vec::new(),
        }
    }

    /// Begins to connect, if there is no client; whether it began now.
    fn begin(&mut self) -> Result<bool, Failure> {
        if self.client.is_some() {
            return Ok(false);
        }
        let builder = Client::builder([self.gateway.clone()], self.token.clone())
            .device(self.id.clone())
            .position(self.position.clone())
            .receipts(false)
            .connect_timeout(self.limit)
            .send_deadline(self.limit)
            .request_timeout(self.limit)
            .backoff(BACKOFF.0, BACKOFF.1);
        let built = tokens::trusting(builder, self.ca_file.as_deref()).and_then(|builder| Ok(builder.connect()?));
        self.client = Some(built.map_err(|error| self.failure(Stage::Connect, format!("{error:#}")))?);
        (self.state, self.repeats) = (State::Away(None), 0);
        Ok(true)
    }

    /// Waits until a session has begun and everything missed has come. Returns how long the
    /// session took to begin, when it was asked for now.
    ///
    /// # Errors
    /// The stage that did not pass in time.
    pub async fn settle(&mut self) -> Result<Option<Duration>, Failure> {
        let (fresh, began) = (self.begin()?, Instant::now());
        self.catch_up();
        let mut greeted = None;
        while self.state != State::Live {
            if greeted.is_none() && matches!(self.state, State::Greeted(_)) {
                greeted = Some(began.elapsed());
            }
            match timeout(self.limit.saturating_sub(began.elapsed()), self.next()).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => return Err(failure),
                Err(_) => return Err(self.not_live()),
            }
        }
        Ok(fresh.then(|| greeted.unwrap_or_else(|| began.elapsed())))
    }

    fn not_live(&self) -> Failure {
        let within = format!("within {}", humantime::format_duration(self.limit));
        let gateway = &self.gateway;
        match &self.state {
            State::Away(None) => self.failure(Stage::Connect, format!("{gateway} did not answer {within}")),
            State::Away(Some(why)) => self.failure(Stage::Connect, format!("{gateway}: no session {within}: {why}")),
            State::Greeted(None) => {
                self.failure(Stage::Resumed, format!("{gateway} did not bring what was missed {within}"))
            }
            State::Greeted(Some(what)) => {
                self.failure(Stage::Resumed, format!("{gateway} waits for {what} and brought nothing {within}"))
            }
            State::Live => self.failure(Stage::Resumed, "the session is live"),
        }
    }

    /// Leaves, and remembers where it stopped.
    pub async fn leave(&mut self) {
        self.catch_up();
        if let Some(client) = self.client.take() {
            self.position = client.position();
            client.close().await;
        }
        self.state = State::Away(None);
    }

    /// Finds the conversation with the other one.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub async fn open(&self) -> Result<ConversationId, Failure> {
        let fail = |said: String| {
            self.failure(Stage::Connect, format!("{}: the conversation cannot be opened: {said}", self.gateway))
        };
        let Some(client) = &self.client else { return Err(fail("there is no session".to_owned())) };
        let opened = client.open_direct(&self.peer).await;
        opened.map(|view| view.conversation).map_err(|error| fail(said(&error)))
    }

    /// Sends to the other one, and waits until the log has it.
    ///
    /// # Errors
    /// Why it was not accepted.
    pub async fn say(&self, conversation: &ConversationId, text: String) -> Result<(), Failure> {
        let fail = |said: String| self.failure(Stage::Accepted, format!("{}: {said}", self.gateway));
        let Some(client) = &self.client else { return Err(fail("there is no session".to_owned())) };
        match client.send(conversation.clone(), text).await {
            Ok(_) => Ok(()),
            Err(SendError::Deadline(_)) => {
                Err(fail(format!("not accepted within {}", humantime::format_duration(self.limit))))
            }
            Err(error) => Err(fail(error.to_string())),
        }
    }

    /// Waits until a message of the other one has come.
    pub async fn hear(&mut self, number: u64) -> Result<(), Failure> {
        while !self.ledger.has_heard(number) {
            self.next().await?;
        }
        Ok(())
    }

    /// Takes what has come already.
    pub fn catch_up(&mut self) {
        while let Some(client) = &self.client {
            let Some(Some(notification)) = client.next_event().now_or_never() else { break };
            if let Err(failure) = self.take(notification) {
                self.note(failure);
            }
        }
        let repeats = self.client.as_ref().map_or(0, |client| client.stats().repeats_in_session);
        if repeats > self.repeats {
            self.note(self.failure(Stage::Double, format!("{} pushed an event twice in one session", self.gateway)));
        }
        self.repeats = repeats;
    }

    /// What was wrong with what came, each told once.
    pub fn faults(&mut self) -> Vec<Failure> {
        self.catch_up();
        std::mem::take(&mut self.faults)
    }

    async fn next(&mut self) -> Result<(), Failure> {
        let next = match &self.client {
            Some(client) => client.next_event().await,
            None => None,
        };
        match next {
            Some(notification) => self.take(notification),
            None => Err(self.gone()),
        }
    }

    /// The client has ended; the next round makes a new one.
    fn gone(&mut self) -> Failure {
        let why = match self.client.take().and_then(|client| client.fatal().cloned()) {
            Some(Fatal::Refused(error)) => error.to_string(),
            Some(fatal) => fatal.to_string(),
            None => "the client has ended".to_owned(),
        };
        self.state = State::Away(None);
        self.failure(Stage::Connect, format!("{}: {why}", self.gateway))
    }

    fn take(&mut self, notification: Notification) -> Result<(), Failure> {
        match notification {
            Notification::Connected(info) if info.user != self.user => {
                let said = format!("the token names `{}`, and --pair `{}`", info.user, self.user);
                (self.client, self.state) = (None, State::Away(None));
                return Err(self.failure(Stage::Connect, said));
            }
            Notification::Connected(_) => self.state = State::Greeted(None),
            Notification::CaughtUp(_) => self.state = State::Live,
            Notification::ResumeDelayed(what) => self.state = State::Greeted(Some(what)),
            Notification::Event(event, _) => {
                if let Change::Message { text, .. } = event.entry.change {
                    self.hears(&text);
                }
            }
            Notification::PositionRefused => {
                self.ledger.forget();
                let said = format!("{} does not know the position: was Natter restored from a backup?", self.gateway);
                self.note(self.failure(Stage::Lost, said));
            }
            Notification::Disconnected { reason, .. } => self.state = State::Away(Some(why(&reason))),
            Notification::PresenceChanged(_)
            | Notification::Typing { .. }
            | Notification::Unblocked { .. }
            | Notification::MarksChanged(_)
            | Notification::SettingsChanged(_)
            | Notification::ArrangementChanged(_) => {}
            Notification::Fatal(_) => return Err(self.gone()),
        }
        Ok(())
    }

    fn hears(&mut self, text: &str) {
        for (stage, number) in self.ledger.hears(text) {
            let said = match stage {
                Stage::Lost => format!("{}: message {number} of {} was left out", self.gateway, self.peer),
                Stage::Order => format!("{}: message {number} of {} came after a later one", self.gateway, self.peer),
                _ => format!("{}: message {number} of {} came twice", self.gateway, self.peer),
            };
            self.note(self.failure(stage, said));
        }
    }

    fn note(&mut self, failure: Failure) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(failure);
        }
    }

    pub fn failure(&self, stage: Stage, said: impl ToString) -> Failure {
        Failure { stage, user: self.user.clone(), said: said.to_string() }
    }
}

fn said(error: &RequestError) -> String {
    match error {
        RequestError::Refused(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn why(reason: &DisconnectReason) -> String {
    match reason {
        DisconnectReason::Closed(code) => format!("the gateway closed it with {} ({})", code.number(), code.reason()),
        DisconnectReason::GoingAway => "the gateway goes away".to_owned(),
        DisconnectReason::Lost(said) => format!("the connection broke: {said}"),
        DisconnectReason::Silent => "the gateway fell silent".to_owned(),
        DisconnectReason::Hole => "an event was missing, and is asked for again".to_owned(),
        DisconnectReason::Unreachable(said) => format!("cannot be reached: {said}"),
        DisconnectReason::Refused(error) => format!("refused: {error}"),
        DisconnectReason::NoToken(said) => said.clone(),
    }
}
