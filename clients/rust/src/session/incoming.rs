//! What a session does with what the gateway says.

use std::{sync::PoisonError, time::Duration};

use natter_protocol::{CloseCode, ErrorBody, MarkPage, Request, RequestId, ServerFrame};
use tokio::time::Instant;

use super::{Session, wire::Incoming};
use crate::{
    Notification, decode_server_frame,
    driver::Ending,
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
            Unknown::Answer(id) => self.state.outbound.unreadable(id),
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
        match answered {
            Some(Answered::NeedsToken) => self.begin_refresh(),
            Some(Answered::ForDriver(answer)) => self.on_own_answer(answer),
            Some(Answered::Done | Answered::Later) | None => {}
        }
    }

    fn answered(&mut self, id: RequestId, frame: ServerFrame) {
        if let Some((_, users)) = self.watch.take_if(|(asked, _)| *asked == id) {
            self.state.watched = users;
        }
        // What the driver asks for itself is news to the application, and told.
        if !self.state.outbound.is_drivers(id) {
            self.state.known.learn(self.state.shared.user.get(), &frame);
        }
        if let Some(Answered::ForDriver(answer)) = self.state.outbound.answer(id, frame) {
            self.on_own_answer(answer);
        }
    }

    /// Asks for the marks that have changed since they were last known: what was live may have been
    /// lost with the connection, or on the way.
    fn ask_marks(&mut self) {
        if self.state.options.receipts && !std::mem::replace(&mut self.marks_asked, true) {
            let since = self.state.shared.marks_position.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.state.outbound.push(Outstanding::new(Request::Marks { since, limit: None }, Asker::Driver));
        }
    }

    fn on_missed_marks(&mut self, page: MarkPage) {
        page.conversations.into_iter().for_each(|marks| self.state.on_marks(marks));
        *self.state.shared.marks_position.lock().unwrap_or_else(PoisonError::into_inner) = Some(page.position);
        self.marks_asked = false;
        if page.more {
            self.ask_marks();
        }
    }

    /// The answer to the watch of an earlier session: what has changed in between is not known,
    /// so all of it is told. Or marks that were missed.
    fn on_own_answer(&mut self, answer: Answer) {
        match answer {
            Ok(ServerFrame::Presence { users, .. }) => {
                users.into_iter().for_each(|view| self.state.outlet.tell(Notification::PresenceChanged(view)));
            }
            Ok(ServerFrame::Marks { page, .. }) => self.on_missed_marks(page),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "a presence watch, or marks that were missed, are refused");
                if std::mem::take(&mut self.marks_asked) {
                    // Perhaps the position is none of this Natter.
                    *self.state.shared.marks_position.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
            }
        }
    }
}
