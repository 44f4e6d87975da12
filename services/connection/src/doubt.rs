//! When live events may have been lost: sessions are told, and make sure.

use std::time::{Duration, Instant};

use natter_bus::{Bus, LinkEvent};
use natter_runtime::{OnEnd, Scope};
use tokio::sync::{broadcast::error::RecvError, watch};
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_secs(1);
/// After being away for this long, others may have taken this gateway for dead and sent it nothing.
const AWAY: Duration = Duration::from_secs(8);
/// After so long without NATS sessions are told: most connections are back sooner.
const MENTIONED_AFTER: Duration = Duration::from_secs(2);

/// Something may have been lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Doubt {
    /// Counts the occasions.
    pub(crate) number: u64,
    /// Whether this gateway was away for so long that nothing sent meanwhile can be relied on.
    pub(crate) deep: bool,
    /// Whether it is away still: what comes is late.
    pub(crate) away: bool,
}

/// Watches the connection to NATS and this process itself.
pub(crate) fn start(bus: &Bus, scope: &Scope) -> watch::Receiver<Doubt> {
    let (sender, receiver) = watch::channel(Doubt::default());
    let (bus, cancel) = (bus.clone(), scope.cancel_token());
    scope.spawn("connection-doubt", OnEnd::StopProcess, async move { follow(bus, sender, cancel).await });
    receiver
}

async fn follow(bus: Bus, doubts: watch::Sender<Doubt>, cancel: CancellationToken) {
    let mut link = bus.link_events();
    let mut tick = tokio::time::interval(TICK);
    let mut ticked_at = Instant::now();
    let mut lost_at: Option<Instant> = None;
    let mut dropped_at: Option<Instant> = None;
    let mut mentioned = false;
    let doubt = |deep, away| doubts.send_modify(|doubt| *doubt = Doubt { number: doubt.number + 1, deep, away });
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            event = link.recv() => match event {
                Ok(LinkEvent::Lost) => lost_at = lost_at.or_else(|| Some(Instant::now())),
                Ok(LinkEvent::Restored) => {
                    let long = lost_at.take().is_some_and(|at| at.elapsed() >= AWAY);
                    mentioned = false;
                    doubt(long, false);
                }
                // Drops come in bursts: one doubt, once the burst is over.
                Ok(LinkEvent::Dropped) | Err(RecvError::Lagged(_)) => dropped_at = Some(Instant::now()),
                Err(RecvError::Closed) => return,
            },
            _ = tick.tick() => {
                if ticked_at.elapsed() >= AWAY {
                    tracing::warn!(seconds = ticked_at.elapsed().as_secs(), "this process stood still; sessions make sure that they missed nothing");
                    doubt(true, false);
                }
                if !mentioned && lost_at.is_some_and(|at| at.elapsed() >= MENTIONED_AFTER) {
                    mentioned = true;
                    doubt(true, true);
                }
                ticked_at = Instant::now();
                if dropped_at.take_if(|at| at.elapsed() >= TICK / 2).is_some() {
                    doubt(false, false);
                }
            }
        }
    }
}
