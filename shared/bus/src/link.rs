//! Whether a connection stands, told to whoever depends on it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use natter_telemetry::metrics;
use tokio::sync::broadcast;

/// Events that a slow listener may be behind.
const BEHIND: usize = 16;

/// How many connections of this process are down: the metric is one for all of them.
static DOWN: AtomicUsize = AtomicUsize::new(0);

/// What happened to the connection. Whoever depends on live messages must assume that some were
/// lost, because core NATS keeps none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEvent {
    /// The connection broke.
    Lost,
    /// The connection is back.
    Restored,
    /// A subscription of this process was too slow and messages were dropped.
    Dropped,
}

impl LinkEvent {
    const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Restored => "restored",
            Self::Dropped => "dropped",
        }
    }
}

/// One connection as those who depend on it see it.
pub(crate) struct Link {
    events: broadcast::Sender<LinkEvent>,
    up: AtomicBool,
}

impl Link {
    /// A connection that does not stand yet.
    pub(crate) fn new() -> Self {
        let down = DOWN.fetch_add(1, Ordering::Relaxed) + 1;
        show(down);
        Self { events: broadcast::Sender::new(BEHIND), up: AtomicBool::new(false) }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<LinkEvent> {
        self.events.subscribe()
    }

    /// Counts, logs and passes on what happened. A loss that both the pulse and the client notice
    /// is one.
    pub(crate) fn tell(&self, seen: LinkEvent) {
        let was_up = match seen {
            LinkEvent::Lost => self.up.swap(false, Ordering::Relaxed),
            LinkEvent::Restored => self.up.swap(true, Ordering::Relaxed),
            LinkEvent::Dropped => self.up.load(Ordering::Relaxed),
        };
        match (was_up, seen) {
            (false, LinkEvent::Lost) => return,
            (true, LinkEvent::Lost) => show(DOWN.fetch_add(1, Ordering::Relaxed) + 1),
            (false, LinkEvent::Restored) => show(DOWN.fetch_sub(1, Ordering::Relaxed) - 1),
            _ => {}
        }
        metrics::NATS_LINK_EVENTS.add(1, [seen.name().into()]);
        if seen != LinkEvent::Restored {
            tracing::warn!(?seen, "the connection to NATS lost messages or broke");
        }
        // Nobody listening is fine: not every service depends on live messages.
        let _ = self.events.send(seen);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !*self.up.get_mut() {
            show(DOWN.fetch_sub(1, Ordering::Relaxed) - 1);
        }
    }
}

/// A process without NATS, such as the canary, shows nothing: 0 would be a loss.
fn show(down: usize) {
    metrics::NATS_CONNECTED.set(if down == 0 { 1.0 } else { 0.0 }, []);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_once_and_one_of_two_connections_down_counts() {
        let (one, other) = (Link::new(), Link::new());
        let before = DOWN.load(Ordering::Relaxed);
        let mut told = one.subscribe();
        one.tell(LinkEvent::Lost);
        assert!(told.try_recv().is_err(), "it never stood");
        for seen in [LinkEvent::Restored, LinkEvent::Lost, LinkEvent::Lost, LinkEvent::Restored, LinkEvent::Dropped] {
            one.tell(seen);
        }
        let told: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).collect();
        assert_eq!(told, [LinkEvent::Restored, LinkEvent::Lost, LinkEvent::Restored, LinkEvent::Dropped]);
        assert_eq!(DOWN.load(Ordering::Relaxed), before - 1);
        other.tell(LinkEvent::Restored);
        other.tell(LinkEvent::Lost);
        assert_eq!(DOWN.load(Ordering::Relaxed), before - 1);
        drop(other);
        drop(one);
        assert_eq!(DOWN.load(Ordering::Relaxed), before - 2);
    }
}
