//! Who watches whose presence at this gateway: one subscription for all, and for each session at
//! most one pending change per watched user, however fast they come.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use natter_bus::{Bus, presence::PresenceChanges};
use natter_ids::UserId;
use natter_protocol::PresenceView;
use natter_runtime::{OnEnd, Scope};
use tokio::{sync::Notify, time::Instant};

/// How often a session is told of changes: a crowd that comes online together is told together.
const PACE: Duration = Duration::from_secs(1);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one session watches.
#[derive(Default)]
pub(crate) struct Watch {
    pending: Mutex<HashMap<UserId, PresenceView>>,
    changed: Notify,
    /// When the next changes may be told.
    next: Mutex<Option<Instant>>,
}

impl Watch {
    /// Waits until something changed; returns the newest view of every user who changed. What comes and goes within
    /// [`PACE`] is told once. Cancel safe.
    pub(crate) async fn changes(&self) -> Vec<PresenceView> {
        let next = *lock(&self.next);
        if let Some(next) = next {
            tokio::time::sleep_until(next).await;
        }
        loop {
            let changed = self.changed.notified();
            let views: Vec<_> = lock(&self.pending).drain().map(|(_, view)| view).collect();
            if !views.is_empty() {
                *lock(&self.next) = Some(Instant::now() + PACE);
                return views;
            }
            changed.await;
        }
    }
}

/// Every watch of this gateway.
#[derive(Clone, Default)]
pub(crate) struct Watches(Arc<Mutex<HashMap<UserId, Vec<Weak<Watch>>>>>);

impl Watches {
    /// Starts to follow changes.
    pub(crate) async fn start(bus: &Bus, scope: &Scope) -> Result<Self, String> {
        let changes = bus.presence_changes().await?;
        let (watches, cancel) = (Self::default(), scope.cancel_token());
        let follower = watches.clone();
        scope.spawn("connection-watches", OnEnd::StopProcess, async move {
            cancel.run_until_cancelled(follower.follow(changes)).await;
        });
        Ok(watches)
    }

    async fn follow(self, mut changes: PresenceChanges) {
        while let Some(view) = changes.next().await {
            self.tell(&view);
        }
    }

    fn tell(&self, view: &PresenceView) {
        let mut all = lock(&self.0);
        let Some(watching) = all.get_mut(&view.user) else { return };
        watching.retain(|watch| {
            let Some(watch) = watch.upgrade() else { return false };
            lock(&watch.pending).insert(view.user.clone(), view.clone());
            watch.changed.notify_one();
            true
        });
        if watching.is_empty() {
            all.remove(&view.user);
        }
    }

    /// Gathers what changes of users of whom it is not known yet whether they may be watched.
    pub(crate) fn wide(&self, users: &[UserId]) -> Wide {
        Wide { watch: Some(self.watch(users)), watches: self.clone(), users: users.to_vec() }
    }

    /// A watch of those who may be watched: what came meanwhile comes.
    pub(crate) fn narrowed(&self, wide: &Wide, users: &[UserId]) -> Arc<Watch> {
        let watch = self.watch(users);
        let came = wide.watch.as_ref().map(|wide| std::mem::take(&mut *lock(&wide.pending))).unwrap_or_default();
        let mut pending = lock(&watch.pending);
        for (user, view) in came.into_iter().filter(|(user, _)| users.contains(user)) {
            // What has come since is newer.
            pending.entry(user).or_insert(view);
        }
        watch.changed.notify_one();
        drop(pending);
        watch
    }

    /// A watch of these users; it ends when it is dropped.
    pub(crate) fn watch(&self, users: &[UserId]) -> Arc<Watch> {
        let watch = Arc::<Watch>::default();
        let mut all = lock(&self.0);
        for user in users {
            let watching = all.entry(user.clone()).or_default();
            // Users who never change must not collect watches that ended long ago.
            watching.retain(|watch| watch.strong_count() > 0);
            watching.push(Arc::downgrade(&watch));
        }
        watch
    }
}

