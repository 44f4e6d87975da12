//! Where a session finds what came for it in the gateway's own inbox: events of large
//! conversations, which are sent once to each gateway.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use natter_bus::{Arrival, GatewayInbox, Shipment};
use natter_runtime::{OnEnd, Scope};
use tokio_util::sync::CancellationToken;

use crate::devices::Devices;

/// Most events that wait for a session. One that has so many to catch up with reads them from the
/// archive instead.
const WAITING_MAX: usize = 256;

/// How often a gateway that drains looks whether sessions are left.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What a session finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Event(Arrival),
    /// More came than may wait.
    TooMuch,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Arrival>,
    overflown: bool,
}

/// Of one session. Empty it costs no more than itself.
#[derive(Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    session: AtomicWaker,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, arrival: Arrival) {
        let mut waiting = self.lock();
        if waiting.events.len() >= WAITING_MAX {
            // What follows would be no use without what was dropped.
            *waiting = Waiting { events: VecDeque::new(), overflown: true };
        }
        if !waiting.overflown {
            waiting.events.push_back(arrival);
        }
        drop(waiting);
        self.session.wake();
    }

    /// What is there now.
    pub(crate) fn take(&self) -> Option<Found> {
        let mut waiting = self.lock();
        if std::mem::take(&mut waiting.overflown) {
            return Some(Found::TooMuch);
        }
        let found = waiting.events.pop_front().map(Found::Event);
        if waiting.events.is_empty() {
            // A burst of years ago must not hold its room for ever.
            waiting.events = VecDeque::new();
        }
        found
    }

    /// Waits for the next. Cancel safe.
    pub(crate) async fn next(&self) -> Found {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Found> {
        self.session.register(cx.waker());
        self.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Starts to hand out what comes for sessions here.
pub(crate) fn start(inbox: GatewayInbox, devices: Devices, scope: &Scope) {
    scope.spawn("connection-inbox", OnEnd::StopProcess, hand_out(inbox, devices, scope.cancel_token()));
}

async fn hand_out(mut inbox: GatewayInbox, devices: Devices, cancel: CancellationToken) {
    while let Some(shipment) = next(&mut inbox, &devices, &cancel).await {
        for (user, link) in shipment.recipients() {
            devices.each_mailbox(user, |mailbox| mailbox.put(Arrival { event: shipment.event.clone(), link }));
        }
        tokio::task::consume_budget().await;
    }
}

/// The next shipment; `None` when no session is left, after the gateway was told to stop.
async fn next(inbox: &mut GatewayInbox, devices: &Devices, cancel: &CancellationToken) -> Option<Shipment> {
    loop {
        let stops = cancel.is_cancelled();
        if stops && devices.is_empty() {
            return None;
        }
        tokio::select! {
            next = inbox.next() => return next,
            () = cancel.cancelled(), if !stops => {}
            () = tokio::time::sleep(LOOK_AGAIN), if stops => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use futures_util::FutureExt;
    use natter_bus::LiveEvent;
    use natter_ids::Partition;

    use super::*;

    fn arrival(seq: u64) -> Arrival {
        let event = LiveEvent { partition: Partition(0), seq, json: Bytes::new(), stored_at: None, trace: None };
        Arrival { event, link: seq - 1 }
    }

    #[test]
    fn events_are_found_in_order_and_too_many_are_told() {
        let mailbox = Arc::new(Mailbox::default());
        assert_eq!(mailbox.next().now_or_never(), None);
        (1..=3).for_each(|seq| mailbox.put(arrival(seq)));
        for seq in 1..=3 {
            assert_eq!(mailbox.next().now_or_never(), Some(Found::Event(arrival(seq))));
        }
        assert_eq!(mailbox.take(), None);
        (1..=300).for_each(|seq| mailbox.put(arrival(seq)));
        assert_eq!(mailbox.take(), Some(Found::TooMuch));
        assert_eq!(mailbox.take(), None);
        mailbox.put(arrival(301));
        assert_eq!(mailbox.take(), Some(Found::Event(arrival(301))));
    }

    #[tokio::test]
    async fn a_session_that_waits_is_woken() {
        let mailbox = Arc::new(Mailbox::default());
        let putting = Arc::clone(&mailbox);
        let put = async move {
            tokio::task::yield_now().await;
            putting.put(arrival(1));
        };
        assert_eq!(tokio::join!(mailbox.next(), put).0, Found::Event(arrival(1)));
    }
}
