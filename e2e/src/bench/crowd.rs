//! Many users who talk in pairs.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use natter_ids::ConversationId;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    frames::{self, Seen},
    measured::{Clock, Latencies},
    socket::Socket,
};

/// Users who connect at the same time.
const CONNECT_AT_ONCE: usize = 64;
/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connected users; each even one has a direct conversation with the next.
pub(crate) struct Crowd(Vec<Member>);

struct Member {
    number: u32,
    socket: Socket,
    conversation: ConversationId,
    /// Messages without an answer.
    waiting: usize,
    sent: u64,
}

/// What all users have seen so far.
pub(crate) struct Tally {
    pub(crate) clock: Clock,
    pub(crate) sent: AtomicU64,
    pub(crate) accepted: AtomicU64,
    /// Messages that reached the other user.
    pub(crate) delivered: AtomicU64,
    refused: AtomicU64,
    first_refusal: OnceLock<String>,
    pub(crate) latencies: Latencies,
    /// Messages due before this are not measured.
    pub(crate) measured_from: AtomicU64,
}

/// A load that is running.
pub(crate) struct Load {
    pub(crate) tally: Arc<Tally>,
    users: JoinSet<Result<()>>,
    end: CancellationToken,
}

impl Crowd {
    /// Connects users and opens their conversations.
    pub(crate) async fn connect(url: &str, users: usize) -> Result<Self> {
        let connecting = (0..users).map(|user| async move {
            let number = u32::try_from(user)?;
            let mut socket = Socket::open(url, &name(user), number, None).await?;
            socket.caught_up().await?;
            let conversation = socket.open_direct(&name(user ^ 1)).await?;
            Ok(Member { number, socket, conversation, waiting: 0, sent: 0 })
        });
        let members: Result<_> = stream::iter(connecting).buffer_unordered(CONNECT_AT_ONCE).try_collect().await;
        members.map(Self)
    }

    /// Everybody keeps `in_flight` messages waiting for their answer, until the load is stopped.
    pub(crate) fn saturate(self, in_flight: usize, stop: &Arc<AtomicBool>) -> Result<Load> {
        self.run(|mut member, tally| {
            let stop = Arc::clone(stop);
            async move { member.saturate(&tally, in_flight, &stop).await }
        })
    }

    /// Everybody sends what they are given, when they are given it.
    pub(crate) fn follow(self, orders: &mut Vec<mpsc::Sender<Instant>>) -> Result<Load> {
        self.run(|mut member, tally| {
            let (order, due) = mpsc::channel(4_096);
            orders.push(order);
            async move { member.follow(&tally, due).await }
        })
    }

    fn run<F>(self, mut talk: impl FnMut(Member, Arc<Tally>) -> F) -> Result<Load>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let tally = Arc::new(Tally::new()?);
        let end = CancellationToken::new();
        let mut users = JoinSet::new();
        for member in self.0 {
            let (number, end) = (member.number, end.clone());
            let talk = talk(member, Arc::clone(&tally));
            users.spawn(async move {
                let ended = end.run_until_cancelled(talk).await;
                ended.unwrap_or(Ok(())).with_context(|| format!("the session of {}", name(number as usize)))
            });
        }
        Ok(Load { tally, users, end })
    }
}

/// A user's id.
pub(crate) fn name(user: usize) -> String {
    format!("user-{user}")
}

impl Member {
    async fn say(&mut self, tally: &Tally, due: u64) -> Result<()> {
        self.sent += 1;
        self.waiting += 1;
        tally.sent.fetch_add(1, Relaxed);
        self.socket.feed(frames::send(self.sent, &self.conversation, self.number, due)).await
    }

    async fn saturate(&mut self, tally: &Tally, in_flight: usize, stop: &AtomicBool) -> Result<()> {
        loop {
            let before = self.sent;
            while self.waiting < in_flight && !stop.load(Relaxed) {
                self.say(tally, tally.clock.now()).await?;
            }
            if self.sent > before {
                self.socket.flush().await?;
            }
            let frame = self.socket.next().await?;
            self.take(tally, &frame);
            while let Some(frame) = self.socket.ready() {
                self.take(tally, &frame?);
            }
        }
    }

    async fn follow(&mut self, tally: &Tally, mut orders: mpsc::Receiver<Instant>) -> Result<()> {
        loop {
            tokio::select! {
                Some(due) = orders.recv() => {
                    self.say(tally, tally.clock.at(due)).await?;
                    self.socket.flush().await?;
                }
                frame = self.socket.next() => self.take(tally, &frame?),
            }
        }
    }

    fn take(&mut self, tally: &Tally, frame: &str) {
        match frames::read(frame) {
            // One's own message comes back for one's other devices; only the peer's counts.
            Seen::Message { sender, .. } if sender == self.number => {}
            Seen::Message { due, .. } => {
                tally.delivered.fetch_add(1, Relaxed);
                if due >= tally.measured_from.load(Relaxed) {
                    tally.latencies.record(tally.clock.now().saturating_sub(due));
                }
            }
            Seen::Accepted => {
                self.waiting = self.waiting.saturating_sub(1);
                tally.accepted.fetch_add(1, Relaxed);
            }
            Seen::Refused(frame) => {
                self.waiting = self.waiting.saturating_sub(1);
                tally.refused.fetch_add(1, Relaxed);
                tally.first_refusal.get_or_init(|| frame.to_owned());
            }
            Seen::Other => {}
        }
    }
}

impl Tally {
    fn new() -> Result<Self> {
        Ok(Self {
            clock: Clock::start(),
            sent: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            first_refusal: OnceLock::new(),
            latencies: Latencies::new()?,
            measured_from: AtomicU64::new(0),
        })
    }

    fn settled(&self) -> bool {
        let accepted = self.accepted.load(Relaxed);
        accepted + self.refused.load(Relaxed) >= self.sent.load(Relaxed) && self.delivered.load(Relaxed) >= accepted
    }
}

impl Load {
    /// Waits while the load runs.
    ///
    /// # Errors
    /// A session ended meanwhile.
    pub(crate) async fn run_for(&mut self, time: Duration) -> Result<()> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            Some(ended) = self.users.join_next() => ended?,
        }
    }

    /// Waits until everything sent is answered and delivered, then disconnects everybody.
    ///
    /// # Errors
    /// A message was refused, or accepted and never delivered.
    pub(crate) async fn finish(mut self) -> Result<()> {
        let begin = Instant::now();
        while !self.tally.settled() && begin.elapsed() < PATIENCE {
            self.run_for(Duration::from_millis(20)).await?;
        }
        self.end.cancel();
        let ended = async { while self.users.join_next().await.is_some() {} };
        timeout(PATIENCE, ended).await.context("the users do not end")?;
        let tally = &self.tally;
        let (sent, accepted) = (tally.sent.load(Relaxed), tally.accepted.load(Relaxed));
        let (delivered, refused) = (tally.delivered.load(Relaxed), tally.refused.load(Relaxed));
        let said = tally.first_refusal.get().map_or("", String::as_str);
        ensure!(refused == 0, "{refused} of {sent} messages were refused, the first by {said}");
        ensure!(accepted == sent, "only {accepted} of {sent} messages were answered within {PATIENCE:?}");
        ensure!(delivered == accepted, "{accepted} messages were accepted but {delivered} delivered");
        Ok(())
    }
}
