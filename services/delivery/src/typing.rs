//! Passes on who is writing, to the members who are online of conversations that are not too large.
//!
//! It is worth nothing late: what does not get its turn soon is dropped.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use natter_bus::{Bus, Typing, TypingSignals};
use natter_ids::ConversationId;
use natter_telemetry::metrics;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    online::Online,
    worker::{FanOut, Members},
};

/// Most signals worked on at once; more are dropped.
const AT_ONCE: usize = 256;
/// How long a signal may wait for the members of its conversation.
const WAIT: Duration = Duration::from_secs(1);
/// How many conversations are remembered as too large, and for how long: they may shrink.
const TOO_LARGE_MAX: u64 = 10_000;
const TOO_LARGE_FOR: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Whispers {
    bus: Bus,
    online: Online,
    worker: Arc<FanOut>,
    members_max: usize,
    /// Conversations that were found to have more members.
    too_large: Cache<ConversationId, ()>,
}

impl Whispers {
    pub(crate) fn new(bus: Bus, online: Online, worker: Arc<FanOut>, members_max: u32) -> Self {
        let too_large = Cache::builder().max_capacity(TOO_LARGE_MAX).time_to_live(TOO_LARGE_FOR).build();
        Self { bus, online, worker, members_max: members_max as usize, too_large }
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
        if self.too_large.contains_key(&typing.conversation) {
            return;
        }
        let members = timeout(WAIT, self.worker.members(&typing.conversation, self.members_max)).await;
        let members = match members {
            Ok(Some(Members::These(members))) => members,
            Ok(Some(Members::TooMany)) => return self.too_large.insert(typing.conversation.clone(), ()),
            Ok(None) | Err(_) => return,
        };
        // The gateway has looked already; who was removed meanwhile is a member no more.
        if members.binary_search(&typing.user).is_err() {
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
