//! Marks on their way to storage: those of one user in one conversation become one, and all that are
//! due go together.

mod gather;

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use natter_bus::{
    AskError, Bus,
    storage_api::{Archived, Marks as MarksAsked, Membership, Receipts, Settings, UserMark, WriteMarks},
    users::Blocks,
};
use natter_ids::{ConversationId, Partition, Position, Seq, UserId};
use natter_protocol::{
    ErrorBody, ErrorCode, MarkDraft, MarkPage, MarkedView, MarksView, ReceiptPage, SettingsDraft, SettingsView,
};
use natter_runtime::{OnEnd, Scope};
use natter_telemetry::metrics;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Config,
    members::{not_a_member, refusal, unavailable},
    server::Shared,
};
use gather::{Due, Gather};

/// Marks that wait to be looked at; the gathering itself is bounded by configuration.
const ARRIVING: usize = 1_024;
/// Most marks in one request to storage.
const AT_ONCE: usize = 512;
/// Requests to storage under way at once; then marks gather for longer.
const REQUESTS: usize = 16;
/// How long the archive may take to reach an entry that a device has already.
const ARCHIVE_WAIT: Duration = Duration::from_secs(2);

type Stored = Result<Option<MarkedView>, ErrorBody>;
type Asked = BoxFuture<'static, (Vec<Due<oneshot::Sender<Stored>>>, Result<Vec<Option<MarkedView>>, AskError>)>;

struct Arriving {
    mark: UserMark,
    done: oneshot::Sender<Stored>,
}

/// The way of marks to storage.
pub(crate) struct Marks(mpsc::Sender<Arriving>);

impl Marks {
    pub(crate) fn start(config: &Config, bus: &Bus, scope: &Scope) -> Self {
        let (sender, arriving) = mpsc::channel(ARRIVING);
        let gather =
            Gather::new(Duration::from_millis(config.marks_gather_ms.into()), config.marks_waiting_max as usize);
        let bus = bus.clone();
        // Ends with the last session: they are served for a while after the gateway was asked to stop.
        scope.spawn("connection-marks", OnEnd::Log, async move { Work::new(bus, gather).run(arriving).await });
        Self(sender)
    }

    /// Stores a mark; `None`: as far as the archive knows, the user is no member.
    async fn store(&self, mark: UserMark) -> Stored {
        let (done, stored) = oneshot::channel();
        // The gateway ends.
        let gone = || ErrorBody::new(ErrorCode::Unavailable);
        self.0.send(Arriving { mark, done }).await.map_err(|_| gone())?;
        stored.await.map_err(|_| gone())?
    }
}

struct Work {
    bus: Bus,
    gather: Gather<oneshot::Sender<Stored>>,
    asked: FuturesUnordered<Asked>,
}

impl Work {
    fn new(bus: Bus, gather: Gather<oneshot::Sender<Stored>>) -> Self {
        Self { bus, gather, asked: FuturesUnordered::new() }
    }

    async fn run(mut self, mut arriving: mpsc::Receiver<Arriving>) {
        loop {
            let due = self.gather.next_due().filter(|_| self.asked.len() < REQUESTS);
            tokio::select! {
                arrived = arriving.recv() => match arrived {
                    Some(Arriving { mark, done }) => self.add(mark, done),
                    None => return,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.ask(),
                Some((due, stored)) = self.asked.next(), if !self.asked.is_empty() => answer(due, stored),
            }
        }
    }

    fn add(&mut self, mark: UserMark, done: oneshot::Sender<Stored>) {
        if let Err(done) = self.gather.add(mark, done, Instant::now()) {
            metrics::CONNECTION_REFUSALS.add(1, ["marks_waiting_max".into()]);
            let full = ErrorBody::new(ErrorCode::Overloaded).limit("marks_waiting_max");
            let _ = done.send(Err(full));
        }
    }

    /// Asks storage to store what is due, partition by partition.
    fn ask(&mut self) {
        let mut by_partition: HashMap<Partition, Vec<Due<oneshot::Sender<Stored>>>> = HashMap::new();
        for due in self.gather.take_due(Instant::now()) {
            let partition = Partition::of(&due.mark.conversation, self.bus.partitions());
            by_partition.entry(partition).or_default().push(due);
        }
        for (partition, mut due) in by_partition {
            while !due.is_empty() {
                let rest = due.split_off(due.len().min(AT_ONCE));
                let (some, bus) = (std::mem::replace(&mut due, rest), self.bus.clone());
                self.asked.push(Box::pin(async move {
                    let marks = some.iter().map(|due| due.mark.clone()).collect();
                    let stored = bus.ask(&WriteMarks { partition, marks }).await;
                    (some, stored)
                }));
            }
        }
    }
}

fn answer(due: Vec<Due<oneshot::Sender<Stored>>>, stored: Result<Vec<Option<MarkedView>>, AskError>) {
    let (stored, refused) = match stored {
        Ok(stored) => (stored, None),
        Err(error) => (Vec::new(), Some(refusal(error))),
    };
    let mut stored = stored.into_iter();
    for Due { waiting, .. } in due {
        let stored = stored.next().flatten();
        for done in waiting {
            // Who does not wait any more has gone, and says it again elsewhere.
            let _ = done.send(refused.clone().map_or_else(|| Ok(stored.clone()), Err));
        }
    }
}

/// Leaves out how far somebody has come whom the user has blocked.
pub(crate) fn hide_marks<'a>(blocks: &Blocks, user: &UserId, marks: &'a mut MarksView) -> &'a MarksView {
    if blocks.here(&marks.conversation).is_some() {
        marks.marks.retain(|mark| mark.user == *user);
    }
    marks
}

