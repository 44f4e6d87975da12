//! Requests that wait for their answer: kept in order, and put on the wire again when need be.

use std::time::{Duration, Instant};

use natter_protocol::{ErrorBody, MarkDraft, MarkedView, Request, RequestId, RetryAdvice, ServerFrame};
use tokio::sync::oneshot;

use crate::{RequestError, backoff::spread};

pub(crate) type Answer = Result<ServerFrame, RequestError>;

/// Who waits for an answer.
#[derive(Debug)]
pub(crate) enum Asker {
    /// The application.
    Application(oneshot::Sender<Answer>),
    /// What sends marks beside the application, which does not see the answer.
    Marks(oneshot::Sender<Answer>),
    /// The driver, for its own needs: asked anew by each session, not across them.
    Driver,
}

#[derive(Debug)]
pub(crate) struct Outstanding {
    pub request: Request,
    asker: Asker,
    state: State,
    sent_before: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    OnWire(RequestId),
    WaitingUntil(Instant),
}

impl Outstanding {
    pub fn new(request: Request, asker: Asker) -> Self {
        Self { request, asker, state: State::Ready, sent_before: false }
    }

    pub fn abandoned(&self) -> bool {
        matches!(&self.asker, Asker::Application(reply) | Asker::Marks(reply) if reply.is_closed())
    }

    /// Hands the answer over; `false`: nobody waits for it any more.
    pub fn resolve(self, answer: Answer) -> bool {
        match self.asker {
            Asker::Application(reply) | Asker::Marks(reply) => reply.send(answer).is_ok(),
            Asker::Driver => false,
        }
    }
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The application has it.
    Done,
    /// Nobody waits for it any more.
    Unheard,
    /// A mark is stored: what was said, and what is stored now. The application has not seen it.
    Marked(MarkDraft, MarkedView),
    /// The driver's own request: the answer is for it.
    ForDriver(Box<(Request, Answer)>),
    /// It is sent again later.
    Later,
    /// A new token first.
    NeedsToken,
}

/// The requests of a client, oldest first.
#[derive(Debug)]
pub(crate) struct Outbound {
    queue: Vec<Outstanding>,
    /// Sends of one conversation on the wire at once.
    pipeline: usize,
}

/// Requests held at once; more wait in the callers.
const CAPACITY: usize = 256;

impl Outbound {
    pub fn new(pipeline: usize) -> Self {
        Self { queue: Vec::new(), pipeline }
    }

    pub fn has_room(&self) -> bool {
        self.queue.len() < CAPACITY
    }

    pub fn push(&mut self, item: Outstanding) {
        self.queue.push(item);
    }

    /// Puts a request before all others.
    pub fn push_first(&mut self, item: Outstanding) {
        self.queue.insert(0, item);
    }

    /// The next request that may go on the wire: what is written to one conversation strictly in
    /// order, of messages at most `pipeline` at once, so that none overtakes one that waits; watches one by one,
    /// because each replaces the one before and a gateway answers them in any order.
    pub fn next_ready(&mut self, now: Instant) -> Option<usize> {
        self.queue.retain(|item| matches!(item.state, State::OnWire(_)) || !item.abandoned());
        (0..self.queue.len()).find(|index| self.may_go(*index, now))
    }

    fn may_go(&self, index: usize, now: Instant) -> bool {
        let item = &self.queue[index];
        let due = match item.state {
            State::Ready => true,
            State::OnWire(_) => false,
            State::WaitingUntil(at) => at <= now,
        };
        if !due {
            return false;
        }
        let is_watch = |item: &Outstanding| matches!(item.request, Request::WatchPresence { .. });
        let is_send = |item: &Outstanding| matches!(item.request, Request::Send { .. });
        if is_watch(item) {
            return !self.queue[..index].iter().any(is_watch);
        }
        let Some(conversation) = item.request.writes_to() else { return true };
        let mut on_wire = 0;
        for earlier in self.queue[..index].iter().filter(|other| other.request.writes_to() == Some(conversation)) {
            match earlier.state {
                // Of two changes the later one counts, and either may be refused for now: one by one.
                State::OnWire(_) if is_send(item) && is_send(earlier) => on_wire += 1,
                State::OnWire(_) | State::Ready | State::WaitingUntil(_) => return false,
            }
        }
        on_wire < self.pipeline
    }

