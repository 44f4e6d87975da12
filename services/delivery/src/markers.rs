//! Answers marker requests: see [`natter_bus::Marker`] for what a marker promises.

use std::sync::Arc;

use natter_bus::{Bus, Marker, MarkerRequest, MarkerRequests, Reached};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{online::Online, progress::Progress};

/// Most requests answered at once; more wait in the subscription, and gateways ask again.
const AT_ONCE: usize = 1_024;

#[derive(Clone)]
pub(crate) struct Markers {
    bus: Bus,
    online: Online,
    progress: Arc<Progress>,
}

impl Markers {
    pub(crate) fn new(bus: Bus, online: Online, progress: Arc<Progress>) -> Self {
        Self { bus, online, progress }
    }

    pub(crate) async fn run(self, mut requests: MarkerRequests, cancel: CancellationToken) {
        let mut answers = JoinSet::new();
        while let Some(Some(request)) = cancel.run_until_cancelled(requests.next()).await {
            while answers.try_join_next().is_some() {}
            if answers.len() >= AT_ONCE {
                answers.join_next().await;
            }
            let this = self.clone();
            answers.spawn(async move { this.answer(request).await });
        }
    }

    async fn answer(&self, request: MarkerRequest) {
        // First the user is known to be online, then the numbers are read: see `Progress`.
        self.online.has_applied(&request.gateway, request.reported).await;
        let owned = self.progress.reached();
        if owned.is_empty() {
            return;
        }
        let link = |partition| self.online.link(partition, &request.user);
        let reached =
            owned.into_iter().map(|(partition, seq)| Reached { partition, seq, link: link(partition) }).collect();
        let marker = Marker { session: request.session, round: request.round, reached };
        if let Err(error) = self.bus.send_marker(&request.user, &marker).await {
            tracing::debug!(error, "a marker could not be sent; the gateway asks again");
        }
    }
}
