//! The talking of a crowd.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use natter_ids::Seq;
use natter_testkit::wait_for;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{Habits, Talk, changes, person::Person, turns::Turns, visits};

/// Things said by one person for each thing that they do with a message.
const SAID_FOR_EACH_CHANGE: f64 = 4.0;

/// How long so many more messages may take: a takeover takes a few seconds of it.
const LIMIT: Duration = Duration::from_secs(60);

/// What the talking came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub messages: u64,
    /// Changes of messages and of members, and marks.
    pub changes: u64,
    /// The longest that one message took, retries included.
    pub slowest: Duration,
}

struct Counts {
    accepted: AtomicU64,
    changes: AtomicU64,
    /// How many of each speaker.
    by_speaker: Vec<AtomicU64>,
    /// The newest entry that was accepted in each conversation.
    newest: Vec<AtomicU64>,
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
    pub fn start(people: &[Arc<Person>], talks: &Arc<[Talk]>, per_second: f64, habits: Habits) -> Self {
        let (stop, stopped) = watch::channel(false);
        // One speaker for each conversation: an outage of one does not silence the others.
        let mut places = Vec::new();
        for person in people {
            let own: Vec<_> = (0..talks.len()).filter(|talk| talks[*talk].members.contains(person.user())).collect();
            let pause = Duration::from_secs_f64(own.len() as f64 / per_second);
            places.extend(own.into_iter().map(|talk| (person, talk, pause)));
        }
        let counts = Arc::new(Counts::new(places.len(), talks.len()));
        let mut speakers = JoinSet::new();
        for (number, (person, talk, pause)) in places.into_iter().enumerate() {
            let (person, talks, counts) = (Arc::clone(person), Arc::clone(talks), Arc::clone(&counts));
            let stopped = stopped.clone();
            speakers.spawn(async move {
                let said = |seq| counts.said(number, talk, seq);
                if let Err(why) = speak(&person, &talks[talk], said, stopped, pause).await {
                    counts.fail(why);
                }
            });
        }
        let mut load = Self { stop, speakers, counts };
        if habits == Habits::All {
            load.change(people, talks, Duration::from_secs_f64(SAID_FOR_EACH_CHANGE / per_second));
        }
        load
    }

    /// Everybody changes things as well, each on their own: that needs the archive, and talking does not.
    fn change(&mut self, people: &[Arc<Person>], talks: &Arc<[Talk]>, pause: Duration) {
        for (seed, person) in (0..).zip(people) {
            let (person, talks, counts) = (Arc::clone(person), Arc::clone(talks), Arc::clone(&self.counts));
            let stopped = self.stop.subscribe();
            self.speakers.spawn(async move {
                let made = changes::make(&person, &talks, seed, || counts.changed(), (stopped, pause)).await;
                made.unwrap_or_else(|why| counts.fail(why));
            });
        }
        for (number, guest) in talks.iter().enumerate().filter_map(|(number, talk)| Some((number, talk.guest.clone()?)))
        {
            let (host, talks, counts) = (Arc::clone(&people[0]), Arc::clone(talks), Arc::clone(&self.counts));
            let stopped = self.stop.subscribe();
            self.speakers.spawn(async move {
                let group = &talks[number].conversation;
                let hosted =
                    visits::host(&host, group, &guest, |seq| counts.changed_members(number, seq), stopped).await;
                hosted.unwrap_or_else(|why| counts.fail(why));
            });
        }
    }

    /// Waits until every speaker has begun to say something anew, and it was accepted.
    pub async fn everybody_speaks(&self) {
        let said = || self.counts.by_speaker.iter().map(|count| count.load(Relaxed)).collect::<Vec<_>>();
        let before = said();
        // The first may have been under way already.
        let enough = || said().iter().zip(&before).all(|(now, before)| *now >= before + 2);
        wait_for("everybody to speak", LIMIT * 2, async || enough().then_some(())).await;
    }

    /// The newest entry that was accepted in each conversation.
    pub fn newest(&self) -> Vec<Seq> {
        self.counts.newest.iter().map(|seq| seq.load(Relaxed)).collect()
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
        let waits = waits.then(|| format!("{LIMIT:?} after the last fault some are not answered yet"));
        let slowest = Duration::from_millis(self.counts.slowest_ms.load(Relaxed));
        let (messages, changes) = (self.counts.accepted.load(Relaxed), self.counts.changes.load(Relaxed));
        let accepted = Accepted { messages, changes, slowest };
        (accepted, self.counts.failed().or(waits))
    }
}

impl Counts {
    fn new(speakers: usize, talks: usize) -> Self {
        let zeros = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            accepted: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            by_speaker: zeros(speakers),
            newest: zeros(talks),
            slowest_ms: AtomicU64::new(0),
            failed: Mutex::new(None),
        }
    }

    fn said(&self, speaker: usize, talk: usize, Said { seq, took }: Said) {
        self.accepted.fetch_add(1, Relaxed);
        self.newest[talk].fetch_max(seq, Relaxed);
        self.by_speaker[speaker].fetch_add(1, Relaxed);
        self.slowest_ms.fetch_max(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Relaxed);
    }

    fn changed_members(&self, talk: usize, seq: Seq) {
        self.changed();
        self.newest[talk].fetch_max(seq, Relaxed);
    }

    fn fail(&self, why: String) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    fn failed(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A message that was accepted.
struct Said {
    seq: Seq,
    took: Duration,
}

async fn speak(
    person: &Person,
    talk: &Talk,
    said: impl Fn(Said),
    stopped: watch::Receiver<bool>,
    pause: Duration,
) -> Result<(), String> {
    let mut turns = Turns::new(stopped, pause);
    while let Some(number) = turns.next().await {
        let began = Instant::now();
        let text = format!("{} says {number} in {}", person.user(), talk.conversation);
        let seq = person.say(&talk.conversation, text).await;
        let seq = seq.map_err(|error| format!("{}'s message {number} was not accepted: {error}", person.user()))?;
        said(Said { seq, took: began.elapsed() });
    }
    Ok(())
}
