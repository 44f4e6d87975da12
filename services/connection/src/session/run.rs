//! The loop of a session.

mod clockwork;
mod events;
mod hearing;
mod rarely;
mod undecided;
mod watching;

use std::{future::poll_fn, sync::Arc};

use clockwork::{Token, When};
use events::{Page, next_page};
use rarely::Signals;
use undecided::Undecided;
use watching::Watching;

use natter_bus::{Inbox, MarkerRequest, users::Blocks};
use natter_ids::{Position, SessionId, UserId};
use natter_protocol::{ClientFrame, CloseCode, ErrorBody, ErrorCode, ServerFrame, decode_client_frame};
use tokio::{sync::watch, time::Instant};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tracing::Instrument;

use super::{
    REFUSED_IN_A_ROW_MAX,
    answer::{self, Answer, Asking, Effect},
    lanes::Lanes,
    notes::Notes,
    seam::Seam,
    socket::{Incoming, Socket},
    whispers::Whispers,
};
use crate::{
    devices::SignedIn,
    doubt::Doubt,
    gate::Identity,
    observe::{Behind, Transport, request_span},
    presence::Joined,
    screen::Screen,
    server::Shared,
};

/// After so many markers that did not come the client is told that its backlog is late.
const MARKER_TRIES_SILENT: u32 = 5;

/// What makes the session one that others see; it ends with it.
pub(super) struct Here {
    pub(super) inbox: Inbox,
    pub(super) joined: Joined,
    pub(super) signed_in: SignedIn,
}