    pub fn request(&self, index: usize) -> Option<&Request> {
        self.queue.get(index).map(|item| &item.request)
    }

    /// Notes that a request went on the wire. `true` when it had been there before.
    pub fn sent(&mut self, index: usize, id: RequestId) -> bool {
        let Some(item) = self.queue.get_mut(index) else { return false };
        item.state = State::OnWire(id);
        std::mem::replace(&mut item.sent_before, true)
    }

    /// Takes a request off the queue, to refuse it here.
    pub fn take(&mut self, index: usize) -> Outstanding {
        self.queue.remove(index)
    }

    /// An answer other than a refusal. `None` when no such request waits.
    pub fn answer(&mut self, id: RequestId, frame: ServerFrame) -> Option<Answered> {
        let index = self.find(id)?;
        Some(Self::settle(self.queue.remove(index), Ok(frame)))
    }

    /// A refusal of a request. `None` when no such request waits.
    pub fn refuse(&mut self, id: RequestId, error: ErrorBody, now: Instant) -> Option<Answered> {
        let index = self.find(id)?;
        let (ms, answered) = match error.code.advice() {
            RetryAdvice::Changed => {
                return Some(Self::settle(self.queue.remove(index), Err(RequestError::Refused(error))));
            }
            RetryAdvice::After { ms } => (error.retry_after_ms.unwrap_or(ms), Answered::Later),
            RetryAdvice::NewToken => (1_000, Answered::NeedsToken),
        };
        self.queue[index].state = State::WaitingUntil(now + spread(Duration::from_millis(u64::from(ms))));
        Some(answered)
    }

    /// An answer that this version cannot read. `None` when no such request waits.
    pub fn unreadable(&mut self, id: RequestId) -> Option<Answered> {
        let index = self.find(id)?;
        Some(Self::settle(self.queue.remove(index), Err(RequestError::UnexpectedAnswer)))
    }

    fn settle(item: Outstanding, answer: Answer) -> Answered {
        let marked = match (&item.asker, &item.request, &answer) {
            (Asker::Driver, ..) => return Answered::ForDriver(Box::new((item.request, answer))),
            (Asker::Marks(_), Request::Mark { delivered, read, .. }, Ok(ServerFrame::Marked { marked, .. })) => {
                Some(Answered::Marked(MarkDraft { delivered: *delivered, read: *read }, marked.clone()))
            }
            _ => None,
        };
        let heard = item.resolve(answer);
        marked.unwrap_or(if heard { Answered::Done } else { Answered::Unheard })
    }

    fn find(&self, id: RequestId) -> Option<usize> {
        self.queue.iter().position(|item| item.state == State::OnWire(id))
    }

    /// The session is over: what was on the wire goes again, in its old place.
    pub fn session_ended(&mut self) {
        self.queue.retain(|item| !item.abandoned() && !matches!(item.asker, Asker::Driver));
        for item in &mut self.queue {
            if matches!(item.state, State::OnWire(_)) {
                item.state = State::Ready;
            }
        }
    }

    /// When the next waiting request is due. What is due already and has not gone waits for
    /// another request, not for a time.
    pub fn next_wake(&self, now: Instant) -> Option<Instant> {
        let due = |item: &Outstanding| match item.state {
            State::WaitingUntil(at) => Some(at).filter(|at| *at > now),
            State::Ready | State::OnWire(_) => None,
        };
        self.queue.iter().filter_map(due).min()
    }

    /// Ends every request with the same error.
    pub fn fail_all(&mut self, error: &RequestError) {
        for item in self.queue.drain(..) {
            item.resolve(Err(error.clone()));
        }
    }
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "outbound_schedules.rs"]
mod schedules;
