//! Everything a user missed: an indexed read that costs what was missed.
//!
//! First the user's conversations that have moved are found. Then, partition by partition, their
//! entries are merged by number, from numbers and sizes alone, until the page is full. Last come
//! the texts of exactly the entries chosen. A page never reads much more than it returns, however
//! long the device was away and however much else happened.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use natter_bus::storage_api::{ArchivedEvent, Backlog, BacklogReply, StorageFault};
use natter_ids::{ConversationId, Partition, Position, Seq, UserId};
use serde_json::value::RawValue;
use sqlx::Row;

use crate::{
    Store,
    entries::{From, RANGES_MAX, Range, Room, Show, Sized},
    gaps::is_stranded,
    hindsight::Seen,
    reads::database,
    sql::{from_sql, statement, to_sql},
};

/// Fewest entries of one conversation looked at together.
const LOOK_MIN: usize = 8;

/// A part of a conversation that the user has not seen.
#[derive(Debug)]
struct Missed {
    partition: Partition,
    range: Range,
    /// Entries looked at and not taken.
    ahead: VecDeque<Sized>,
    /// The last entry looked at.
    looked: Seq,
    /// How many entries to look at next.
    look: usize,
    /// Whether there may be entries beyond those looked at.
    more: bool,
    /// The last entry taken; the start of the range when there is none.
    taken: Seq,
}

impl Missed {
    fn new(partition: Partition, range: Range) -> Self {
        let (looked, taken) = (range.after, range.after);
        Self { partition, range, ahead: VecDeque::new(), looked, look: LOOK_MIN, more: true, taken }
    }
}

/// How far the merge has come.
struct Plan {
    missed: Vec<Missed>,
    /// How many of them have been looked at for the first time.
    looked: usize,
    room: Room,
    position: Position,
}

impl Store {
    /// Answers [`Backlog`] up to `upto`, which the caller has made sure is archived.
    ///
    /// # Errors
    /// [`StorageFault::InGap`] when a restore has cut the device's position off;
    /// [`StorageFault::Database`].
    pub async fn backlog(&self, asked: &Backlog, upto: &Position) -> Result<BacklogReply, StorageFault> {
        if is_stranded(&self.gaps, &asked.after, upto) {
            return Err(StorageFault::InGap);
        }
        let mut position = Position::start(self.partitions);
        for partition in Partition::all(self.partitions) {
            position.advance(partition, asked.after.get(partition));
        }
        let missed = self.missed(&asked.user, &asked.after, upto).await.map_err(database)?;
        let mut plan = Plan { missed, looked: 0, room: Room::new(asked.limit), position };
        let more = self.plan(&mut plan, upto).await.map_err(database)?;
        let taken = plan.missed.iter().filter(|part| part.taken > part.range.after);
        let chosen: Vec<_> =
            taken.map(|part| (part.partition, Range { upto: part.taken, ..part.range.clone() })).collect();
        Ok(BacklogReply { events: self.texts(&asked.user, &chosen).await?, position: plan.position, more })
    }

    /// The unseen parts of the user's conversations, by partition.
    async fn missed(&self, user: &UserId, after: &Position, upto: &Position) -> Result<Vec<Missed>, sqlx::Error> {
        let mut select = statement(missed_text(self.partitions)).bind(user.as_str());
        for partition in Partition::all(self.partitions) {
            select = select.bind(to_sql(after.get(partition)));
        }
        let mut missed = Vec::new();
        for row in select.fetch_all(&self.pool).await? {
            let Ok(conversation) = ConversationId::parse(row.try_get(0)?) else { continue };
            let partition = Partition(u16::try_from(row.try_get::<i64, _>(1)?).unwrap_or(u16::MAX));
            let (joined, left) = (from_sql(row.try_get(2)?), from_sql(row.try_get(3)?));
            let after = after.get(partition).max(joined.saturating_sub(1));
            let upto = upto.get(partition).min(left);
            if after < upto {
                missed.push(Missed::new(partition, Range { conversation, after, upto }));
            }
        }
        missed.sort_by_key(|part| part.partition);
        Ok(missed)
    }

