//! Who may be online, as delivery sees it.
//!
//! Sending to somebody offline only costs a message that nobody receives; not sending to
//! somebody online costs them a live event. So whatever is not known counts as online.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use natter_bus::{
    Bus, LinkEvent,
    presence::{GatewayReports, Registry},
};
use natter_ids::{GatewayId, Seq, UserId};
use natter_runtime::{OnEnd, Scope};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

/// Longer than presence waits: a gateway that is slow to report must not be taken for dead here.
const LEASE: Duration = Duration::from_secs(30);
/// How long a marker waits for the report that it depends on.
const REPORT_WAIT: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_secs(1);
/// A tick that comes this late means that this process stood still: the silence was its own.
const STALLED: Duration = Duration::from_secs(5);
/// After this long every living gateway has answered a request for full reports.
const SETTLE: Duration = Duration::from_secs(3);

/// Recipients of an event, by how it is sent to them.
#[derive(Default)]
pub(crate) struct Parted {
    /// Together with others at the same gateway.
    pub(crate) gateways: HashMap<GatewayId, Vec<(UserId, Seq)>>,
    /// Each into their own inbox.
    pub(crate) alone: Vec<(UserId, Seq)>,
}

/// A view of who is online that errs on the side of sending. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Online(Arc<Shared>);

struct Shared {
    bus: Bus,
    registry: RwLock<Registry>,
    /// Whether absence from the registry means offline.
    trusted: AtomicBool,
    changed: Notify,
}

impl Online {
    pub(crate) async fn start(bus: Bus, scope: &Scope) -> Result<Self, String> {
        let reports = bus.gateway_reports().await?;
        let link = bus.link_events();
        let this = Self(Arc::new(Shared {
            bus,
            registry: RwLock::new(Registry::new(LEASE)),
            trusted: AtomicBool::new(false),
            changed: Notify::new(),
        }));
        let (follower, cancel) = (this.clone(), scope.cancel_token());
        scope.spawn("delivery-online", OnEnd::StopProcess, async move { follower.follow(reports, link, cancel).await });
        Ok(this)
    }

    /// Whether an event must be sent to the user.
    pub(crate) fn may_be_online(&self, user: &UserId) -> bool {
        !self.0.trusted.load(Ordering::SeqCst) || self.read().is_online(user)
    }

    /// Sorts recipients of an event, each with its link, by where they are; who is offline is left out.
    pub(crate) fn sort<'a>(&self, users: impl Iterator<Item = (&'a UserId, Seq)>, into: &mut Parted) {
        if !self.0.trusted.load(Ordering::SeqCst) {
            // They may be where nobody has said yet that they are.
            into.alone.extend(users.map(|(user, link)| (user.clone(), link)));
            return;
        }
        let registry = self.read();
        let inboxes = registry.inboxes();
        for (user, link) in users {
            let slots = registry.gateways_of(user);
            let mut gateways = slots.iter().map(|slot| inboxes.get(usize::from(*slot)).and_then(Option::as_ref));
            if gateways.clone().any(|gateway| gateway.is_none()) {
                into.alone.push((user.clone(), link));
                continue;
            }
            for gateway in gateways.by_ref().flatten() {
                match into.gateways.get_mut(gateway) {
                    Some(all) => all.push((user.clone(), link)),
                    None => drop(into.gateways.insert(gateway.clone(), vec![(user.clone(), link)])),
                }
            }
        }
    }

    /// Waits, bounded, until a gateway's report is taken in. When it does not come, everybody
    /// counts as online until the view is complete again.
    pub(crate) async fn has_applied(&self, gateway: &GatewayId, number: u64) {
        let deadline = tokio::time::Instant::now() + REPORT_WAIT;
        loop {
            let changed = self.0.changed.notified();
            if !self.0.trusted.load(Ordering::SeqCst) || self.read().has_applied(gateway, number) {
                return;
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                self.distrust().await;
                return;
            }
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Registry> {
        self.0.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Registry> {
        self.0.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn distrust(&self) {
        self.0.trusted.store(false, Ordering::SeqCst);
        self.write().distrust();
        if let Err(error) = self.0.bus.request_presence_refresh().await {
            tracing::debug!(error, "full reports could not be asked for; asked again soon");
        }
    }

    async fn follow(
        self,
        mut reports: GatewayReports,
        mut link: broadcast::Receiver<LinkEvent>,
        cancel: CancellationToken,
    ) {
        let mut tick = tokio::time::interval(TICK);
        let mut asked_at = Instant::now();
        let mut ticked_at = Instant::now();
        self.distrust().await;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                report = reports.next() => match report {
                    Some(report) => {
                        self.write().apply(report, Instant::now(), 0);
                        self.0.changed.notify_waiters();
                    }
                    None => return,
                },
                _ = link.recv() => {
                    asked_at = Instant::now();
                    self.distrust().await;
                }
                _ = tick.tick() => {
                    if ticked_at.elapsed() >= STALLED {
                        asked_at = Instant::now();
                        self.distrust().await;
                    } else {
                        self.write().expire(Instant::now());
                    }
                    ticked_at = Instant::now();
                    let complete = self.read().is_complete();
                    let trusted = self.0.trusted.load(Ordering::SeqCst);
                    if complete && asked_at.elapsed() >= SETTLE {
                        self.0.trusted.store(true, Ordering::SeqCst);
                    } else if !complete && (trusted || asked_at.elapsed() >= SETTLE) {
                        asked_at = Instant::now();
                        self.distrust().await;
                    }
                }
            }
        }
    }
}
