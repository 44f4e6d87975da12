//! Reports who is connected here: see [`natter_bus::presence`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use natter_bus::{
    Bus,
    presence::{GatewayReport, Left, RefreshRequests, ReportKind, Status, UserStatus},
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
    hidden: bool,
    reported: oneshot::Sender<u64>,
}

/// What a session that joined has to say.
enum News {
    /// It ended; whether it had said that the user is away.
    Left { away: bool },
    /// The user is away from it, or back.
    Away(bool),
    /// The user is not to be seen, or is again; wherever it was said.
    Hidden(bool),
}

/// What sessions say, in order; of each at most one that it left, and what it waits for to be taken.
#[derive(Default)]
struct Leaves {
    news: Mutex<Vec<(UserId, News)>>,
    added: Notify,
}

impl Leaves {
    fn lock(&self) -> MutexGuard<'_, Vec<(UserId, News)>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, user: &UserId, news: News) {
        self.lock().push((user.clone(), news));
        self.added.notify_one();
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
    away: bool,
    leaves: Arc<Leaves>,
}

impl Joined {
    /// Says whether the user is away from this device.
    pub(crate) fn set_away(&mut self, away: bool) {
        if std::mem::replace(&mut self.away, away) != away {
            self.leaves.add(&self.user, News::Away(away));
        }
    }

    /// The number of the report that holds the user.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.leaves.add(&self.user, News::Left { away: self.away });
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

    /// Says whether the user, if they are here, is to be seen.
    pub(crate) fn hide(&self, user: &UserId, hidden: bool) {
        self.leaves.add(user, News::Hidden(hidden));
    }

    /// Reports a session of the user; returns once the report is on its way. `None` when the
    /// gateway is stopping.
    pub(crate) async fn join(&self, user: &UserId, hidden: bool) -> Option<Joined> {
        let (reported, number) = oneshot::channel();
        self.joins.send(Join { user: user.clone(), hidden, reported }).await.ok()?;
        let number = number.await.ok()?;
        Some(Joined { user: user.clone(), number, away: false, leaves: Arc::clone(&self.leaves) })
    }
}

/// A user who is here.
#[derive(Default)]
struct Here {
    sessions: u32,
    /// How many of them are left.
    away: u32,
    hidden: bool,
    /// What was reported.
    reported: Status,
}

impl Here {
    fn status(&self) -> Status {
        Status { away: self.away > 0 && self.away >= self.sessions, hidden: self.hidden }
    }
}

struct Task {
    bus: Bus,
    epoch: u64,
    number: u64,
    users: HashMap<UserId, Here>,
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
        for Join { user, hidden, reported } in joins.drain(..) {
            before.entry(user.clone()).or_insert_with(|| self.users.contains_key(&user));
            let here = self.users.entry(user).or_default();
            (here.sessions, here.hidden) = (here.sessions + 1, hidden);
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
        for (user, news) in leaving {
            let Some(here) = self.users.get_mut(&user) else { continue };
            before.entry(user.clone()).or_insert(true);
            match news {
                News::Left { away } => (here.sessions, here.away) = (here.sessions - 1, here.away - u32::from(away)),
                News::Away(true) => here.away += 1,
                News::Away(false) => here.away -= 1,
                News::Hidden(hidden) => here.hidden = hidden,
            }
            if here.sessions == 0 {
                self.users.remove(&user);
            }
        }
        let (mut joined, mut left, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for (user, was) in before {
            if let Some(here) = self.users.get_mut(&user) {
                let status = here.status();
                if std::mem::replace(&mut here.reported, status) != status {
                    changed.push(UserStatus { user: user.clone(), status });
                }
            }
            match (was, self.users.contains_key(&user)) {
                (false, true) => joined.push(user),
                (true, false) => left.push(Left { user, at: self.bus.now_ms() }),
                _ => {}
            }
        }
        // First what is to be seen of them, then that they are here: whoever hides is never seen to come.
        if !changed.is_empty() {
            self.number += 1;
            self.report(ReportKind::Status { whole: false, users: changed }).await;
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

    async fn full(&mut self) {
        let reported = self.users.iter().filter(|(_, here)| here.reported != Status::default());
        let status: Vec<_> =
            reported.map(|(user, here)| UserStatus { user: user.clone(), status: here.reported }).collect();
        // The first one says that all before it are void.
        let mut chunks = status.chunks(USERS_MAX);
        let users = chunks.next().unwrap_or_default().to_vec();
        self.report(ReportKind::Status { whole: true, users }).await;
        for more in chunks {
            self.number += 1;
            self.report(ReportKind::Status { whole: false, users: more.to_vec() }).await;
        }
        let users: Vec<_> = self.users.keys().cloned().collect();
        let parts = u32::try_from(users.len().div_ceil(USERS_MAX).max(1)).unwrap_or(u32::MAX);
        let mut chunks = users.chunks(USERS_MAX);
        for part in 0..parts {
            let users = chunks.next().unwrap_or_default().to_vec();
            self.report(ReportKind::Full { part, parts, users }).await;
        }
    }

    async fn report(&self, kind: ReportKind) {
        let (gateway, epoch, number) = (self.bus.instance().clone(), self.epoch, self.number);
        let report = GatewayReport { gateway, epoch, number, has_inbox: true, kind };
        if let Err(error) = self.bus.report_presence(&report).await {
            tracing::debug!(error, "a report could not be sent; a full one follows");
        }
    }
}