    /// Chooses what goes into the page; returns whether there is more.
    async fn plan(&self, plan: &mut Plan, upto: &Position) -> Result<bool, sqlx::Error> {
        let mut begin = 0;
        for partition in Partition::all(self.partitions) {
            let end = plan.missed.partition_point(|part| part.partition <= partition);
            self.look_first(plan, end).await?;
            let ahead = |index: usize, plan: &Plan| plan.missed[index].ahead.front().map(|found| (found.seq, index));
            let mut next: BinaryHeap<_> = (begin..end).filter_map(|index| ahead(index, plan)).map(Reverse).collect();
            while let Some(Reverse((seq, index))) = next.pop() {
                let part = &mut plan.missed[index];
                let bytes = part.ahead.front().map_or(0, |found| found.bytes);
                if !plan.room.take(bytes) {
                    return Ok(true);
                }
                part.ahead.pop_front();
                part.taken = seq;
                plan.position.advance(partition, seq);
                if part.ahead.is_empty() && part.more {
                    self.look_on(part, plan.room.entries()).await?;
                }
                next.extend(ahead(index, plan).map(Reverse));
            }
            plan.position.advance(partition, upto.get(partition));
            begin = end;
        }
        Ok(false)
    }

    /// Looks at the first entries of each part before `end`, of many parts at once.
    async fn look_first(&self, plan: &mut Plan, end: usize) -> Result<(), sqlx::Error> {
        // Looking one entry beyond the room tells whether there is more.
        let room = plan.room.entries() + 1;
        let look = (2 * room / plan.missed.len().max(1)).max(LOOK_MIN).min(room);
        while plan.looked < end {
            let until = plan.missed.len().min(plan.looked + RANGES_MAX);
            let parts = &mut plan.missed[plan.looked..until];
            let ranges: Vec<_> = parts.iter().map(|part| part.range.clone()).collect();
            for (part, found) in parts.iter_mut().zip(self.sizes(&ranges, Show::Log, From::Oldest, look).await?) {
                part.look = look;
                part.looked_at(found);
            }
            plan.looked = until;
        }
        Ok(())
    }

    async fn look_on(&self, part: &mut Missed, room: usize) -> Result<(), sqlx::Error> {
        part.look = (part.look * 4).min(room + 1);
        let range = Range { after: part.looked, ..part.range.clone() };
        let found = self.sizes(&[range], Show::Log, From::Oldest, part.look).await?;
        part.looked_at(found.into_iter().flatten().collect());
        Ok(())
    }

    async fn texts(&self, user: &UserId, chosen: &[(Partition, Range)]) -> Result<Vec<ArchivedEvent>, StorageFault> {
        let mut seen = Seen::default();
        let ranges: Vec<_> = chosen.iter().map(|(_, range)| range.clone()).collect();
        let mut events = Vec::new();
        for found in self.events(&ranges, Show::Log).await.map_err(database)? {
            let Some((partition, range)) = chosen.get(found.range) else { continue };
            let event = RawValue::from_string(self.veiled(user, range, found.event, &mut seen).await?)
                .map_err(|_| StorageFault::Database)?;
            let conversation = range.conversation.clone();
            events.push(ArchivedEvent { partition: *partition, seq: found.seq, conversation, event });
        }
        events.sort_by_key(|event| (event.partition, event.seq));
        Ok(events)
    }
}

impl Missed {
    fn looked_at(&mut self, found: Vec<Sized>) {
        self.more = found.len() >= self.look;
        self.looked = found.last().map_or(self.looked, |last| last.seq);
        self.ahead.extend(found);
    }
}

/// The spans of a user in conversations that have moved: `$1` is the user, then where the device
/// is in each partition.
pub(crate) fn missed_text(partitions: u16) -> String {
    let cases: String = (0..partitions).map(|part| format!(" WHEN {part} THEN ${}", part + 2)).collect();
    let seen = format!("CASE c.part{cases} ELSE 0 END");
    format!(
        "SELECT c.id, c.part, m.joined_seq, m.left_seq FROM members m JOIN conversations c ON c.id = m.conversation \
         WHERE m.user_id = $1 AND c.last_seq > {seen} AND m.left_seq > {seen}"
    )
}
