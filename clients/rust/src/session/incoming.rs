//! What a session does with what the gateway says.

use std::time::Duration;

use natter_protocol::{CloseCode, ErrorBody, MarkPage, Request, RequestId, ServerFrame};
use tokio::time::Instant;

use super::{Missed, Session, wire::Incoming};
use crate::{
    Notification, decode_server_frame,
    driver::Ending,
    known::learnt,
    outbound::{Answer, Answered, Asker, Outstanding},
    shared::count,
    unknown::{Unknown, outline},
};

/// Frames read before requests and timers are looked at again.
const AT_ONCE: usize = 64;

impl Session<'_> {
    pub(super) fn on_incoming(&mut self, first: Incoming) -> Result<(), Ending> {
        if !matches!(first, Incoming::Room) {
            self.heard = Instant::now();
        }
        let mut next = Some(first);
        let mut left = AT_ONCE;
        while let Some(incoming) = next {
            match incoming {
                Incoming::Text(text) => self.on_text(&text)?,
                Incoming::Sign => {}
                Incoming::Closed(code) => return Err(self.closed(code)),
                Incoming::Lost(why) => return Err(Ending::Lost(why)),
                Incoming::Room => return Ok(()),
            }
            left -= 1;
            next = if left > 0 && !self.state.outlet.is_blocked() { self.wire.read_now() } else { None };
        }
        Ok(())
    }

    fn closed(&self, code: u16) -> Ending {
        match self.leave {
            Some(at) if code == CloseCode::GoingAway.number() => Ending::GoingAway(at),
            _ => Ending::Closed(code),
        }
    }

    fn on_text(&mut self, text: &str) -> Result<(), Ending> {
        match decode_server_frame(text) {
            Ok(frame) => self.on_frame(frame),
            Err(_) => {
                // The error may quote what somebody wrote: it is not logged.
                count(&self.state.shared.counters.unknown_frames);
                self.on_unknown(outline(text))
            }
        }
    }

    fn on_frame(&mut self, frame: ServerFrame) -> Result<(), Ending> {
        match frame {
            ServerFrame::Event { position, event } => return self.state.on_event(position, event),
            ServerFrame::CaughtUp { position } => {
                self.state.chains.caught_up(&position);
                self.state.keep(&position);
                self.state.outlet.tell(Notification::CaughtUp(position));
                self.ask_marks();
            }
            ServerFrame::ResumeDelayed { waiting_for } => {
                self.state.outlet.tell(Notification::ResumeDelayed(waiting_for));
            }
            ServerFrame::PresenceChanged { presence } => {
                self.state.outlet.tell(Notification::PresenceChanged(presence));
            }
            ServerFrame::MarksChanged { marks } => self.state.on_marks(marks),
            ServerFrame::ArrangementChanged { arranged } => {
                self.state.outlet.tell(Notification::ArrangementChanged(arranged));
            }
            ServerFrame::SettingsChanged { settings } => {
                self.state.outlet.tell(Notification::SettingsChanged(settings));
            }
            ServerFrame::Typing { conversation, user, expires_in_ms } => {
                let expires_in = Duration::from_millis(expires_in_ms.into());
                self.state.outlet.tell(Notification::Typing { conversation, user, expires_in });
            }
            ServerFrame::Unblocked { user, conversation, after } => {
                self.state.outlet.tell(Notification::Unblocked { user, conversation, after });
            }
            ServerFrame::TokenExpiring { .. } => self.begin_refresh(),
            ServerFrame::Refreshed { id, .. } => {
                if let Some(token) = self.refresh.accepted(id) {
                    self.state.token = Some(token);
                }
            }
            ServerFrame::GoingAway { reconnect_after_ms } => {
                self.leave = Some(Instant::now() + Duration::from_millis(reconnect_after_ms.into()));
            }
            ServerFrame::Error { id: Some(id), error } => self.refused(id, error),
            ServerFrame::Error { id: None, error } => {
                tracing::debug!(code = %error.code, "the gateway refuses something");
            }
            frame => {
                if let Some(id) = frame.answers() {
                    self.answered(id, frame);
                }
            }
        }
        Ok(())
    }

    fn on_unknown(&mut self, unknown: Unknown) -> Result<(), Ending> {
        match unknown {
            Unknown::Event { position, conversation, seq, prev } => {
                // Such an event may be one that a chain begins with: it is taken for no hole.
                let verdict = self.state.chains.follow(&conversation, seq, prev, || true);
                if self.state.is_next(verdict, &conversation)? {
                    self.state.keep(&position);
                }
            }
            Unknown::Refusal { id, error } => self.refused(id, error),
            Unknown::Answer(id) => {
                let answered = self.state.outbound.unreadable(id);
                self.settled(answered);
            }
            Unknown::Other => {}
        }
        Ok(())
    }

    fn begin_refresh(&mut self) {
        let options = &self.state.options;
        self.refresh.begin(&options.token, options.request_timeout);
    }

    fn refused(&mut self, id: RequestId, error: ErrorBody) {
        tracing::debug!(code = %error.code, "the gateway refuses a request");
        if self.refresh.refused(id) {
            return;
        }
        let answered = self.state.outbound.refuse(id, error, Instant::now().into_std());
        self.settled(answered);
    }

    fn answered(&mut self, id: RequestId, mut frame: ServerFrame) {
        if let Some((_, users)) = self.watch.take_if(|(asked, _)| *asked == id) {
            self.state.watched = users;
        }
        let me = self.state.shared.user.get();
        self.state.known.lift(me, &mut frame);
        let learnt = learnt(me, &frame);
        let answered = self.state.outbound.answer(id, frame);
        if answered == Some(Answered::Done) {
            // The application has them, so a note that comes after it and tells less is none.
            self.state.known.learn(learnt);
        }
        self.settled(answered);
    }

    fn settled(&mut self, answered: Option<Answered>) {
        match answered {
            Some(Answered::NeedsToken) => self.begin_refresh(),
            Some(Answered::ForDriver(of)) => self.on_own_answer(&of.0, of.1),
            Some(Answered::Marked(said, stored)) => self.state.on_marked(&said, stored),
            Some(Answered::Done | Answered::Unheard | Answered::Later) | None => {}
        }
    }

    /// Asks for the marks that have changed since they were last told: what was live may have been
    /// lost with the connection, or on the way. What is on its way already was perhaps answered before that.
    fn ask_marks(&mut self) {
        match (self.state.options.receipts, self.marks) {
            (true, Missed::Known) => {
                let since = self.state.marks_position.clone();
                self.marks = Missed::Asked;
                self.state.outbound.push(Outstanding::new(Request::Marks { since, limit: None }, Asker::Driver));
            }
            (true, Missed::Asked | Missed::AskAgain) => self.marks = Missed::AskAgain,
            (false, _) => {}
        }
    }

    fn on_missed_marks(&mut self, page: MarkPage) {
        page.conversations.into_iter().for_each(|marks| self.state.on_marks(marks));
        self.state.keep_marks_position(Some(page.position));
        self.marks_are_known(page.more);
    }

    /// A question about marks is answered; whether there is more to ask.
    fn marks_are_known(&mut self, more: bool) {
        if std::mem::take(&mut self.marks) == Missed::AskAgain || more {
            self.ask_marks();
        }
    }

    /// The answer to the watch of an earlier session: what has changed in between is not known,
    /// so all of it is told. Or marks that were missed.
    fn on_own_answer(&mut self, request: &Request, answer: Answer) {
        match (request, answer) {
            (_, Ok(ServerFrame::Presence { users, .. })) => {
                users.into_iter().for_each(|view| self.state.outlet.tell(Notification::PresenceChanged(view)));
            }
            (_, Ok(ServerFrame::Marks { page, .. })) => self.on_missed_marks(page),
            (Request::Marks { since, .. }, refused) => {
                tracing::warn!(error = ?refused.err(), "marks that were missed are not told");
                // Perhaps the position is none of this Natter: then it begins at the present.
                self.state.keep_marks_position(None);
                self.marks_are_known(since.is_some());
            }
            (_, Ok(_)) => {}
            (_, Err(error)) => tracing::warn!(%error, "a presence watch is refused"),
        }
    }
}
