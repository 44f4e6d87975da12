//! Keeps a session: connects, hands over to [`Session`], draws the consequences, connects again.

mod begin;
mod ending;
mod outlet;

use std::{sync::Arc, time::Duration};

use natter_ids::{ConversationId, Partition, Position, UserId};
use natter_protocol::{Event, MarksView};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

pub(crate) use ending::Ending;

use crate::{
    DisconnectReason, Fatal, Notification, RequestError, SessionInfo,
    backoff::Backoff,
    chains::{Chains, Verdict},
    intake::Intake,
    marks::Known,
    options::Options,
    outbound::Outbound,
    session::{Session, wire::Wire},
    shared::{Shared, count},
};
use ending::{Next, TokenAfter};
use outlet::Outlet;

/// So many tokens are refused before the client gives up.
const REFUSED_TOKENS_MAX: u32 = 3;

/// What outlives a session.
pub(crate) struct State {
    pub options: Arc<Options>,
    pub shared: Arc<Shared>,
    pub intake: Arc<Intake>,
    pub outbound: Outbound,
    pub chains: Chains,
    pub outlet: Outlet,
    /// Position of the last event told: presented to the next gateway. The application's own,
    /// [`Shared::position`], follows when it has read that event.
    pub position: Option<Position>,
    /// The token in use; `None` when a new one is needed.
    pub token: Option<String>,
    /// Whose presence the application watches.
    pub watched: Vec<UserId>,
    /// The marks that were told.
    pub known: Known,
}

impl State {
    /// Tells the application of an event, if it is the next one.
    ///
    /// # Errors
    /// [`Ending::Hole`] when something before it is missing.
    pub fn on_event(&mut self, position: Position, event: Event) -> Result<(), Ending> {
        let verdict = self.chains.judge(&event, self.shared.user.get());
        if self.is_next(verdict, &event.conversation)? {
            self.keep(&position);
            self.outlet.tell(Notification::Event(Box::new(event), position));
        }
        Ok(())
    }

    /// Tells the application of marks, as far as they are news.
    pub fn on_marks(&mut self, marks: MarksView) {
        if let Some(news) = self.known.rise(marks) {
            self.outlet.tell(Notification::MarksChanged(news));
        }
    }

    /// Whether to tell an event; counts what it is otherwise.
    pub fn is_next(&mut self, verdict: Verdict, conversation: &ConversationId) -> Result<bool, Ending> {
        let counters = &self.shared.counters;
        match verdict {
            Verdict::Next => return Ok(true),
            Verdict::RepeatInSession => count(&counters.repeats_in_session),
            Verdict::RepeatAcrossSessions => count(&counters.repeats_across_sessions),
            Verdict::Hole => {
                count(&counters.holes);
                self.rewind(conversation);
                return Err(Ending::Hole);
            }
        }
        Ok(false)
    }

    /// Moves the position; never back.
    pub fn keep(&mut self, position: &Position) {
        match &mut self.position {
            Some(kept) if kept.partitions() == position.partitions() => {
                for (partition, seq) in Partition::all(position.partitions()).zip(position.seqs()) {
                    kept.advance(partition, *seq);
                }
            }
            kept => *kept = Some(position.clone()),
        }
    }

    /// Begins as a new device: of what was received before nothing is known any more.
    pub fn forget_position(&mut self) {
        self.position = None;
        self.chains.forget();
        self.outlet.tell(Notification::PositionRefused);
    }

    /// Moves the position back to what was received of a conversation. An event of another one
    /// may have moved it past what is missing.
    pub fn rewind(&mut self, conversation: &ConversationId) {
        if let (Some(position), Some(reached)) = (&mut self.position, self.chains.reached(conversation)) {
            let mut seqs: Box<[_]> = position.seqs().into();
            let partition = Partition::of(conversation, position.partitions());
            if let Some(seq) = seqs.get_mut(partition.index()) {
                *seq = reached.min(*seq);
            }
            *position = Position::from_seqs(seqs);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // Whoever asks the ended driver hears it.
        self.intake.close();
    }
}

pub(crate) struct Driver {
    state: State,
    /// The session's, so that leave can be taken.
    wire: Option<Wire>,
    backoff: Backoff,
    /// Which gateway's turn it is.
    turn: usize,
    /// Tokens refused since the last `welcome`.
    refused_tokens: u32,
}

impl Driver {
    pub fn new(
        options: Arc<Options>,
        shared: Arc<Shared>,
        intake: Arc<Intake>,
        sender: Option<mpsc::Sender<Notification>>,
    ) -> Self {
        let backoff = Backoff::new(options.backoff_min, options.backoff_max);
        let state = State {
            outbound: Outbound::new(options.pipeline),
            chains: Chains::new(options.position.clone()),
            outlet: Outlet::new(sender, Arc::clone(&shared)),
            position: options.position.clone(),
            token: None,
            watched: Vec::new(),
            known: Known::default(),
            options,
            shared,
            intake,
        };
        Self { state, wire: None, backoff, turn: 0, refused_tokens: 0 }
    }

