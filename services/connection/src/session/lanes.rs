//! The requests of a session that are being answered: together, but those that write to one
//! conversation strictly one after the other, so that a sender's messages keep their order (G3).

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{FutureExt, Stream, future::BoxFuture, stream::FuturesUnordered};
use natter_ids::ConversationId;

type Work<T> = BoxFuture<'static, (Option<ConversationId>, T)>;

/// Requests under way and waiting; bounded by whoever asks [`Lanes::len`] before adding.
pub(crate) struct Lanes<T> {
    running: FuturesUnordered<Work<T>>,
    /// What waits for the one running, for each conversation that has one.
    waiting: HashMap<ConversationId, VecDeque<Work<T>>>,
    len: usize,
}

impl<T: Send + 'static> Lanes<T> {
    pub(crate) fn new() -> Self {
        Self { running: FuturesUnordered::new(), waiting: HashMap::new(), len: 0 }
    }

    /// How many are under way or waiting.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a request; with a lane, it begins after those added to that lane before.
    pub(crate) fn add(&mut self, lane: Option<ConversationId>, work: impl Future<Output = T> + Send + 'static) {
        self.len += 1;
        let key = lane.clone();
        let work = work.map(move |done| (key, done)).boxed();
        match lane.map(|lane| self.waiting.entry(lane)) {
            Some(std::collections::hash_map::Entry::Occupied(mut busy)) => busy.get_mut().push_back(work),
            Some(std::collections::hash_map::Entry::Vacant(free)) => {
                free.insert(VecDeque::new());
                self.running.push(work);
            }
            None => self.running.push(work),
        }
    }

    /// The next answer; pending while there is none under way. Cancel safe.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        let Poll::Ready(Some((lane, done))) = Pin::new(&mut self.running).poll_next(cx) else { return Poll::Pending };
        self.len -= 1;
        if let Some(lane) = lane {
            match self.waiting.get_mut(&lane).and_then(VecDeque::pop_front) {
                Some(next) => self.running.push(next),
                None => drop(self.waiting.remove(&lane)),
            }
        }
        Poll::Ready(done)
    }

    /// The next answer; waits for ever while there is none under way.
    pub(crate) async fn next(&mut self) -> T {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use natter_ids::UserId;
    use tokio::sync::oneshot;

    fn lane(name: &str) -> Option<ConversationId> {
        Some(ConversationId::direct(&UserId::new("alice").unwrap(), &UserId::new(name).unwrap()))
    }

    #[tokio::test]
    async fn one_conversation_one_after_the_other_and_others_beside() {
        let mut lanes = Lanes::new();
        let (first, gate) = oneshot::channel::<()>();
        lanes.add(lane("bob"), async move {
            gate.await.unwrap();
            "bob 1"
        });
        lanes.add(lane("bob"), async { "bob 2" });
        lanes.add(lane("carol"), async { "carol" });
        lanes.add(None, async { "free" });
        let mut got = vec![lanes.next().await, lanes.next().await];
        got.sort_unstable();
        assert_eq!(got, ["carol", "free"]);
        assert!(lanes.next().now_or_never().is_none(), "the second waits for the first");
        assert_eq!(lanes.len(), 2);
        first.send(()).unwrap();
        assert_eq!((lanes.next().await, lanes.next().await), ("bob 1", "bob 2"));
        assert_eq!((lanes.len(), lanes.waiting.len()), (0, 0));
        assert!(lanes.next().now_or_never().is_none());
    }
}
