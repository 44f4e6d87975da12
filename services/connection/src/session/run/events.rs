//! Events on their way to the client: live ones by either way, and missed ones from the archive.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use natter_bus::{
    Arrival, AskError, InboxMessage, LiveEvent, Note,
    storage_api::{Backlog, BacklogReply, StorageFault},
};
use natter_ids::Position;
use natter_protocol::{CloseCode, ServerFrame, event_frame};

use super::{
    super::{seam::Deliver, socket::Socket},
    Session,
    undecided::Pace,
};
use crate::{mailbox::Found, marks::hide_marks, members::stranded, observe::OnItsWay, screen::Shown};

/// Live messages taken in before the socket is looked at again.
const AT_ONCE: usize = 128;

pub(super) type Page = BoxFuture<'static, Result<BacklogReply, AskError>>;

impl Session<'_> {
    pub(super) fn on_inbox(&mut self, first: InboxMessage, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        self.go_by_newest_blocks(socket);
        let mut next = Some(first);
        for more in (0..AT_ONCE).rev() {
            match next {
                Some(InboxMessage::Event(arrival)) => {
                    self.on_event(arrival, socket)?;
                }
                // The inbox is shared by all devices of the user.
                Some(InboxMessage::Marker(marker)) if marker.session == self.session => self.seam.on_marker(&marker),
                Some(InboxMessage::Typing(typing)) => self.on_typing(typing),
                Some(InboxMessage::Marker(_)) => {}
                Some(InboxMessage::Note(mut note)) => {
                    if let Note::Marks(marks) = &mut note {
                        hide_marks(&self.blocks, &self.user, marks);
                    }
                    if !self.notes.add(note) {
                        return Err(Some(CloseCode::SlowConsumer));
                    }
                }
                None => break,
            }
            next = if more > 0 { self.inbox.next().now_or_never().flatten() } else { None };
        }
        Ok(())
    }

    pub(super) fn on_mailbox(&mut self, first: Found, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        self.go_by_newest_blocks(socket);
        let mut next = Some(first);
        for more in (0..AT_ONCE).rev() {
            match next {
                Some(Found::Event(arrival)) => self.on_event(arrival, socket)?,
                Some(Found::TooMuch) => self.seam.suspect(),
                None => break,
            }
            next = if more > 0 { self.signed_in.mailbox.take() } else { None };
        }
        Ok(())
    }

    fn on_event(&mut self, arrival: Arrival, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        let partition = arrival.event.partition;
        let mut next = self.seam.on_event(arrival);
        while let Some(event) = next {
            self.deliver(event, Pace::Live, socket)?;
            next = self.seam.next_early(partition);
        }
        Ok(())
    }

    /// The frame of an event; `None` when it is not shown.
    pub(super) fn event_text(&mut self, event: &Deliver) -> Result<Option<String>, Option<CloseCode>> {
        let Ok(json) = std::str::from_utf8(&event.json) else {
            tracing::error!("an event is not UTF-8");
            return Err(Some(CloseCode::Unavailable));
        };
        self.shared.group_settings.take_in(json);
        self.look_for_leaves(json);
        Ok(match self.screen.show(&self.blocks, json) {
            Shown::AsItIs => Some(event_frame(&event.position, json)),
            Shown::As(json) => Some(event_frame(&event.position, &json)),
            Shown::Not => None,
        })
    }

    pub(super) fn on_its_way(&self, event: &Deliver) -> OnItsWay {
        OnItsWay::new(self.shared, event.stored_at, event.trace.as_ref())
    }

    pub(super) fn ask_page(&self, upto: Position) -> Page {
        let (shared, user) = (Arc::clone(self.shared), self.user.clone());
        let (after, limit) = (self.seam.position().clone(), shared.config.backlog_page);
        async move {
            // Everybody returning at once is admitted at a pace that storage keeps up with.
            let _turn = shared.resumes.acquire().await;
            shared.bus.ask(&Backlog { user, after, upto: Some(upto), limit }).await
        }
        .boxed()
    }

    pub(super) fn on_page(
        &mut self,
        reply: Result<BacklogReply, AskError>,
        socket: &mut Socket,
    ) -> Result<(), Option<CloseCode>> {
        self.page = None;
        let reply = match reply {
            Ok(reply) => reply,
            Err(AskError::Refused(StorageFault::InGap)) => {
                socket.push(&ServerFrame::Error { id: None, error: stranded() });
                return Err(Some(CloseCode::InvalidPosition));
            }
            Err(error) => {
                tracing::debug!(%error, "missed events cannot be read now");
                self.when.archive.wait();
                self.tell_delayed("storage", socket);
                return Ok(());
            }
        };
        self.when.archive.reset();
        self.go_by_newest_blocks(socket);
        if let Some(behind) = &mut self.behind {
            behind.read(reply.events.len());
        }
        for event in reply.events {
            let json = String::from(Box::<str>::from(event.event)).into_bytes().into();
            let event = LiveEvent { partition: event.partition, seq: event.seq, json, stored_at: None, trace: None };
            if let Some(event) = self.seam.on_archived(event)
                && let Some(text) = self.event_text(&event)?
            {
                socket.push_text(text, OnItsWay::default());
            }
        }
        for event in self.seam.on_archived_upto(&reply.position) {
            self.deliver(event, Pace::Held, socket)?;
        }
        Ok(())
    }
}

pub(super) async fn next_page(page: &mut Option<Page>) -> Result<BacklogReply, AskError> {
    match page {
        Some(page) => page.await,
        None => std::future::pending().await,
    }
}
