//! A user's list of conversations: by last activity, with what is unread, and how it is arranged.
//!
//! One statement brings a few numbers of each of the user's conversations; which belong into the
//! page is decided here, and only for those the rest is read.

use std::collections::{HashMap, HashSet};

use natter_bus::storage_api::{Overview, StorageFault};
use natter_ids::{ConversationId, Partition, Position, Seq, UserId};
use natter_protocol::{
    Arrangement, ConversationView, Event, GroupSettings, MarkView, OverviewCursor, OverviewItem, OverviewPage,
    OverviewPosition, ShowRequests,
};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    entries::{self, Range, Room, Show},
    groups::settings_at,
    marks::{TOLD_DELIVERED, TOLD_READ, key_at},
    preview::{Preview, preview},
    reads::{database, json_bytes, name_at, timer_at},
    requests::SHOWN,
    spans::role_of,
    sql::{OPEN, from_sql, list, statement, to_sql},
    unheard::{Blocks, by_conversation},
};

type Answer<T> = Result<T, StorageFault>;

/// How many conversations are read together.
const AT_ONCE: usize = 128;
/// Entries larger than this are read one by one.
const ENTRY_BYTES: usize = 16 * 1024;

pub(crate) const NUMBERS: &str = "SELECT c.id, c.part, c.last_seq, c.active_seq, c.active_at, c.messages, \
     m.joined_seq, m.role, c.name, COALESCE(k.delivered, 0), COALESCE(k.read_seq, 0), COALESCE(k.version, 0), \
     COALESCE(a.muted_until, 0), COALESCE(a.pinned, 0), COALESCE(a.archived, 0), COALESCE(a.version, 0), \
     COALESCE((SELECT MAX(CASE WHEN v.version = v.hidden_version THEN v.shown_version ELSE v.version END) \
     FROM marks v WHERE v.conversation = c.id AND v.user_id <> $1 AND c.id LIKE 'd%'), 0), c.settings, \
     COALESCE(q.user_id, ''), COALESCE(q.accepted, 0), \
     COALESCE((SELECT t.seconds FROM timers t WHERE t.conversation = c.id), 0) \
     FROM members m JOIN conversations c ON c.id = m.conversation \
     LEFT JOIN marks k ON k.conversation = c.id AND k.user_id = $1 \
     LEFT JOIN arrangements a ON a.user_id = $1 AND a.conversation = c.id \
     LEFT JOIN requests q ON q.conversation = c.id \
     WHERE m.user_id = $1 AND m.left_seq = $2";

pub(crate) const GONE: &str = "SELECT m.conversation, c.part, m.left_seq FROM members m \
     JOIN conversations c ON c.id = m.conversation WHERE m.user_id = $1 AND m.left_seq > $2 AND m.left_seq < $3";

/// A conversation of the user's, in numbers.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) conversation: ConversationId,
    partition: Partition,
    pub(crate) last_seq: Seq,
    pub(crate) active_seq: Seq,
    pub(crate) active_at: u64,
    pub(crate) messages: u64,
    pub(crate) joined: Seq,
    role: natter_protocol::Role,
    timer_seconds: Option<u32>,
    name: Option<String>,
    group: Option<GroupSettings>,
    delivered: Seq,
    pub(crate) read: Seq,
    arrangement: Arrangement,
    /// The newest change of the user's own mark or arrangement, and in a direct conversation of the
    /// other's mark.
    version: Seq,
    /// The number of the change by which the user has accepted it; 0: it was no request, or is one.
    accepted: Seq,
}

