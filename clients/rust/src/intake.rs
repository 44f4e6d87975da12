//! What the application asks, until the driver takes it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::outbound::Outstanding;

/// Fewer than this are not worth looking through.
const SWEEP_MIN: usize = 64;

/// A queue that takes a request at once, in the order of the calls: one that made its callers
/// wait for room would let a later call overtake one that has room and has not run yet.
///
/// It holds no more than twice what callers wait for: each waits with a future of its own, and
/// what nobody waits for any more is swept out.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outstanding>,
    /// The length at which abandoned requests are swept out.
    sweep_at: usize,
    closed: bool,
}

impl Intake {
    /// Adds a request. `false` when the driver has ended.
    pub fn put(&self, item: Outstanding) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if state.queue.len() >= state.sweep_at {
            state.queue.retain(|item| !item.abandoned());
            state.sweep_at = SWEEP_MIN.max(2 * state.queue.len());
        }
        state.queue.push_back(item);
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// The oldest request, if there is any.
    pub fn take(&self) -> Option<Outstanding> {
        self.lock().queue.pop_front()
    }

    /// Waits for a request. For one driver. Safe to drop while it waits.
    pub async fn next(&self) -> Outstanding {
        loop {
            if let Some(item) = self.take() {
                return item;
            }
            self.arrived.notified().await;
        }
    }

    /// Takes nothing more, and gives back what nobody took.
    pub fn close(&self) -> VecDeque<Outstanding> {
        let mut state = self.lock();
        state.closed = true;
        std::mem::take(&mut state.queue)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use natter_protocol::Request;
    use tokio::sync::oneshot;

    use super::*;
    use crate::outbound::Asker;

    #[test]
    fn what_nobody_waits_for_does_not_stay() {
        let intake = Intake::default();
        let mut waiting = Vec::new();
        for number in 0..10_000 {
            let (reply, answer) = oneshot::channel();
            let request = Request::WatchPresence { users: Vec::new() };
            assert!(intake.put(Outstanding::new(request, Asker::Application(reply))));
            if number % 1_000 == 0 {
                waiting.push(answer);
            }
        }
        assert!(intake.lock().queue.len() <= SWEEP_MIN, "{}", intake.lock().queue.len());
        let kept = intake.close().iter().filter(|item| !item.abandoned()).count();
        assert_eq!(kept, waiting.len());
    }
}
