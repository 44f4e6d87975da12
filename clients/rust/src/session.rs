//! One session with a gateway, from `welcome` to its end.

pub(crate) mod encode;
mod incoming;
pub(crate) mod refresh;
pub(crate) mod wire;

use std::{future::poll_fn, pin::Pin, time::Duration};

use natter_ids::UserId;
use natter_protocol::{ClientFrame, ErrorBody, ErrorCode, Limits, Request, RequestId};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    RequestError,
    driver::{Ending, State},
    outbound::{Asker, Outstanding},
    shared::count,
};
use refresh::{Fetched, Refresh};
use wire::{Incoming, Wire};

/// A gateway that names a shorter interval is not pinged more often than this.
const PING_INTERVAL_MIN: Duration = Duration::from_millis(20);

/// What happened.
enum Step {
    Incoming(Incoming),
    Request(Outstanding),
    Token(Fetched),
    Whisper(ClientFrame),
    Time,
    /// The application has read.
    Drained,
}

/// What is known of the marks that changed while they could not be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Missed {
    /// All.
    #[default]
    Known,
    /// They are being asked for.
    Asked,
    /// They are, and more may have been missed since.
    AskAgain,
}

pub(crate) struct Session<'a> {
    state: &'a mut State,
    wire: &'a mut Wire,
    limits: Limits,
    ping_interval: Duration,
    /// When the gateway was heard last.
    heard: Instant,
    /// When it was pinged last.
    pinged: Instant,
    next_id: RequestId,
    refresh: Refresh,
    /// The watch that waits for its answer: never more than one.
    watch: Option<(RequestId, Vec<UserId>)>,
    marks: Missed,
    /// Set once the gateway has announced that it goes away: when to connect again.
    leave: Option<Instant>,
}

impl<'a> Session<'a> {
    pub fn new(state: &'a mut State, wire: &'a mut Wire, limits: Limits, ping_interval_ms: u32) -> Self {
        let now = Instant::now();
        Self {
            state,
            wire,
            limits,
            ping_interval: Duration::from_millis(ping_interval_ms.into()).max(PING_INTERVAL_MIN),
            heard: now,
            pinged: now,
            next_id: 1,
            refresh: Refresh::default(),
            watch: None,
            marks: Missed::default(),
            leave: None,
        }
    }

    /// Runs to the end. Dropping the future leaves the state and the wire usable.
    pub async fn run(mut self) -> Ending {
        if !self.state.watched.is_empty() {
            let request = Request::WatchPresence { users: self.state.watched.clone() };
            self.state.outbound.push_first(Outstanding::new(request, Asker::Driver));
        }
        let mut timer = Box::pin(sleep_until(Instant::now()));
        loop {
            self.put_requests();
            self.arm(&mut timer);
            let step = self.step(&mut timer).await;
            if let Err(ending) = self.take(step) {
                return ending;
            }
        }
    }

    async fn step(&mut self, timer: &mut Pin<Box<Sleep>>) -> Step {
        let paused = self.state.outlet.is_blocked();
        let Self { state, wire, refresh, .. } = self;
        tokio::select! {
            incoming = poll_fn(|cx| wire.poll(cx, !paused)) => Step::Incoming(incoming),
            item = state.intake.next(), if state.outbound.has_room() => Step::Request(item),
            frame = state.shared.to_whisper() => Step::Whisper(frame),
            token = refresh.fetched() => Step::Token(token),
            () = state.outlet.drain(), if paused => Step::Drained,
            () = timer.as_mut() => Step::Time,
        }
    }

    fn take(&mut self, step: Step) -> Result<(), Ending> {
        match step {
            Step::Incoming(incoming) => self.on_incoming(incoming)?,
            Step::Request(item) => {
                self.state.outbound.push(item);
                while self.state.outbound.has_room()
                    && let Some(item) = self.state.intake.take()
                {
                    self.state.outbound.push(item);
                }
            }
            Step::Token(token) => self.on_token(token),
            Step::Whisper(frame) => self.wire.push(encode::frame(&frame)),
            Step::Time => self.on_time()?,
            // What the gateway said meanwhile is still to be read.
            Step::Drained => self.heard = Instant::now(),
        }
        Ok(())
    }

    fn take_id(&mut self) -> RequestId {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Writes every request that may go, as far as the gateway takes them.
    fn put_requests(&mut self) {
        let now = Instant::now().into_std();
        while self.wire.has_room()
            && let Some(index) = self.state.outbound.next_ready(now)
        {
            self.put_request(index);
        }
    }

    fn put_request(&mut self, index: usize) {
        let id = self.take_id();
        let Some(request) = self.state.outbound.request(index) else { return };
        let frame = encode::request(id, request);
        if frame.len() > self.limits.frame_bytes_max as usize {
            // The gateway would end the session, and every one after it.
            let error = ErrorBody::new(ErrorCode::TooLarge).limit("frame_bytes_max");
            self.state.outbound.take(index).resolve(Err(RequestError::Refused(error)));
            return;
        }
        if let Request::WatchPresence { users } = request {
            self.watch = Some((id, users.clone()));
        }
        if self.state.outbound.sent(index, id) {
            count(&self.state.shared.counters.repeated_requests);
        }
        self.wire.push(frame);
    }

    /// Sets the timer to the next thing that is due.
    fn arm(&self, timer: &mut Pin<Box<Sleep>>) {
        let mut due = self.ping_due();
        let mut sooner = |at: Option<Instant>| due = at.map_or(due, |at| due.min(at));
        sooner(self.silence_due());
        sooner(self.stuck_due());
        sooner(self.leave);
        sooner(self.refresh.due());
        sooner(self.state.outbound.next_wake(Instant::now().into_std()).map(Instant::from_std));
        // Setting a timer is dear: one that rings too early only looks again.
        if due < timer.deadline() || timer.is_elapsed() {
            timer.as_mut().reset(due);
        }
    }

    fn ping_due(&self) -> Instant {
        self.heard.max(self.pinged) + self.ping_interval
    }

    /// A gateway that is not read cannot be heard.
    fn silence_due(&self) -> Option<Instant> {
        (!self.state.outlet.is_blocked()).then(|| self.heard + self.ping_interval * 2)
    }

    fn stuck_due(&self) -> Option<Instant> {
        self.wire.stuck_since().map(|since| since + self.state.options.write_timeout)
    }

    fn on_time(&mut self) -> Result<(), Ending> {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.leave) {
            return Err(Ending::GoingAway(now));
        }
        if due(self.silence_due()) {
            return Err(Ending::Silent);
        }
        if due(self.stuck_due()) {
            return Err(Ending::Lost("the gateway takes nothing".to_owned()));
        }
        if self.ping_due() <= now {
            // The gateway pings too; this one comes when it was not heard, or is not read.
            self.pinged = now;
            let id = self.take_id();
            self.wire.push(encode::ping(id));
        }
        let options = &self.state.options;
        self.refresh.on_time(now, &options.token, options.request_timeout);
        Ok(())
    }

    fn on_token(&mut self, token: Fetched) {
        match token {
            Ok(token) if self.state.token.as_ref() == Some(&token) => self.refresh.wait(),
            Ok(token) => {
                let id = self.take_id();
                self.wire.push(encode::request(id, &Request::RefreshToken { token: token.clone() }));
                self.refresh.asked(id, token);
            }
            Err(error) => {
                tracing::warn!(error, "there is no newer token; asked again soon");
                self.refresh.wait();
            }
        }
    }
}