impl Entry {
    fn at(row: &AnyRow, user: &UserId, blocks: &Blocks<'_>) -> Result<Self, sqlx::Error> {
        let conversation = ConversationId::parse(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let number = |column| row.try_get::<i64, _>(column).map(from_sql);
        let muted_until = number(12)?;
        let (asked, accepted) = (row.try_get::<&str, _>(18)?, number(19)?);
        let is_asked = asked == user.as_str();
        // Nothing tells the one who began it what the other does before accepting it.
        let is_withheld = !asked.is_empty() && !is_asked && accepted == 0;
        let is_blocked = blocks.contains_key(&conversation);
        let others = if conversation.is_direct() && !is_withheld && !is_blocked { number(16)? } else { 0 };
        Ok(Self {
            group: (!conversation.is_direct()).then(|| settings_at(row, 17)).transpose()?,
            conversation,
            partition: Partition(u16::try_from(number(1)?).unwrap_or(u16::MAX)),
            last_seq: number(2)?,
            active_seq: number(3)?,
            active_at: number(4)?,
            messages: number(5)?,
            joined: number(6)?,
            role: role_of(row.try_get(7)?),
            timer_seconds: timer_at(row, 20)?,
            name: name_at(row, 8)?,
            delivered: number(9)?,
            read: number(10)?,
            arrangement: Arrangement {
                muted_until: (muted_until > 0).then_some(muted_until),
                pinned: number(13)? != 0,
                archived: number(14)? != 0,
                request: is_asked && accepted == 0,
            },
            version: number(11)?.max(number(15)?).max(others),
            accepted: if is_asked { accepted } else { 0 },
        })
    }

    fn has_changed(&self, since: &OverviewPosition) -> bool {
        let (entries, marks) = (since.entries.get(self.partition), since.marks.get(self.partition));
        self.last_seq > entries || self.version > marks
    }

    /// Where it stands in the list.
    fn rank(&self) -> (bool, u64, &ConversationId) {
        (self.arrangement.pinned, self.active_at, &self.conversation)
    }
}

impl Store {
    /// Answers [`Overview`].
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn overview(&self, asked: &Overview) -> Answer<OverviewPage> {
        // Read first: what happens meanwhile may be told twice, and is never missed.
        let now = OverviewPosition { entries: self.archived().await?, marks: self.mark_versions().await? };
        let select = sqlx::query(NUMBERS).bind(asked.user.as_str()).bind(OPEN);
        let rows = select.fetch_all(&self.pool).await.map_err(database)?;
        let blocks = by_conversation(&asked.blocks);
        let all = rows.iter().map(|row| Entry::at(row, &asked.user, &blocks));
        let mut all = all.collect::<Result<Vec<_>, _>>().map_err(database)?;
        self.learn_times(&mut all).await.map_err(database)?;
        self.stand_still(&asked.user, &mut all, &blocks).await.map_err(database)?;
        let first = asked.after.is_none();
        let as_of = asked.after.as_ref().map_or(&now, |after| &after.position);
        let since = asked.since.as_ref().map(|since| before(since, as_of));
        let mut gone = match &since {
            Some(since) if first => self.gone(&asked.user, since, &all).await.map_err(database)?,
            _ => Vec::new(),
        };
        if let (Some(since), true, ShowRequests::Only) = (&since, first, asked.requests) {
            let accepted = all.iter().filter(|entry| entry.accepted > since.marks.get(entry.partition));
            gone.extend(accepted.map(|entry| entry.conversation.clone()));
        }
        match asked.requests {
            ShowRequests::Without => all.retain(|entry| !entry.arrangement.request),
            ShowRequests::Only => all.retain(|entry| entry.arrangement.request),
            ShowRequests::With => {}
        }
        if let Some(since) = &since {
            all.retain(|entry| entry.has_changed(since));
        }
        all.sort_by(|one, other| other.rank().cmp(&one.rank()));
        let position = match &asked.after {
            Some(after) => {
                let last = (after.pinned, after.active_at, &after.conversation);
                all.retain(|entry| entry.rank() < last);
                after.position.clone()
            }
            None => now,
        };
        let mut room = Room::new(asked.limit);
        room.spend(json_bytes(&gone));
        let (conversations, more) = self.fill(asked, all, room).await?;
        let next = conversations.last().filter(|_| more).map(|last| OverviewCursor {
            pinned: last.arrangement.pinned,
            active_at: last.active_at,
            conversation: last.view.conversation.clone(),
            position: position.clone(),
        });
        Ok(OverviewPage { conversations, gone, position, next })
    }

    /// As much of the list as there is room for; whether there is more.
    async fn fill(&self, asked: &Overview, all: Vec<Entry>, mut room: Room) -> Answer<(Vec<OverviewItem>, bool)> {
        let (mut items, mut all) = (Vec::new(), all.into_iter());
        while all.len() > 0 {
            if room.entries() == 0 {
                return Ok((items, true));
            }
            let piece = all.by_ref().take(AT_ONCE.min(room.entries())).collect();
            for item in self.items(asked, piece).await? {
                if !room.take(json_bytes(&item)) {
                    return Ok((items, true));
                }
                items.push(item);
            }
        }
        Ok((items, false))
    }

