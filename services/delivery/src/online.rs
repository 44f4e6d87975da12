//! Who may be online, and what their next event links to, as delivery sees it.
//!
//! Sending to somebody offline only costs a message that nobody receives; not sending to
//! somebody online costs them a live event. So whatever is not known counts as online.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use natter_bus::{
    Bus, LinkEvent,
    presence::{GatewayReport, GatewayReports},
};
use natter_ids::{GatewayId, Partition, Seq, UserId};
use natter_runtime::{OnEnd, Scope};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use crate::{
    links::{Lane, Links},
    listeners::Listeners,
    progress::Progress,
    view::View,
};

/// Longer than presence waits: a gateway that is slow to report must not be taken for dead here.
const LEASE: Duration = Duration::from_secs(30);
/// How long a marker waits for the report that it depends on.
const REPORT_WAIT: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_secs(1);
/// A tick that comes this late means that this process stood still: the silence was its own.
const STALLED: Duration = Duration::from_secs(5);
/// After this long every living gateway has answered a request for full reports.
const SETTLE: Duration = Duration::from_secs(3);
/// Users looked up before others get a turn.
const AT_ONCE: usize = 4_096;

/// Where recipients of an event are, each with their link.
#[derive(Default)]
pub(crate) struct Parted {
    /// Together with others at the same gateway.
    pub(crate) gateways: HashMap<GatewayId, Vec<(UserId, Seq)>>,
    /// Each into their own inbox.
    pub(crate) alone: Vec<(UserId, Seq)>,
}

/// Notes that an event is sent to the user, and returns its link.
fn linked(view: &View, lane: &mut Lane, (partition, seq): (Partition, Seq), user: &UserId) -> Seq {
    // What is decided on is a batch, of which this event may be the first.
    lane.advance(user, seq).max(view.passed_by(partition, user).min(seq.saturating_sub(1)))
}

/// A view of who is online that errs on the side of sending. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Online(Arc<Shared>);

struct Shared {
    bus: Bus,
    progress: Arc<Progress>,
    /// Locked while the view is, never the other way round: who is looked up as online is noted as sent
    /// to before anybody else sees them go.
    links: Links,
    view: RwLock<View>,
    changed: Notify,
}

impl Online {
    pub(crate) async fn start(bus: Bus, progress: Arc<Progress>, scope: &Scope) -> Result<Self, String> {
        let reports = bus.gateway_reports().await?;
        let link = bus.link_events();
        let partitions = bus.partitions();
        let this = Self(Arc::new(Shared {
            bus,
            progress,
            links: Links::new(partitions),
            view: RwLock::new(View::new(LEASE, partitions)),
            changed: Notify::new(),
        }));
        let (follower, cancel) = (this.clone(), scope.cancel_token());
        scope.spawn("delivery-online", OnEnd::StopProcess, async move { follower.follow(reports, link, cancel).await });
        Ok(this)
    }

    /// This replica becomes the owner of a partition and has sent nothing after `since`.
    pub(crate) fn begin(&self, partition: Partition, since: Seq) {
        self.0.links.begin(partition, since);
    }

    /// Forgets what was sent to users who went offline.
    pub(crate) fn sweep(&self, partition: Partition) {
        let view = self.view();
        self.0.links.sweep(partition, |user| view.may_be_online(user));
    }

    /// Whether something must be sent to the user.
    pub(crate) fn may_be_online(&self, user: &UserId) -> bool {
        self.view().may_be_online(user)
    }

    /// What the user's next event links to.
    pub(crate) fn link(&self, partition: Partition, user: &UserId) -> Seq {
        let view = self.view();
        self.0.links.lane(partition).of(user).max(view.passed_by(partition, user))
    }

    /// Notes that an event is sent to the user, and returns its link; `None` when it need not be.
    pub(crate) fn advance(&self, partition: Partition, user: &UserId, seq: Seq) -> Option<Seq> {
        let view = self.view();
        view.may_be_online(user).then(|| linked(&view, &mut self.0.links.lane(partition), (partition, seq), user))
    }

    /// Notes that an event is sent to the members of a large conversation who are online, and returns
    /// where they are.
    pub(crate) async fn part(
        &self,
        partition: Partition,
        seq: Seq,
        members: &[UserId],
        listeners: &mut Listeners,
    ) -> Parted {
        let mut parted = Parted::default();
        if !self.view().is_trusted() {
            // They may be where nobody has said yet that they are.
            for some in members.chunks(AT_ONCE) {
                self.send_alone(partition, seq, some, &mut parted);
                tokio::task::yield_now().await;
            }
            return parted;
        }
        let known = listeners.refresh(members, &self.view());
        for some in members.chunks(AT_ONCE).filter(|_| !known) {
            listeners.look(some, &self.view());
            tokio::task::yield_now().await;
        }
        let all: Vec<_> = listeners.iter().cloned().collect();
        for some in all.chunks(AT_ONCE) {
            self.sort(partition, seq, some, listeners, &mut parted);
            tokio::task::yield_now().await;
        }
        parted
    }

    fn send_alone(&self, partition: Partition, seq: Seq, users: &[UserId], parted: &mut Parted) {
        let view = self.view();
        let mut lane = self.0.links.lane(partition);
        for user in users.iter().filter(|user| view.may_be_online(user)) {
            parted.alone.push((user.clone(), linked(&view, &mut lane, (partition, seq), user)));
        }
    }

    fn sort(&self, partition: Partition, seq: Seq, users: &[UserId], listeners: &mut Listeners, parted: &mut Parted) {
        let view = self.view();
        let inboxes = view.all_inboxes();
        let mut lane = self.0.links.lane(partition);
        for user in users {
            let gateways = view.inboxes(user, &inboxes);
            if gateways.clone().next().is_none() {
                listeners.remove(user);
                continue;
            }
            let link = linked(&view, &mut lane, (partition, seq), user);
            if gateways.clone().any(|gateway| gateway.is_none()) {
                parted.alone.push((user.clone(), link));
                continue;
            }
            for gateway in gateways.flatten() {
                match parted.gateways.get_mut(gateway) {
                    Some(all) => all.push((user.clone(), link)),
                    None => drop(parted.gateways.insert(gateway.clone(), vec![(user.clone(), link)])),
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
            {
                let view = self.view();
                if !view.is_trusted() || view.has_applied(gateway, number) {
                    return;
                }
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                self.distrust().await;
                return;
            }
        }
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.0.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, View> {
        self.0.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, report: GatewayReport) {
        self.change().apply(report, Instant::now(), || self.0.progress.all());
        self.0.changed.notify_waiters();
    }

    async fn distrust(&self) {
        self.change().distrust(|| self.0.progress.all());
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
                    Some(report) => self.apply(report),
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
                        self.change().expire(Instant::now(), || self.0.progress.all());
                    }
                    ticked_at = Instant::now();
                    let (complete, trusted) = (self.view().is_complete(), self.view().is_trusted());
                    if complete && asked_at.elapsed() >= SETTLE {
                        self.change().trust();
                    } else if !complete && (trusted || asked_at.elapsed() >= SETTLE) {
                        asked_at = Instant::now();
                        self.distrust().await;
                    }
                }
            }
        }
    }
}
