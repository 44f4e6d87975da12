//! People who talk all the time while a test breaks things, and what the checker says afterwards.

mod changes;
mod latency;
mod load;
mod person;
mod readback;
mod report;
mod turns;
mod visits;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use natter_checker::{Attempt, Kind, Outcome, Recorder, Span, check};
use natter_ids::{ClientId, ConversationId, Seq, UserId};
use natter_protocol::Change;
use natter_testkit::wait_for;
use tokio::{task::JoinSet, time::timeout};

use crate::{Cluster, chaos::tell};
use latency::Latency;
use load::Load;
use person::Person;
pub use report::Report;

/// How long everything accepted may take to reach everybody once nothing is broken any more.
const DRAIN: Duration = Duration::from_secs(60);

/// A conversation of the crowd, and the entry that it begins with.
pub(crate) struct Talk {
    pub conversation: ConversationId,
    pub members: Vec<UserId>,
    /// Who comes and goes.
    pub guest: Option<UserId>,
    pub from: Seq,
}

impl Talk {
    /// Those who see what is said in it, all the time or now and then.
    pub fn has_seen(&self, user: &UserId) -> bool {
        self.members.iter().chain(&self.guest).any(|it| it == user)
    }
}

/// Devices spread over all gateways, a group of everybody, direct conversations in a ring, and a group of
/// everybody but one, who comes and goes as a guest. What people do besides talking: they edit, delete,
/// react, and say how far they have read.
pub struct Crowd {
    people: Vec<Arc<Person>>,
    talks: Arc<[Talk]>,
    recorder: Recorder,
    receivers: JoinSet<()>,
    load: Load,
    latency: Arc<Latency>,
    folder: PathBuf,
    began: Instant,
}

impl Crowd {
    /// Connects so many people and lets each of them say `per_second` things per second, spread
    /// over their conversations, and change a message for every few that they say.
    ///
    /// # Panics
    /// When somebody cannot connect.
    pub async fn gather(cluster: &Cluster, count: usize, per_second: f64) -> Self {
        Self::of(cluster, count, per_second, Habits::All).await
    }

    /// People who only talk, and change nothing: the release before this one may not know how.
    ///
    /// # Panics
    /// When somebody cannot connect.
    pub async fn gather_talkers(cluster: &Cluster, count: usize, per_second: f64) -> Self {
        Self::of(cluster, count, per_second, Habits::Talking).await
    }

    async fn of(cluster: &Cluster, count: usize, per_second: f64, habits: Habits) -> Self {
        let (recorder, latency) = (Recorder::new(), Arc::new(Latency::new()));
        let mut receivers = JoinSet::new();
        let mut people = Vec::new();
        for number in 0..count {
            let name = format!("person-{number}");
            let person = Person::new(cluster, (&name, number), habits, recorder.clone(), Arc::clone(&latency));
            let person = Arc::new(person);
            receivers.spawn(Arc::clone(&person).receive());
            person.caught_up().await;
            people.push(person);
        }
        let talks: Arc<[Talk]> = begin(&people).await.into();
        for talk in &*talks {
            for user in &talk.members {
                let (user, conversation) = (user.clone(), talk.conversation.clone());
                recorder.member(Span { user, conversation, from: talk.from, to: None });
            }
        }
        let load = Load::start(&people, &talks, per_second, habits);
        let (folder, began) = (cluster.folder().to_owned(), Instant::now());
        Self { people, talks, recorder, receivers, load, latency, folder, began }
    }

    /// Waits until so many more messages have been accepted: that many went through whatever is
    /// broken now.
    ///
    /// # Panics
    /// When it takes longer than a minute, or a message was refused for good.
    pub async fn says_more(&self, count: u64) {
        self.load.says_more(count).await;
    }

    /// Notes a message that somebody sends past the crowd, and whose fate nobody knows.
    pub(crate) fn tries(&self, sender: &UserId, to: &ConversationId, client_id: ClientId, text: &str) {
        let (sender, conversation, change) = (sender.clone(), to.clone(), Change::message(text));
        let attempt = Attempt { sender, conversation, client_id, change };
        self.recorder.attempt(attempt);
        self.recorder.outcome(client_id, Outcome::Unknown);
    }

    /// The 99th percentile of the time from saying to hearing since this was last asked.
    pub(crate) fn take_p99(&self) -> Duration {
        self.latency.take_p99()
    }

