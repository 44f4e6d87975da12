//! Keeps a session: connects, hands over to [`Session`], draws the consequences, connects again.

mod begin;
mod ending;
mod outlet;
mod state;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

pub(crate) use ending::Ending;

use crate::{
    DisconnectReason, Fatal, Notification, RequestError, SessionInfo,
    backoff::Backoff,
    chains::Chains,
    intake::Intake,
    known::Known,
    options::Options,
    outbound::Outbound,
    session::{Session, wire::Wire},
    shared::{Shared, count},
};
use ending::{Next, TokenAfter};
use outlet::Outlet;
pub(crate) use outlet::Told;
pub(crate) use state::State;

/// So many tokens are refused before the client gives up.
const REFUSED_TOKENS_MAX: u32 = 3;

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
        sender: Option<mpsc::Sender<Told>>,
    ) -> Self {
        let backoff = Backoff::new(options.backoff_min, options.backoff_max);
        let state = State {
            outbound: Outbound::new(options.pipeline),
            chains: Chains::new(options.position.clone()),
            outlet: Outlet::new(sender, Arc::clone(&shared)),
            position: options.position.clone(),
            marks_position: options.marks_position.clone(),
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
