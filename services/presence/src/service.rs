//! The registry, kept current and asked.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use natter_bus::{
    Bus,
    presence::{GatewayReports, Registry, Status, Transition},
    users::{GatewaysTold, Told},
};
use natter_ids::UserId;
use natter_protocol::{Audience, PresenceView};
use natter_telemetry::metrics;
use tokio_util::sync::CancellationToken;

use crate::Config;

const TICK: Duration = Duration::from_millis(250);
/// How long after asking for full reports they are asked for again while some are missing.
const REFRESH: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(crate) struct Presence {
    config: Config,
    bus: Bus,
    registry: Arc<RwLock<Registry>>,
}

/// Users who went offline and may be back before it is announced.
type Leaving = HashMap<UserId, Gone>;

struct Gone {
    since: Instant,
    /// In milliseconds since 1970 UTC.
    at: u64,
    status: Status,
}

/// What others see.
fn view(user: UserId, online: bool, last_seen: Option<u64>, status: Status) -> PresenceView {
    if status.hidden {
        return PresenceView { user, online: false, away: false, last_seen: None };
    }
    PresenceView { user, online, away: online && status.away, last_seen }
}

impl Presence {
    pub(crate) fn new(config: Config, bus: Bus) -> Self {
        let lease = Duration::from_millis(config.lease_ms.into());
        Self { config, bus, registry: Arc::new(RwLock::new(Registry::new(lease))) }
    }

    /// Answers with one view per user, in the order asked.
    pub(crate) async fn answer(self, users: Vec<UserId>) -> Vec<PresenceView> {
        let seen = |user: &UserId| {
            let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
            (registry.is_online(user), registry.status(user))
        };
        let mut views = Vec::with_capacity(users.len());
        for user in users {
            let (online, status) = seen(&user);
            let last_seen = if online { None } else { self.bus.last_seen(&user).await.unwrap_or_default() };
            views.push(view(user, online, last_seen, status));
        }
        views
    }

    pub(crate) async fn follow(self, mut reports: GatewayReports, mut told: GatewaysTold, cancel: CancellationToken) {
        let (mut leaving, mut shown) = (Leaving::new(), HashSet::new());
        let mut link = self.bus.link_events();
        let mut tick = tokio::time::interval(TICK);
        let mut asked_at = Instant::now();
        self.refresh().await;
        loop {
            let transitions = tokio::select! {
                () = cancel.cancelled() => return,
                report = reports.next() => match report {
                    Some(report) => self.write(|registry| registry.apply(report, Instant::now(), self.bus.now_ms())),
                    None => return,
                },
                told = told.next() => {
                    if let Some(Told::Privacy { user, privacy }) = told
                        && privacy.presence == Audience::Nobody
                    {
                        self.forget(&user).await;
                    }
                    Vec::new()
                }
                _ = link.recv() => {
                    self.write(Registry::distrust);
                    Vec::new()
                }
                _ = tick.tick() => {
                    if asked_at.elapsed() >= REFRESH && !self.write(|registry| registry.is_complete()) {
                        asked_at = Instant::now();
                        self.refresh().await;
                    }
                    self.write(|registry| registry.expire(Instant::now()))
                }
            };
            self.note(transitions, &mut leaving, &mut shown).await;
            self.announce_left(&mut leaving, &mut shown).await;
        }
    }

    async fn note(&self, transitions: Vec<Transition>, leaving: &mut Leaving, shown: &mut HashSet<UserId>) {
        for Transition { user, online, last_seen, status } in transitions {
            if !online {
                let at = last_seen.unwrap_or_else(|| self.bus.now_ms());
                leaving.insert(user, Gone { since: Instant::now(), at, status });
                continue;
            }
            if leaving.remove(&user).is_some_and(|gone| gone.status == status) {
                continue;
            }
            if status.hidden {
                self.forget(&user).await;
                // Who was not seen before is not announced: that would tell when they come.
                if !shown.remove(&user) {
                    continue;
                }
            } else {
                shown.insert(user.clone());
            }
            self.announce(view(user, true, None, status)).await;
        }
    }

    /// Announces those who did not come back within the grace.
    async fn announce_left(&self, leaving: &mut Leaving, shown: &mut HashSet<UserId>) {
        let grace = Duration::from_millis(self.config.offline_grace_ms.into());
        let gone = leaving.extract_if(|_, gone| gone.since.elapsed() >= grace).collect::<Vec<_>>();
        for (user, Gone { at, status, .. }) in gone {
            if !shown.remove(&user) && status.hidden {
                // They were shown as offline all the time.
                continue;
            }
            if let Err(error) = self.bus.keep_last_seen(&user, at).await {
                tracing::warn!(error, "when a user was seen last could not be kept");
            }
            self.announce(PresenceView { user, online: false, away: false, last_seen: Some(at) }).await;
        }
        let online = self.write(|registry| registry.len());
        metrics::PRESENCE_USERS_ONLINE.set(i64::try_from(online).unwrap_or(i64::MAX));
    }

    /// Whoever hides leaves no trace of when they were here.
    async fn forget(&self, user: &UserId) {
        if let Err(error) = self.bus.forget_last_seen(user).await {
            tracing::warn!(error, "when a user was seen last could not be forgotten");
        }
    }

    async fn announce(&self, view: PresenceView) {
        if let Err(error) = self.bus.announce_presence(&view).await {
            tracing::debug!(error, "a change of presence could not be announced");
        }
    }

    async fn refresh(&self) {
        if let Err(error) = self.bus.request_presence_refresh().await {
            tracing::debug!(error, "full reports could not be asked for; asked again soon");
        }
    }

    fn write<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        change(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner))
    }
}
