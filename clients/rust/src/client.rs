//! The handle of a client.

use std::{sync::Arc, time::Duration};

use natter_ids::{ClientId, ConversationId, Position, Seq, UserId};
use natter_protocol::{ClientFrame, Request, ServerFrame};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    ClientBuilder, Fatal, Notification, RequestError, SendError, Stats, TokenSource,
    driver::{Driver, Told},
    intake::Intake,
    marks::Outgoing,
    options::Options,
    outbound::{Answer, Asker, Outstanding},
    shared::Shared,
};

/// How long taking leave waits for marks to be stored.
const LAST_MARKS: Duration = Duration::from_secs(1);

/// A message that the log has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Where.
    pub conversation: ConversationId,
    /// The message's id.
    pub client_id: ClientId,
    /// Its number in the conversation.
    pub seq: Seq,
    /// When it was accepted first, in milliseconds since 1970 UTC.
    pub time: u64,
}

/// One device of one user: connected, again and again, until it is closed or dropped.
///
/// All methods take `&self`; share a client between tasks in an [`Arc`]. An application has to
/// read its notifications with [`Client::next_event`] (or discard them when building): answers
/// come over the same connection and wait behind events that nobody reads.
#[derive(Debug)]
pub struct Client {
    options: Arc<Options>,
    shared: Arc<Shared>,
    intake: Arc<Intake>,
    pub(crate) outgoing: Arc<Outgoing>,
    notifications: Mutex<mpsc::Receiver<Told>>,
    driver: Mutex<Option<JoinHandle<()>>>,
    abort: [tokio::task::AbortHandle; 2],
}

impl Client {
    /// Begins the settings of a client that connects to any of the gateways, the first one first.
    /// An address looks like `ws://host:port`; the path is added when it has none.
    pub fn builder<U: Into<String>>(gateways: impl IntoIterator<Item = U>, token: TokenSource) -> ClientBuilder {
        ClientBuilder::new(gateways.into_iter().map(Into::into).collect(), token)
    }

