//! Reports who is connected here: see [`natter_bus::presence`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use natter_bus::{
    Bus,
    presence::{GatewayReport, Left, RefreshRequests, ReportKind},
};
use natter_ids::UserId;
use natter_runtime::{OnEnd, Scope};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

const BEAT: Duration = Duration::from_secs(2);
/// Most users in one report: with ids of 128 bytes it stays well below what NATS carries.
const USERS_MAX: usize = 1_000;
/// Joins that wait to be reported; more wait in their sessions.
const JOINS_MAX: usize = 1_024;

struct Join {
    user: UserId,
    reported: oneshot::Sender<u64>,
}

/// Sessions that ended; at most one entry for each that there was.
#[derive(Default)]
struct Leaves {
    users: Mutex<Vec<UserId>>,
    added: Notify,
}

impl Leaves {
    fn lock(&self) -> MutexGuard<'_, Vec<UserId>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where sessions say that they come and go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reporter {
    joins: mpsc::Sender<Join>,
    leaves: Arc<Leaves>,
}

/// A session that is reported; dropping it reports that it went.
pub(crate) struct Joined {
    user: UserId,
    number: u64,
    leaves: Arc<Leaves>,
}

impl Joined {
    /// The number of the report that holds the user.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.leaves.lock().push(self.user.clone());
        self.leaves.added.notify_one();
    }
}

impl Reporter {
    pub(crate) async fn start(bus: Bus, scope: &Scope) -> Result<Self, String> {
        let (joins, queue) = mpsc::channel(JOINS_MAX);
        let leaves = Arc::<Leaves>::default();
        let requests = bus.refresh_requests().await?;
        let epoch = bus.now_ms();
        let task = Task { bus, epoch, number: 0, users: HashMap::new(), leaves: Arc::clone(&leaves) };
        let cancel = scope.cancel_token();
        scope.spawn("connection-presence", OnEnd::StopProcess, async move { task.run(queue, requests, cancel).await });
        Ok(Self { joins, leaves })
    }

    /// Reports a session of the user; returns once the report is on its way. `None` when the
    /// gateway is stopping.
    pub(crate) async fn join(&self, user: &UserId) -> Option<Joined> {
        let (reported, number) = oneshot::channel();
        self.joins.send(Join { user: user.clone(), reported }).await.ok()?;
        let number = number.await.ok()?;
        Some(Joined { user: user.clone(), number, leaves: Arc::clone(&self.leaves) })
    }
}

struct Task {
    bus: Bus,
    epoch: u64,
    number: u64,
    /// How many sessions each user has here.
    users: HashMap<UserId, u32>,
    leaves: Arc<Leaves>,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Join>, mut requests: RefreshRequests, cancel: CancellationToken) {
        let mut beat = tokio::time::interval(BEAT);
        let mut link = self.bus.link_events();
        let leaves = Arc::clone(&self.leaves);
        let mut joins = Vec::new();
        self.full().await;
        // Sessions outlive the cancelling: they are drained, and their leaves are reported.
        while !(cancel.is_cancelled() && self.users.is_empty()) {
            tokio::select! {
                count = queue.recv_many(&mut joins, USERS_MAX) => {
                    if count == 0 {
                        break;
                    }
                    self.change(&mut joins).await;
                }
                () = leaves.added.notified() => self.change(&mut joins).await,
                Some(()) = requests.next() => self.full().await,
                _ = link.recv() => self.full().await,
                _ = beat.tick() => self.report(ReportKind::Beat).await,
                () = cancel.cancelled(), if self.users.is_empty() => break,
            }
        }
        self.report(ReportKind::Gone { at: self.bus.now_ms() }).await;
    }

    /// Takes changes in and reports those that matter: the first session of a user and the last.
    async fn change(&mut self, joins: &mut Vec<Join>) {
        let mut before: HashMap<UserId, bool> = HashMap::new();
        let mut waiting = Vec::with_capacity(joins.len());
        for Join { user, reported } in joins.drain(..) {
            before.entry(user.clone()).or_insert_with(|| self.users.contains_key(&user));
            *self.users.entry(user).or_insert(0) += 1;
            waiting.push(reported);
        }
        let leaving: Vec<_> = {
            let mut leaves = self.leaves.lock();
            let count = leaves.len().min(USERS_MAX);
            leaves.drain(..count).collect()
        };
        if leaving.len() == USERS_MAX {
            self.leaves.added.notify_one();
        }
        for user in leaving {
            before.entry(user.clone()).or_insert(true);
            if let Some(count) = self.users.get_mut(&user) {
                *count -= 1;
                if *count == 0 {
                    self.users.remove(&user);
                }
            }
        }
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        for (user, was) in before {
            match (was, self.users.contains_key(&user)) {
                (false, true) => joined.push(user),
                (true, false) => left.push(Left { user, at: self.bus.now_ms() }),
                _ => {}
            }
        }
        if !joined.is_empty() || !left.is_empty() {
            self.number += 1;
            self.report(ReportKind::Delta { joined, left }).await;
        }
        for reported in waiting {
            // A session that ended meanwhile does not wait any more.
            let _ = reported.send(self.number);
        }
    }

    async fn full(&self) {
        let users: Vec<_> = self.users.keys().cloned().collect();
        let parts = u32::try_from(users.len().div_ceil(USERS_MAX).max(1)).unwrap_or(u32::MAX);
        let mut chunks = users.chunks(USERS_MAX);
        for part in 0..parts {
            let users = chunks.next().unwrap_or_default().to_vec();
            self.report(ReportKind::Full { part, parts, users }).await;
        }
    }

    async fn report(&self, kind: ReportKind) {
        let report =
            GatewayReport { gateway: self.bus.instance().clone(), epoch: self.epoch, number: self.number, kind };
        if let Err(error) = self.bus.report_presence(&report).await {
            tracing::debug!(error, "a report could not be sent; a full one follows");
        }
    }
}