    /// Runs until the application closes the client, or nothing can be done without it.
    pub async fn run(mut self) {
        let shared = Arc::clone(&self.state.shared);
        tokio::select! {
            biased;
            () = shared.close.notified() => self.leave().await,
            fatal = self.work() => {
                self.give_up(fatal);
                tokio::select! {
                    biased;
                    () = shared.close.notified() => {}
                    () = self.state.outlet.drain() => {}
                }
            }
        }
    }

    async fn leave(&mut self) {
        self.end(&RequestError::Closed);
        if let Some(wire) = self.wire.take() {
            // The handle waits for `write_timeout` at most.
            wire.leave(self.state.options.write_timeout / 2).await;
        }
    }

    fn give_up(&mut self, fatal: Fatal) {
        tracing::warn!(reason = %fatal, "the client gives up");
        let _ = self.state.shared.fatal.set(fatal.clone());
        self.end(&RequestError::Fatal(fatal.clone()));
        self.state.outlet.tell(Notification::Fatal(fatal));
    }

    /// Resolves what waits for an answer, and takes nothing more.
    fn end(&mut self, error: &RequestError) {
        for item in self.state.intake.close() {
            self.state.outbound.push(item);
        }
        self.state.outbound.fail_all(error);
    }

    async fn work(&mut self) -> Fatal {
        loop {
            let ending = self.one_session().await;
            count(&self.state.shared.counters.disconnects);
            let next = ending.next();
            let (reason, wait) = match self.follow(next) {
                Ok(again) => again,
                Err(fatal) => return fatal,
            };
            tracing::debug!(?reason, ?wait, "connecting again");
            let at = Instant::now() + wait;
            self.state.outlet.tell(Notification::Disconnected { reason, retry_in: wait });
            self.state.outlet.drain().await;
            sleep_until(at).await;
        }
    }

    /// Draws the consequences of an end: why, and how long to wait.
    fn follow(&mut self, next: Next) -> Result<(DisconnectReason, Duration), Fatal> {
        let (reason, asked, token) = match next {
            Next::Again { reason, asked, token } => (reason, asked, token),
            Next::Anew { otherwise, .. } if self.state.position.is_none() => return Err(otherwise),
            Next::Anew { reason, .. } => {
                self.state.forget_position();
                (reason, Duration::ZERO, TokenAfter::Kept)
            }
            Next::GiveUp(fatal) => return Err(fatal),
        };
        match token {
            TokenAfter::Kept => self.turn = (self.turn + 1) % self.state.options.urls.len(),
            // The same gateway again: it is not at fault.
            TokenAfter::Needed => self.state.token = None,
            TokenAfter::Refused(fatal) => {
                self.state.token = None;
                self.refused_tokens += 1;
                if self.refused_tokens >= REFUSED_TOKENS_MAX {
                    return Err(fatal);
                }
            }
        }
        Ok((reason, asked.max(self.backoff.next())))
    }

    async fn one_session(&mut self) -> Ending {
        if let Err(ending) = self.have_token().await {
            return ending;
        }
        let url = self.state.options.urls[self.turn].clone();
        let limit = self.state.options.connect_timeout;
        // Boxed, so that a session does not carry the room that its handshake took.
        let begin = Box::pin(timeout(limit, begin::begin(&self.state, &url)));
        let (wire, welcome) = match begin.await {
            Ok(Ok(begun)) => begun,
            Ok(Err(ending)) => return ending,
            Err(_) => return Ending::Unreachable { why: format!("no welcome within {limit:?}"), asked: None },
        };
        let began = Instant::now();
        let wire = self.wire.insert(wire);
        self.refused_tokens = 0;
        let state = &mut self.state;
        count(&state.shared.counters.sessions);
        state.shared.learn_clock(welcome.server_time);
        let _ = state.shared.user.set(welcome.user.clone());
        state.chains.begin_session();
        state.shared.begin_session();
        let info = SessionInfo {
            gateway: url,
            session: welcome.session,
            user: welcome.user,
            token_expires_at: welcome.token_expires_at,
            limits: welcome.limits.clone(),
        };
        state.outlet.tell(Notification::Connected(Box::new(info)));
        let ending = Session::new(state, wire, welcome.limits, welcome.ping_interval_ms).run().await;
        if let Some(wire) = self.wire.take() {
            wire.cut();
        }
        self.state.outbound.session_ended();
        // A session that ends soon is no reason to hurry: the next one may end as soon.
        if began.elapsed() >= self.state.options.backoff_max {
            self.backoff.reset();
        }
        ending
    }

    async fn have_token(&mut self) -> Result<(), Ending> {
        if self.state.token.is_none() {
            let options = &self.state.options;
            let token = crate::session::refresh::fetch(&options.token, options.connect_timeout).await;
            self.state.token = Some(token.map_err(Ending::NoToken)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
