//! Events that wait until it is known whether the user may see them, with all that come behind them, so that the
//! order stays. Meanwhile nothing more is taken in: inboxes and mailboxes have limits of their own.

use std::{collections::VecDeque, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use natter_protocol::CloseCode;

use super::{
    super::{seam::Deliver, socket::Socket},
    Session,
};
use crate::hindsight::{LookBack, without_content};

/// How an event is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It happens now.
    Live,
    /// It was held while missed ones were read.
    Held,
}

/// What waits, and for what.
#[derive(Default)]
pub(super) struct Undecided {
    waiting: VecDeque<(Deliver, Pace)>,
    /// Whether the first of them is hidden.
    asked: Option<BoxFuture<'static, bool>>,
}

impl Undecided {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits for the answer about the first one.
    pub(super) async fn answer(&mut self) -> bool {
        match &mut self.asked {
            Some(asked) => asked.await,
            None => std::future::pending().await,
        }
    }
}

impl Session<'_> {
    /// Sends an event that came live, or keeps it until it may be sent.
    pub(super) fn deliver(&mut self, event: Deliver, pace: Pace, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        if self.undecided.is_empty() && LookBack::of(&event.json, &self.user).is_none() {
            return self.send(&event, pace, socket);
        }
        self.undecided.waiting.push_back((event, pace));
        self.decide(socket)
    }

    pub(super) fn on_decided(&mut self, hidden: bool, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        self.undecided.asked = None;
        self.go_by_newest_blocks(socket);
        if let Some((mut event, pace)) = self.undecided.waiting.pop_front() {
            if hidden {
                event.json = without_content(&event.json).ok_or(Some(CloseCode::Unavailable))?.into();
            }
            self.send(&event, pace, socket)?;
        }
        self.decide(socket)
    }

    /// Sends what may be sent, up to the next one that has to be asked about.
    fn decide(&mut self, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        if self.undecided.asked.is_some() {
            return Ok(());
        }
        while let Some((event, pace)) = self.undecided.waiting.pop_front() {
            if let Some(change) = LookBack::of(&event.json, &self.user) {
                self.undecided.waiting.push_front((event, pace));
                let (shared, user) = (Arc::clone(self.shared), self.user.clone());
                self.undecided.asked = Some(async move { shared.hindsight.hides(&change, &user).await }.boxed());
                return Ok(());
            }
            self.send(&event, pace, socket)?;
        }
        Ok(())
    }

    fn send(&mut self, event: &Deliver, pace: Pace, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        if let Some(text) = self.event_text(event)? {
            match pace {
                Pace::Live => socket.push_live(text, self.on_its_way(event)),
                Pace::Held => socket.push_text(text, self.on_its_way(event)),
            }
        }
        Ok(())
    }
}