impl Shared {
    /// Stores how far the user has come in a conversation.
    pub(crate) async fn mark(
        &self,
        user: &UserId,
        conversation: ConversationId,
        draft: MarkDraft,
    ) -> Result<MarkedView, ErrorBody> {
        let MarkDraft { delivered, read } = draft;
        let Some(upto) = delivered.max(read) else {
            return Err(ErrorBody::new(ErrorCode::Malformed).because("A mark needs `delivered` or `read`."));
        };
        self.members.member(&conversation, user).await?;
        self.wait_archived(&conversation, upto).await?;
        // Whoever is blocked is not told how far the user comes.
        let held = self.blocks_of(user).await?.here(&conversation).is_some();
        let mark = MarkDraft { delivered, read };
        let mark = UserMark { user: user.clone(), conversation: conversation.clone(), mark, held };
        if let Some(stored) = self.marks.store(mark.clone()).await? {
            return Ok(stored);
        }
        // Who became a member a moment ago is one in the log, and is waited for in the archive.
        self.members.forget(&conversation, user).await;
        let member = self.members.member_now(&conversation, user).await?.ok_or_else(not_a_member)?;
        let archived = Membership { user: user.clone(), conversation, at_least: member.fence };
        self.bus.ask(&archived).await.map_err(refusal)?;
        self.marks.store(mark).await?.ok_or_else(not_a_member)
    }

    /// Waits until the archive has what a device has already: storage takes no mark for what is not
    /// there. A number that the log has not given counts as the newest.
    pub(crate) async fn wait_archived(&self, conversation: &ConversationId, upto: Seq) -> Result<(), ErrorBody> {
        let partition = Partition::of(conversation, self.bus.partitions());
        let mut archived = self.bus.watch_archived();
        let reached = |archived: &Position| archived.get(partition) >= upto;
        if reached(&archived.borrow()) || timeout(ARCHIVE_WAIT, archived.wait_for(reached)).await.is_ok() {
            return Ok(());
        }
        // Perhaps it has come this far long ago, and what told of it was lost or before this gateway's time.
        let asked = self.bus.ask(&Archived {}).await.map_err(refusal)?.get(partition);
        self.bus.note_archived(partition, asked);
        if asked >= upto.min(self.bus.newest_seq(partition).await.map_err(unavailable)?) {
            return Ok(());
        }
        Err(ErrorBody::new(ErrorCode::Unavailable).because("The archive is behind: try again."))
    }

    /// Which marks have changed.
    pub(crate) async fn changed_marks(
        &self,
        user: &UserId,
        since: Option<Position>,
        limit: Option<u32>,
    ) -> Result<MarkPage, ErrorBody> {
        if since.as_ref().is_some_and(|since| since.partitions() != self.bus.partitions()) {
            return Err(ErrorCode::InvalidPosition.into());
        }
        let asked = MarksAsked { user: user.clone(), since, limit: self.page_limit(limit)? };
        let mut page = self.bus.ask(&asked).await.map_err(refusal)?;
        let blocks = self.blocks_of(user).await?;
        page.conversations.retain_mut(|marks| !hide_marks(&blocks, user, marks).marks.is_empty());
        Ok(page)
    }

    /// Who has received and read an entry.
    pub(crate) async fn receipts(
        &self,
        user: &UserId,
        conversation: ConversationId,
        seq: Seq,
        after: Option<UserId>,
        limit: Option<u32>,
    ) -> Result<ReceiptPage, ErrorBody> {
        let limit = self.page_limit(limit)?;
        let asked = Receipts { user: user.clone(), conversation: conversation.clone(), seq, after, limit };
        let mut page = self.ask_as_member(user, &conversation, &asked).await?;
        if self.blocks_of(user).await?.here(&conversation).is_some() {
            (page.delivered, page.read) = (0, 0);
            page.marks.clear();
        }
        Ok(page)
    }

    /// Reads the user's settings, and changes what is given.
    pub(crate) async fn settings(&self, user: &UserId, draft: SettingsDraft) -> Result<SettingsView, ErrorBody> {
        self.bus.ask(&Settings { user: user.clone(), draft }).await.map_err(refusal)
    }
}
