//! Passes on who is writing, to the members who are online of conversations that are not too large.
//!
//! It is worth nothing late: what does not get its turn soon is dropped.

use std::{sync::Arc, time::Duration};

use natter_bus::{Bus, Typing, TypingSignals};
use natter_telemetry::metrics;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{online::Online, worker::FanOut};

/// Most signals worked on at once; more are dropped.
const AT_ONCE: usize = 256;
/// How long a signal may wait for the members of its conversation.
const WAIT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct Whispers {
    bus: Bus,
    online: Online,
    worker: Arc<FanOut>,
    members_max: usize,
}

impl Whispers {
    pub(crate) fn new(bus: Bus, online: Online, worker: Arc<FanOut>, members_max: u32) -> Self {
        Self { bus, online, worker, members_max: members_max as usize }
    }

    pub(crate) async fn run(self, mut signals: TypingSignals, cancel: CancellationToken) {
        let mut running = JoinSet::new();
        while let Some(Some(typing)) = cancel.run_until_cancelled(signals.next()).await {
            while running.try_join_next().is_some() {}
            if running.len() < AT_ONCE {
                let this = self.clone();
                running.spawn(async move { this.pass_on(&typing).await });
            }
        }
    }

    async fn pass_on(&self, typing: &Typing) {
        let members = timeout(WAIT, self.worker.members(&typing.conversation)).await;
        let Some(members) = members.ok().flatten() else { return };
        // The gateway has looked already; who was removed meanwhile is a member no more.
        if members.len() > self.members_max || members.binary_search(&typing.user).is_err() {
            return;
        }
        let others = members.iter().filter(|member| **member != typing.user);
        for member in others.filter(|member| self.online.may_be_online(member)) {
            if let Err(error) = self.bus.send_typing(member, typing).await {
                return tracing::debug!(error, "who is writing could not be passed on");
            }
            metrics::DELIVERY_TYPING.add(1, []);
        }
    }
}
