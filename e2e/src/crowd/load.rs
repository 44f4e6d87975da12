//! The talking of a crowd.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use natter_testkit::wait_for;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{Talk, person::Person};

/// How long so many more messages may take: a takeover takes a few seconds of it.
const LIMIT: Duration = Duration::from_secs(60);

/// What the talking came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub messages: u64,
    /// The longest that one message took, retries included.
    pub slowest: Duration,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    slowest_ms: AtomicU64,
    failed: Mutex<Option<String>>,
}

pub(crate) struct Load {
    stop: watch::Sender<bool>,
    speakers: JoinSet<()>,
    counts: Arc<Counts>,
}

impl Load {
    /// Everybody says something in each of their conversations in turn.
    pub fn start(people: &[Arc<Person>], talks: &Arc<[Talk]>, per_second: f64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let counts = Arc::<Counts>::default();
        let mut speakers = JoinSet::new();
        for person in people {
            let own: Vec<_> = (0..talks.len()).filter(|talk| talks[*talk].members.contains(person.user())).collect();
            let pause = Duration::from_secs_f64(own.len() as f64 / per_second);
            // One speaker for each conversation: an outage of one does not silence the others.
            for talk in own {
                let (person, talks, counts) = (Arc::clone(person), Arc::clone(talks), Arc::clone(&counts));
                let stopped = stopped.clone();
                speakers.spawn(async move { speak(&person, &talks[talk], &counts, stopped, pause).await });
            }
        }
        Self { stop, speakers, counts }
    }

    pub async fn says_more(&self, count: u64) {
        let goal = self.counts.accepted.load(Relaxed) + count;
        let done = async || {
            let failed = self.counts.failed();
            assert!(failed.is_none(), "{}", failed.unwrap_or_default());
            (self.counts.accepted.load(Relaxed) >= goal).then_some(())
        };
        wait_for(&format!("{count} more messages to be accepted"), LIMIT, done).await;
    }

    /// What was accepted; and why something was not, if so.
    pub async fn finish(&mut self) -> (Accepted, Option<String>) {
        let _ = self.stop.send(true);
        let all = async {
            while let Some(ended) = self.speakers.join_next().await {
                ended.expect("a speaker of the crowd");
            }
        };
        let waits = timeout(LIMIT, all).await.is_err();
        self.speakers.abort_all();
        let waits = waits.then(|| format!("{LIMIT:?} after the last fault some messages are not answered yet"));
        let slowest = Duration::from_millis(self.counts.slowest_ms.load(Relaxed));
        let accepted = Accepted { messages: self.counts.accepted.load(Relaxed), slowest };
        (accepted, self.counts.failed().or(waits))
    }
}

impl Counts {
    fn failed(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn speak(person: &Person, talk: &Talk, counts: &Counts, stopped: watch::Receiver<bool>, pause: Duration) {
    let mut tick = interval(pause);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_u64.. {
        tick.tick().await;
        if *stopped.borrow() {
            return;
        }
        let began = Instant::now();
        match person.say(&talk.conversation, format!("{} says {number} in {}", person.user(), talk.conversation)).await
        {
            Ok(_) => {
                counts.accepted.fetch_add(1, Relaxed);
                let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                counts.slowest_ms.fetch_max(took, Relaxed);
            }
            Err(error) => {
                let said = format!("{}'s message {number} was not accepted: {error}", person.user());
                *counts.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
                return;
            }
        }
    }
}
