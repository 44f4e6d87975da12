//! What seldom happens to a session. It is waited for in one future, which is looked at only when something of it has
//! happened: a session looks at everything it waits for with each message.

use std::{future::pending, sync::Arc};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use natter_bus::users::Blocks;
use natter_protocol::CloseCode;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{super::socket::Socket, Session};
use crate::doubt::Doubt;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rarely {
    /// The user's blocks are others.
    Blocks,
    /// The device was revoked.
    Revoked,
    /// Something may have been lost.
    Doubt,
    /// The gateway is to end.
    Draining,
}

/// Waits for it.
#[derive(Default)]
pub(super) struct Waiting(FuturesUnordered<BoxFuture<'static, Rarely>>);

impl Waiting {
    /// Begins to wait anew after something has happened and was seen.
    pub(super) fn arm(&mut self, signals: impl FnOnce() -> Signals) {
        if self.0.is_empty() {
            self.0.push(Box::pin(signals().next()));
        }
    }

    /// The next that happens. Cancel safe.
    pub(super) async fn next(&mut self) -> Rarely {
        match self.0.next().await {
            Some(happened) => happened,
            None => pending().await,
        }
    }
}

/// Where it is told. What was told before they were cloned and seen does not count.
pub(super) struct Signals {
    pub(super) blocks: watch::Receiver<Arc<Blocks>>,
    pub(super) doubts: watch::Receiver<Doubt>,
    pub(super) revoked: CancellationToken,
    /// Absent once it is known.
    pub(super) draining: Option<CancellationToken>,
}

impl Signals {
    async fn next(mut self) -> Rarely {
        let draining = async {
            match &self.draining {
                Some(draining) => draining.cancelled().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.revoked.cancelled() => Rarely::Revoked,
            Ok(()) = self.blocks.changed() => Rarely::Blocks,
            Ok(()) = self.doubts.changed() => Rarely::Doubt,
            () = draining => Rarely::Draining,
        }
    }
}

impl Session<'_> {
    pub(super) fn on_rarely(&mut self, happened: Rarely, socket: &mut Socket) -> Result<(), Option<CloseCode>> {
        match happened {
            Rarely::Blocks => self.on_blocks(socket),
            Rarely::Doubt => return self.on_doubt(socket),
            Rarely::Draining => self.when.leave = Some(self.shared.pace.next_slot()),
            Rarely::Revoked => {
                // What waits for it is not its business any more.
                socket.forget();
                return Err(Some(CloseCode::DeviceRevoked));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_happens_is_told_once() {
        let (blocks, mut blocks_seen) = watch::channel(Arc::new(Blocks::default()));
        let (_doubts, doubts) = watch::channel(Doubt::default());
        let (revoked, draining) = (CancellationToken::new(), CancellationToken::new());
        let mut waiting = Waiting::default();
        let signals = |blocks: &watch::Receiver<Arc<Blocks>>, drains: bool| Signals {
            blocks: blocks.clone(),
            doubts: doubts.clone(),
            revoked: revoked.clone(),
            draining: drains.then(|| draining.clone()),
        };
        waiting.arm(|| signals(&blocks_seen, true));
        assert_eq!(waiting.next().now_or_never(), None);
        blocks.send_replace(Arc::default());
        assert_eq!(waiting.next().now_or_never(), Some(Rarely::Blocks));
        blocks_seen.mark_unchanged();
        // Between the look and the wait nothing is lost.
        draining.cancel();
        waiting.arm(|| signals(&blocks_seen, true));
        assert_eq!(waiting.next().now_or_never(), Some(Rarely::Draining));
        waiting.arm(|| signals(&blocks_seen, false));
        assert_eq!(waiting.next().now_or_never(), None);
        revoked.cancel();
        assert_eq!(waiting.next().now_or_never(), Some(Rarely::Revoked));
    }
}