    /// Waits until everybody has heard so many more messages of the whole room: delivery works.
    ///
    /// # Panics
    /// When it takes longer than a minute.
    pub async fn hears_more(&self, count: u64) {
        let heard = || self.people.iter().map(|person| person.heard()).collect::<Vec<_>>();
        let before = heard();
        let enough = || heard().iter().zip(&before).all(|(now, before)| *now >= before + count);
        wait_for(&format!("everybody to hear {count} more messages"), DRAIN, async || enough().then_some(())).await;
    }

    /// From now on each message has to be answered, and to come to everybody, within so much time
    /// of nothing being broken.
    pub fn is_due_within(&self, bound: Duration) {
        self.recorder.bound(bound);
    }

    /// Something breaks, and may hold up everything.
    pub fn breaks(&self, what: &str) {
        self.recorder.broken(what);
    }

    /// It works again.
    pub fn is_mended(&self) {
        self.recorder.mended();
    }

    /// Waits until everybody has said something new in each of their conversations, and everybody
    /// has heard it; returns how long that took. `None` when a minute is not enough: finish, and
    /// the checker tells what does not arrive.
    pub async fn is_well_again(&self) -> Option<Duration> {
        let began = Instant::now();
        let well = async {
            self.load.everybody_speaks().await;
            let said = self.load.newest();
            let heard = || self.people.iter().all(|person| person.has_heard(&self.talks, &said));
            wait_for("everybody to hear everybody", DRAIN * 2, async || heard().then_some(())).await;
        };
        timeout(DRAIN, well).await.ok().map(|()| began.elapsed())
    }

    /// Lets everybody finish, waits until everything accepted has come to everybody, reads it back
    /// from everywhere, and checks.
    pub async fn finish(mut self, cluster: &Cluster) -> Report {
        let (accepted, unsaid) = self.load.finish().await;
        // Of changes of members nothing is known before their events come.
        let said = self.load.newest();
        let complete = async || {
            if !self.people.iter().all(|person| person.has_heard(&self.talks, &said)) {
                return None;
            }
            let history = self.recorder.history();
            let lost = check(&history).into_iter().any(|violation| violation.kind() == Kind::Lost);
            (!lost).then_some(())
        };
        // What is still missing then is in the report.
        let _ = timeout(DRAIN, wait_for("everything to arrive", DRAIN * 2, complete)).await;
        for person in &self.people {
            person.close().await;
        }
        let mut problems: Vec<_> = unsaid.into_iter().collect();
        while let Some(ended) = self.receivers.join_next().await {
            problems.extend(ended.err().map(|error| error.to_string()));
        }
        let took = self.began.elapsed();
        problems.extend(readback::read_back(cluster, &self.people, &self.talks, &self.recorder).await);
        let stats = self.people.iter().map(|person| person.stats()).collect();
        Report::new(self.recorder.history(), stats, accepted, problems, took, history_file(&self.folder))
    }
}

/// What cannot be looked at any more when a wait ran out is what was recorded until then.
impl Drop for Crowd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tell(&format!("history: {}", report::keep(&self.recorder.history(), &history_file(&self.folder))));
        }
    }
}

fn history_file(folder: &Path) -> PathBuf {
    folder.join("history.jsonl")
}

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habits {
    Talking,
    All,
}

/// The groups and the ring of direct conversations.
async fn begin(people: &[Arc<Person>]) -> Vec<Talk> {
    let everybody: Vec<_> = people.iter().map(|person| person.user().clone()).collect();
    let mut talks = vec![];
    let group = people[0].create_group("everybody", &everybody).await;
    let (guest, hosts) = everybody.split_last().expect("a crowd has people");
    let visited = people[0].create_group("visited", hosts).await;
    talks.push(Talk { conversation: visited.0, members: hosts.to_vec(), guest: Some(guest.clone()), from: visited.1 });
    talks.push(Talk { conversation: group.0, members: everybody, guest: None, from: group.1 });
    for (number, person) in people.iter().enumerate() {
        let next = people[(number + 1) % people.len()].user().clone();
        let (conversation, from) = person.open_direct(&next).await;
        talks.push(Talk { conversation, members: vec![person.user().clone(), next], guest: None, from });
    }
    talks
}