pub(super) struct Session<'a> {
    shared: &'a Arc<Shared>,
    user: UserId,
    session: SessionId,
    inbox: Inbox,
    joined: Joined,
    signed_in: SignedIn,
    seam: Seam,
    /// The round that markers were last asked for.
    asked_round: u32,
    lanes: Lanes<Answer>,
    notes: Notes,
    page: Option<Page>,
    behind: Option<Behind>,
    /// What the client was told it waits for.
    delayed: Option<&'static str>,
    watching: Watching,
    whispers: Whispers,
    screen: Screen,
    undecided: Undecided,
    rarely: rarely::Waiting,
    /// The blocks that the session goes by.
    blocks: Arc<Blocks>,
    refused_in_a_row: u32,
    doubts: watch::Receiver<Doubt>,
    when: When,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        identity: Identity,
        session: SessionId,
        position: Option<Position>,
        Here { inbox, joined, signed_in }: Here,
    ) -> Self {
        let config = &shared.config;
        let mut this = Self {
            shared,
            user: identity.user,
            session,
            inbox,
            joined,
            signed_in,
            seam: Seam::new(position, shared.bus.partitions(), config.held_bytes_max as usize),
            asked_round: 0,
            lanes: Lanes::new(),
            notes: Notes::default(),
            page: None,
            behind: None,
            delayed: None,
            watching: Watching::default(),
            whispers: Whispers::default(),
            screen: Screen::default(),
            undecided: Undecided::default(),
            rarely: rarely::Waiting::default(),
            blocks: Arc::default(),
            refused_in_a_row: 0,
            doubts: shared.doubts.clone(),
            when: When::new(config, identity.expires_at, shared.bus.now_ms()),
        };
        this.doubts.mark_unchanged();
        this.blocks = Arc::clone(&this.signed_in.blocks.borrow_and_update());
        this
    }

    /// Runs to the end; returns how to close, `None` when the client is gone.
    pub(super) async fn run(&mut self, socket: &mut Socket) -> Option<CloseCode> {
        let mut timer = Box::pin(tokio::time::sleep_until(Instant::now()));
        self.tell_lifted(socket);
        loop {
            self.advance(socket).await;
            if socket.live_bytes() > self.shared.config.outbound_bytes_max as usize {
                return Some(CloseCode::SlowConsumer);
            }
            self.arm(&mut timer, socket);
            let roomy = self.has_room(socket);
            let read = roomy && self.lanes.len() < self.shared.config.requests_at_once as usize;
            let settled = self.undecided.is_empty();
            let Self { inbox, lanes, page, watching, doubts, when, signed_in, undecided, rarely, .. } = self;
            let SignedIn { mailbox, blocks, revoked, .. } = signed_in;
            rarely.arm(|| Signals {
                blocks: blocks.clone(),
                doubts: doubts.clone(),
                revoked: revoked.clone(),
                draining: when.leave.is_none().then(|| self.shared.drain.clone()),
            });
            let ended = tokio::select! {
                incoming = poll_fn(|cx| socket.poll_incoming(cx, read)) => self.on_incoming(incoming, socket),
                message = inbox.next(), if settled => match message {
                    Some(message) => self.on_inbox(message, socket),
                    None => Err(Some(CloseCode::Unavailable)),
                },
                hidden = undecided.answer() => self.on_decided(hidden, socket),
                found = mailbox.next(), if settled => self.on_mailbox(found, socket),
                answer = lanes.next(), if roomy => self.on_answer(answer, socket),
                reply = next_page(page), if settled => self.on_page(reply, socket),
                views = watching.changes(), if roomy => {
                    self.show_presence(views, socket);
                    Ok(())
                }
                happened = rarely.next() => self.on_rarely(happened, socket),
                () = timer.as_mut() => self.on_timer(socket),
            };
            if let Err(ended) = ended {
                return ended;
            }
        }
    }

    /// Whether the client takes what it is given: otherwise nothing more is asked for on its
    /// behalf. Only live events, which cannot wait, may fill the queue beyond this.
    fn has_room(&self, socket: &Socket) -> bool {
        socket.queued_bytes() <= self.shared.config.outbound_bytes_max as usize / 2
    }

    /// Does what the state asks for: markers, the archive, telling that all has been sent.
    async fn advance(&mut self, socket: &mut Socket) {
        let now = Instant::now();
        let new_round = self.asked_round != self.seam.round();
        if new_round {
            self.asked_round = self.seam.round();
            self.when.marker.reset();
        }
        if new_round || (self.seam.needs_marker() && self.when.marker.is_due(now)) {
            if self.when.marker.tries() >= MARKER_TRIES_SILENT {
                self.tell_delayed("delivery", socket);
            }
            self.when.marker.wait();
            // Boxed: it is rare, and its room would be every session's.
            Box::pin(self.request_marker()).await;
        }
        if self.page.is_none() && self.when.archive.is_due(now) && self.has_room(socket) {
            self.page = self.seam.wants_backlog().map(|upto| self.ask_page(upto));
        }
        if self.has_room(socket) {
            self.notes.take().iter().for_each(|frame| socket.push(frame));
        }
        if !self.whispers.is_empty() && self.has_room(socket) {
            self.whispers.take().iter().for_each(|frame| socket.push(frame));
        }
        self.when.wait_for_early(self.seam.waits());
        if self.behind.is_none() && self.seam.is_behind() {
            self.behind = Some(Behind::new());
        }
        if self.undecided.is_empty() && self.seam.newly_caught_up() {
            if let Some(behind) = self.behind.take() {
                behind.caught_up();
            }
            self.delayed = None;
            socket.push(&ServerFrame::CaughtUp { position: self.seam.position().clone() });
        }
    }

    async fn request_marker(&mut self) {
        let request = MarkerRequest {
            user: self.user.clone(),
            session: self.session.clone(),
            round: self.seam.round(),
            gateway: self.shared.bus.instance().clone(),
            reported: self.joined.number(),
        };
        if let Err(error) = self.shared.bus.request_markers(&request).await {
            tracing::debug!(error, "a marker could not be asked for; asked again soon");
        }
    }

    fn tell_delayed(&mut self, waiting_for: &'static str, socket: &mut Socket) {
        if self.delayed != Some(waiting_for) {
            self.delayed = Some(waiting_for);
            socket.push(&ServerFrame::ResumeDelayed { waiting_for: waiting_for.to_owned() });
        }
    }

    fn on_incoming(&mut self, incoming: Incoming, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        self.when.heard = Instant::now();
        match incoming {
            Incoming::Text(text) => self.on_text(&text, socket),
            Incoming::Sign => Ok(()),
            Incoming::Binary => {
                let error =
                    ErrorBody::new(ErrorCode::Malformed).because("Frames are JSON text; a binary frame is none.");
                self.refuse(None, error, socket)
            }
            Incoming::TooLarge => Err(Some(CloseCode::FrameTooLarge)),
            Incoming::Gone => Err(None),
        }
    }

    fn on_text(&mut self, text: &Utf8Bytes, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        match decode_client_frame(text) {
            Ok(ClientFrame::Request { id, traceparent, request }) => {
                let lane = request.writes_to().cloned();
                let span = request_span(Transport::WebSocket, request.name(), traceparent.as_deref());
                let shared = Arc::clone(self.shared);
                let asking = Asking { user: self.user.clone(), device: self.signed_in.device.clone() };
                self.lanes.add(lane, answer::answer(shared, asking, id, request).instrument(span));
            }
            Ok(ClientFrame::Typing { conversation, stopped }) => {
                let (shared, user) = (Arc::clone(self.shared), self.user.clone());
                self.lanes.add(None, async move {
                    shared.typing(&user, conversation, stopped).await;
                    Answer { frame: None, effect: None }
                });
            }
            Ok(ClientFrame::Ping { id }) => socket.push(&ServerFrame::Pong { id }),
            Ok(ClientFrame::Hello(_)) => {
                let error =
                    ErrorBody::new(ErrorCode::OutOfState).because("The session has begun: there is one `hello`.");
                return self.refuse(None, error, socket);
            }
            Err(undecodable) => return self.refuse(undecodable.id, undecodable.error, socket),
        }
        self.refused_in_a_row = 0;
        Ok(())
    }

    fn refuse(&mut self, id: Option<u64>, error: ErrorBody, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        socket.push(&ServerFrame::Error { id, error });
        self.refused_in_a_row += 1;
        if self.refused_in_a_row < REFUSED_IN_A_ROW_MAX { Ok(()) } else { Err(Some(CloseCode::ProtocolError)) }
    }

    fn on_answer(&mut self, answer: Answer, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        match answer.effect {
            Some(Effect::Refreshed(expires_at)) => {
                self.when.token = Token::new(&self.shared.config, expires_at, self.shared.bus.now_ms());
            }
            Some(Effect::Show(views)) => self.show_presence(views, socket),
            Some(Effect::Away(away)) => self.joined.set_away(away),
            Some(Effect::Watch(users, watch)) => self.watching.begin(users, watch),
            Some(Effect::Unwatch(users)) => self.unwatch(&users),
            None => {}
        }
        if let Some(frame) = &answer.frame {
            socket.push(frame);
        }
        Ok(())
    }
}
