//! The registry, kept current and asked.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
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
/// A tick that comes this late means that this process stood still, or was busy: the silence was its own.
const STALLED: Duration = Duration::from_secs(5);
/// For how long it is remembered who has hidden: longer than a gateway takes to report it, or their leaving.
const HID_LATELY: Duration = Duration::from_secs(60);
/// How many users' last moments are kept at the same time.
const KEPT_AT_ONCE: usize = 64;

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

/// What this replica remembers of users, besides the registry.
#[derive(Default)]
struct Known {
    leaving: Leaving,
    /// Who was announced to be online.
    shown: HashSet<UserId>,
    /// Who has said that they hide, and when. A gateway may report that they left without saying it.
    hid: HashMap<UserId, Instant>,
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
        let mut known = Known::default();
        let mut ticked_at = Instant::now();
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
                    if let Some(Told::Privacy { user, privacy }) = told {
                        self.on_privacy(user, privacy.presence, &mut known).await;
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
                    let stalled = ticked_at.elapsed() >= STALLED;
                    ticked_at = Instant::now();
                    known.hid.retain(|_, since| since.elapsed() < HID_LATELY);
                    // Reports that came meanwhile wait to be read.
                    if stalled { Vec::new() } else { self.write(|registry| registry.expire(Instant::now())) }
                }
            };
            self.note(transitions, &mut known).await;
            self.announce_left(&mut known).await;
        }
    }

    async fn on_privacy(&self, user: UserId, presence: Audience, known: &mut Known) {
        if presence == Audience::Nobody {
            self.forget(&user).await;
            known.hid.insert(user, Instant::now());
        } else {
            known.hid.remove(&user);
        }
    }

    async fn note(&self, transitions: Vec<Transition>, Known { leaving, shown, .. }: &mut Known) {
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
    async fn announce_left(&self, Known { leaving, shown, hid }: &mut Known) {
        let grace = Duration::from_millis(self.config.offline_grace_ms.into());
        let gone = leaving.extract_if(|_, gone| gone.since.elapsed() >= grace).filter_map(|(user, gone)| {
            let hides = gone.status.hidden || hid.contains_key(&user);
            // Who hides and was not shown was offline to others all the time.
            let announced = shown.remove(&user) || !hides;
            announced.then_some((user, (!hides).then_some(gone.at)))
        });
        let gone: Vec<_> = gone.collect();
        // A gateway that dies takes thousands with it.
        let announced = stream::iter(gone).for_each_concurrent(KEPT_AT_ONCE, |(user, last_seen)| async move {
            if let Some(at) = last_seen
                && let Err(error) = self.bus.keep_last_seen(&user, at).await
            {
                tracing::warn!(error, "when a user was seen last could not be kept");
            }
            self.announce(PresenceView { user, online: false, away: false, last_seen }).await;
        });
        announced.await;
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