    /// Conversations that the user is no member of any more.
    async fn gone(
        &self,
        user: &UserId,
        since: &OverviewPosition,
        all: &[Entry],
    ) -> Result<Vec<ConversationId>, sqlx::Error> {
        let oldest = Partition::all(self.partitions).map(|partition| since.entries.get(partition)).min().unwrap_or(0);
        let select = sqlx::query(GONE).bind(user.as_str()).bind(to_sql(oldest)).bind(OPEN);
        let here: HashSet<_> = all.iter().map(|entry| &entry.conversation).collect();
        let mut gone = Vec::new();
        for row in select.fetch_all(&self.pool).await? {
            let id = ConversationId::parse(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
            let partition = Partition(u16::try_from(row.try_get::<i64, _>(1)?).unwrap_or(u16::MAX));
            let left = from_sql(row.try_get(2)?);
            if left > since.entries.get(partition) && !here.contains(&id) && !gone.contains(&id) {
                gone.push(id);
            }
        }
        Ok(gone)
    }

    /// Looks up when something last happened in conversations that were archived before that was
    /// written down, and writes it down.
    async fn learn_times(&self, all: &mut [Entry]) -> Result<(), sqlx::Error> {
        for entry in all.iter_mut().filter(|entry| entry.active_seq == 0) {
            entry.active_seq = entry.last_seq;
            let Some(event) = self.last_event(&entry.conversation, entry.active_seq).await? else { continue };
            entry.active_at = event.entry.time;
            let update = sqlx::query(
                "UPDATE conversations SET active_seq = $1, active_at = $2 WHERE id = $3 AND active_seq = 0",
            );
            let update = update.bind(to_sql(entry.active_seq)).bind(to_sql(entry.active_at));
            update.bind(entry.conversation.as_str()).execute(&self.writing).await?;
        }
        Ok(())
    }

    async fn last_event(&self, conversation: &ConversationId, seq: Seq) -> Result<Option<Event>, sqlx::Error> {
        let range = Range { conversation: conversation.clone(), after: seq.saturating_sub(1), upto: seq };
        let found = self.events(&[range], Show::Log).await?.pop();
        found
            .map(|found| serde_json::from_str(&found.event))
            .transpose()
            .map_err(|error| sqlx::Error::Decode(error.into()))
    }

    async fn items(&self, asked: &Overview, all: Vec<Entry>) -> Answer<Vec<OverviewItem>> {
        let user = &asked.user;
        let direct: Vec<_> =
            all.iter().map(|entry| &entry.conversation).filter(|conversation| conversation.is_direct()).collect();
        let peers = self.peers(user, &direct).await.map_err(database)?;
        let sees_read = self.settings_of(user).await?.read_receipts;
        let marks = self.marks_of_peers(user, &direct, sees_read).await.map_err(database)?;
        let waiting = self.waiting(user, &all).await.map_err(database)?;
        let mut last = self.last_events(&all, &by_conversation(&asked.blocks)).await.map_err(database)?.into_iter();
        let item = |(index, entry): (usize, Entry)| {
            let peer = entry.conversation.is_direct().then(|| {
                // A direct conversation without another user is one's notes to oneself.
                peers.get(&entry.conversation).unwrap_or(user).clone()
            });
            let (last, cut) = last.next().unwrap_or_default();
            OverviewItem {
                active_at: entry.active_at,
                last,
                cut,
                unread: waiting.get(index).map_or(0, |waiting| waiting.unread),
                mentions: waiting.get(index).map_or(0, |waiting| waiting.mentions),
                delivered: entry.delivered,
                read: entry.read,
                marks: marks.get(&entry.conversation).cloned().into_iter().collect(),
                arrangement: entry.arrangement,
                view: ConversationView {
                    conversation: entry.conversation,
                    name: entry.name,
                    peer,
                    group: entry.group,
                    timer_seconds: entry.timer_seconds,
                    role: entry.role,
                    last_seq: entry.last_seq,
                },
            }
        };
        Ok(all.into_iter().enumerate().map(item).collect())
    }

    /// The other user of each direct conversation.
    async fn peers(
        &self,
        user: &UserId,
        direct: &[&ConversationId],
    ) -> Result<HashMap<ConversationId, UserId>, sqlx::Error> {
        let mut peers = HashMap::new();
        for piece in crate::sql::pieces(direct) {
            let mut select = statement(format!(
                "SELECT conversation, user_id FROM members WHERE user_id <> $1 AND conversation IN ({})",
                list(2, piece.len())
            ));
            select = select.bind(user.as_str());
            for conversation in piece {
                select = select.bind(conversation.as_str());
            }
            for row in select.fetch_all(&self.pool).await? {
                let (conversation, peer) = key_at(&row)?;
                peers.insert(conversation, peer);
            }
        }
        Ok(peers)
    }

    async fn marks_of_peers(
        &self,
        user: &UserId,
        direct: &[&ConversationId],
        sees_read: bool,
    ) -> Result<HashMap<ConversationId, MarkView>, sqlx::Error> {
        let mut marks = HashMap::new();
        for piece in crate::sql::pieces(direct) {
            let mut select = statement(format!(
                "SELECT conversation, user_id, {TOLD_DELIVERED}, {TOLD_READ} FROM marks k \
                 WHERE user_id <> $1 AND {SHOWN} AND conversation IN ({})",
                list(2, piece.len())
            ));
            select = select.bind(user.as_str());
            for conversation in piece {
                select = select.bind(conversation.as_str());
            }
            for row in select.fetch_all(&self.pool).await? {
                let (conversation, user) = key_at(&row)?;
                let number = |column| row.try_get::<i64, _>(column).map(from_sql);
                let read = if sees_read { number(3)? } else { 0 };
                marks.insert(conversation, MarkView { user, delivered: number(2)?, read });
            }
        }
        Ok(marks)
    }

    /// The last thing that happened in each, as it is now.
    async fn last_events(&self, all: &[Entry], blocks: &Blocks<'_>) -> Result<Vec<Preview>, sqlx::Error> {
        let range = |entry: &Entry| Range {
            conversation: entry.conversation.clone(),
            after: entry.active_seq.saturating_sub(1),
            upto: entry.active_seq,
        };
        let ranges: Vec<_> = all.iter().map(range).collect();
        let sizes = self.sizes(&ranges, Show::Log, entries::From::Oldest, 1).await?;
        let is_small =
            |index: &usize| sizes.get(*index).and_then(|found| found.first()).is_some_and(|it| it.bytes <= ENTRY_BYTES);
        let (small, large): (Vec<_>, Vec<_>) = (0..all.len()).partition(is_small);
        let mut last = vec![Preview::default(); all.len()];
        let chosen: Vec<_> = small.iter().filter_map(|index| ranges.get(*index).cloned()).collect();
        for found in self.events(&chosen, Show::Log).await? {
            let event = serde_json::from_str(&found.event).map_err(|error| sqlx::Error::Decode(error.into()))?;
            if let Some(place) = small.get(found.range).and_then(|index| last.get_mut(*index)) {
                *place = preview(event);
            }
        }
        // A page of nothing but the largest must not be in memory at once.
        for index in large {
            if let (Some(entry), Some(place)) = (all.get(index), last.get_mut(index)) {
                let event = self.last_event(&entry.conversation, entry.active_seq).await?;
                *place = event.map(preview).unwrap_or_default();
            }
        }
        self.preview_edits(&mut last, blocks).await?;
        Ok(last)
    }
}

/// How far a device knows the list, as far as there is such a thing: numbers beyond the present are from
/// before a restore, and everything may have changed.
fn before(since: &OverviewPosition, now: &OverviewPosition) -> OverviewPosition {
    let known = |since: &Position, now: &Position| {
        let number = |partition| Some(since.get(partition)).filter(|seq| *seq <= now.get(partition)).unwrap_or(0);
        Position::from_seqs(Partition::all(now.partitions()).map(number).collect::<Vec<_>>())
    };
    OverviewPosition { entries: known(&since.entries, &now.entries), marks: known(&since.marks, &now.marks) }
}