    pub(crate) fn start(options: Options) -> Self {
        let options = Arc::new(options);
        let shared = Arc::new(Shared::default());
        if let Some(position) = &options.position {
            shared.set_position(position.clone());
        }
        shared.set_marks_position(options.marks_position.clone());
        let intake = Arc::new(Intake::default());
        let (sender, notifications) = mpsc::channel(options.event_capacity);
        let sender = options.events.then_some(sender);
        let driver = Driver::new(Arc::clone(&options), Arc::clone(&shared), Arc::clone(&intake), sender);
        #[allow(
            clippy::disallowed_methods,
            reason = "the client owns the task: it joins it on close and ends it on drop"
        )]
        let driver = tokio::spawn(driver.run());
        let outgoing = Arc::<Outgoing>::default();
        #[allow(clippy::disallowed_methods, reason = "ends with the driver, or on drop")]
        let marks = tokio::spawn(Arc::clone(&outgoing).run(Arc::clone(&intake)));
        let abort = [driver.abort_handle(), marks.abort_handle()];
        Self {
            options,
            shared,
            intake,
            outgoing,
            notifications: Mutex::new(notifications),
            driver: Mutex::new(Some(driver)),
            abort,
        }
    }

    /// Says something, under a new id, and waits until the log has stored it, across refusals
    /// that may pass, lost connections and gateways. Messages go in the order in which the futures
    /// were first polled.
    ///
    /// Dropping the future gives up; the message may or may not be stored.
    ///
    /// # Errors
    /// [`SendError`]; `Deadline` only when a deadline was set.
    pub async fn send(&self, to: ConversationId, text: impl Into<String>) -> Result<Accepted, SendError> {
        self.send_with_id(to, self.new_client_id(), text).await
    }

    /// Like [`Client::send`], under an id that was made, and perhaps tried, before.
    ///
    /// # Errors
    /// As [`Client::send`]; `Refused` with `client_id_conflict` when the id was used for another text.
    pub async fn send_with_id(
        &self,
        to: ConversationId,
        client_id: ClientId,
        text: impl Into<String>,
    ) -> Result<Accepted, SendError> {
        self.say(to.clone(), client_id, Request::send(to, client_id, text)).await
    }

    /// Waits until the log has stored what is said, for as long as sending may take.
    pub(crate) async fn say(
        &self,
        conversation: ConversationId,
        client_id: ClientId,
        request: Request,
    ) -> Result<Accepted, SendError> {
        let answer = match self.options.send_deadline {
            Some(deadline) => timeout(deadline, self.ask(request)).await.map_err(|_| SendError::Deadline(client_id))?,
            None => self.ask(request).await,
        };
        match answer {
            Ok(ServerFrame::Accepted { seq, time, .. }) => Ok(Accepted { conversation, client_id, seq, time }),
            Ok(_) => Err(SendError::Deadline(client_id)),
            Err(RequestError::Refused(error)) => Err(SendError::Refused(error)),
            Err(RequestError::Fatal(fatal)) => Err(SendError::Fatal(fatal)),
            Err(RequestError::Timeout | RequestError::UnexpectedAnswer) => Err(SendError::Deadline(client_id)),
            Err(RequestError::Closed) => Err(SendError::Closed),
        }
    }

    /// Makes an id for [`Client::send_with_id`], by the gateway's clock when the device's is ahead.
    pub fn new_client_id(&self) -> ClientId {
        self.shared.new_client_id()
    }

    /// Asks for anything, and returns the answering frame; for up to the request timeout. After
    /// a lost connection, and a refusal that may pass, the same request is made again.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request(&self, request: Request) -> Result<ServerFrame, RequestError> {
        self.request_within(request, self.options.request_timeout).await
    }

    /// Like [`Client::request`], for up to the given time.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request_within(&self, request: Request, time: Duration) -> Result<ServerFrame, RequestError> {
        timeout(time, self.ask(request)).await.unwrap_or(Err(RequestError::Timeout))
    }

    async fn ask(&self, request: Request) -> Answer {
        let (reply, answer) = oneshot::channel();
        let item = Outstanding::new(request, Asker::Application(reply));
        if !self.intake.put(item) {
            return Err(self.gone());
        }
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    fn gone(&self) -> RequestError {
        self.shared.fatal.get().cloned().map_or(RequestError::Closed, RequestError::Fatal)
    }

    /// Tells the other members that the user is writing, or has stopped. To be repeated every few seconds while they go
    /// on; lost while there is no session.
    pub fn typing(&self, conversation: &ConversationId, stopped: bool) {
        self.shared.whisper(ClientFrame::Typing { conversation: conversation.clone(), stopped });
    }

    /// The next thing to tell; `None` once the client is closed or has given up, or when
    /// notifications are discarded. Safe to drop while it waits.
    pub async fn next_event(&self) -> Option<Notification> {
        let mut notifications = self.notifications.lock().await;
        let next = loop {
            let told = notifications.recv().await?;
            self.shared.see(&told);
            if let Told::Notification(next) = told {
                break next;
            }
        };
        if let Notification::Event(event, _) = &next
            && self.options.receipts
            && self.user() != Some(&event.entry.sender)
        {
            self.outgoing.put(&event.conversation, Some(event.seq), None);
        }
        Some(next)
    }

    /// Where the device is: the position of the last event that [`Client::next_event`] returned,
    /// or the one that the client started with. `None` for a new device before its first
    /// `CaughtUp`, and from [`Notification::PositionRefused`] to the next one. Store it after storing that event.
    pub fn position(&self) -> Option<Position> {
        self.shared.position()
    }

    /// Up to where marks were told, to an application that has come for what follows: store it to hear
    /// later of all that have changed since. `None` before the first session has caught up, and without
    /// receipts.
    pub fn marks_position(&self) -> Option<Position> {
        self.shared.marks_position()
    }

    /// The user that the token names; known after the first session began.
    pub fn user(&self) -> Option<&UserId> {
        self.shared.user.get()
    }

    /// Why the client gave up, if it did.
    pub fn fatal(&self) -> Option<&Fatal> {
        self.shared.fatal.get()
    }

    /// What the client has been through.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Takes leave of the gateway and ends the client. What waits for an answer fails with
    /// `Closed`. Dropping a client ends it without taking leave.
    pub async fn close(&self) {
        // The last marks would be told only with the next ones.
        let _ = timeout(LAST_MARKS, self.outgoing.idle()).await;
        self.shared.close.notify_one();
        if let Some(driver) = self.driver.lock().await.take()
            && timeout(self.options.write_timeout, driver).await.is_err()
        {
            self.abort[0].abort();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.abort.iter().for_each(tokio::task::AbortHandle::abort);
    }
}