/// See [`Watches::wide`]. It leaves nothing behind: names that somebody made up never change.
pub(crate) struct Wide {
    watch: Option<Arc<Watch>>,
    watches: Watches,
    users: Vec<UserId>,
}

impl Drop for Wide {
    fn drop(&mut self) {
        self.watch = None;
        let mut all = lock(&self.watches.0);
        for user in &self.users {
            let Some(watching) = all.get_mut(user) else { continue };
            watching.retain(|watch| watch.strong_count() > 0);
            if watching.is_empty() {
                all.remove(user);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn only_the_newest_view_of_each_watched_user_waits() {
        let watches = Watches::default();
        let (alice, bob) = (UserId::new("alice").unwrap(), UserId::new("bob").unwrap());
        let watch = watches.watch(std::slice::from_ref(&alice));
        for number in 0..1_000_u64 {
            let online = number % 2 == 0;
            watches.tell(&PresenceView { user: alice.clone(), online, away: false, last_seen: Some(number) });
            watches.tell(&PresenceView { user: bob.clone(), online, away: false, last_seen: None });
        }
        let views = watch.changes().await;
        assert_eq!(views, [PresenceView { user: alice.clone(), online: false, away: false, last_seen: Some(999) }]);
        assert!(watch.changes().now_or_never().is_none());
        drop(watch);
        watches.tell(&PresenceView { user: alice, online: true, away: false, last_seen: None });
        assert!(lock(&watches.0).is_empty(), "a watch that ended leaves nothing behind");
    }

    /// Between the first look and the answer of who may be watched, nothing of them is missed, and nothing of others told.
    #[tokio::test]
    async fn what_changes_while_it_is_looked_up_is_told() {
        let watches = Watches::default();
        let (alice, bob) = (UserId::new("alice").unwrap(), UserId::new("bob").unwrap());
        let wide = watches.wide(&[alice.clone(), bob.clone()]);
        let view = |user: &UserId, online| PresenceView { user: user.clone(), online, away: false, last_seen: None };
        watches.tell(&view(&alice, true));
        watches.tell(&view(&bob, true));
        let watch = watches.narrowed(&wide, std::slice::from_ref(&alice));
        drop(wide);
        assert_eq!(lock(&watches.0).keys().collect::<Vec<_>>(), [&alice], "who is not watched is not kept");
        watches.tell(&view(&bob, false));
        assert_eq!(watch.changes().await, [view(&alice, true)]);
    }

    /// Ten thousand come online at once and everybody watches as many as they may: a session is told of those it
    /// watches and of nobody else, once, and together.
    #[tokio::test(start_paused = true)]
    async fn a_crowd_floods_nobody() {
        let (watches, began) = (Watches::default(), Instant::now());
        let crowd: Vec<_> = (0..10_000).map(|number| UserId::new(format!("user-{number}")).unwrap()).collect();
        let sessions: Vec<_> =
            (0..50).map(|session| watches.watch(&crowd[session * 100..session * 100 + 200])).collect();
        let (mut told, mut batches) = (0, 0);
        for round in 0..20_u64 {
            for user in &crowd {
                let (online, last_seen) = (round % 2 == 1, Some(round));
                watches.tell(&PresenceView { user: user.clone(), online, away: false, last_seen });
            }
            for session in &sessions {
                if let Some(views) = session.changes().now_or_never() {
                    (told, batches) = (told + views.len(), batches + 1);
                    assert_eq!(views.len(), 200);
                }
            }
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
        // Of 200,000 changes to each of the 50, those of two seconds come in two batches.
        assert_eq!((seconds, batches, told), (2, 2 * 50, 2 * 50 * 200));
        let views = sessions[0].changes().await;
        assert!(views.iter().all(|view| view.online && view.last_seen == Some(19)), "the last word counts");
    }
}
