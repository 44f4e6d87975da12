//! Numbers that a restore leaves out: what they are, and the decision about a partition. Pure,
//! but for the table at the end.

use natter_ids::{Partition, Position, Seq};
use sqlx::Row;

use crate::{
    ApplyError, Store,
    apply::move_checkpoint,
    sql::{from_sql, to_sql},
};

/// Restores count seconds from the beginning of 2026, in seconds since 1970 UTC.
const EPOCH: u64 = 1_767_225_600;

/// How many numbers each second since then has, as a power of two: more than a partition can give.
const NUMBERS_PER_SEC_LOG2: u32 = 18;

/// A hole this large has a restore in it.
const JUMPED: u64 = 1 << 32;

/// The number at which a log goes on that is restored now, in seconds since 1970 UTC.
///
/// It follows from the time alone, so that a backup may be put back any number of times: a jump
/// of a fixed size would give the numbers of the first time again. It is above every number given
/// so far, because no partition gives 262,144 a second, and stays below 2^53, where numbers are
/// exact in JSON, for a thousand years.
fn first_number(now: u64) -> Seq {
    now.saturating_sub(EPOCH) << NUMBERS_PER_SEC_LOG2
}

/// Numbers that no entry has, or that only lost entries had: those between `after` and `next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// The number before the gap.
    pub after: Seq,
    /// The number behind it.
    pub next: Seq,
}

impl Gap {
    /// Whether a device at this position has it from entries that are lost. Whoever is at `after`
    /// has everything before the gap, whoever is at the number before `next` everything there is.
    pub fn strands(&self, position: Seq) -> bool {
        self.after < position && position + 1 < self.next
    }

    /// How many numbers it leaves out.
    pub fn numbers(&self) -> u64 {
        self.next.saturating_sub(self.after + 1)
    }
}

/// What a restore finds in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// How far it is archived.
    pub archived: Seq,
    /// The oldest number that the log holds; the one after `last` when it is empty.
    pub first: Seq,
    /// The newest number that the log ever gave.
    pub last: Seq,
    /// Gaps that are written down.
    pub gaps: Vec<Gap>,
}

/// What a restore does with one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Gaps of an interrupted restore whose jump never came: forgotten.
    pub stale: Vec<Gap>,
    /// Entries that neither the log nor the archive holds.
    pub lost: Option<Gap>,
    /// Entries that only the log holds, as the numbers before the first and of the last: they are
    /// archived.
    pub unarchived: Option<(Seq, Seq)>,
    /// What the log jumps over.
    pub jump: Gap,
}

impl Plan {
    /// What to do in a partition, now, in seconds since 1970 UTC. `None`: the clock stands before
    /// the newest number was given.
    ///
    /// It always jumps: whether clients hold positions that this log has not given cannot be seen
    /// from it.
    pub fn of(found: &Found, now: u64) -> Option<Self> {
        let Found { archived, first, last, ref gaps } = *found;
        let newest = archived.max(last);
        let jump = Gap { after: newest, next: first_number(now) };
        if jump.numbers() == 0 {
            return None;
        }
        let is_stale = |gap: &&Gap| gap.next > newest + 1;
        let unarchived = (last > archived && first <= last).then(|| (archived.max(first - 1), last));
        Some(Self { stale: gaps.iter().filter(is_stale).copied().collect(), lost: lost(found), unarchived, jump })
    }

    /// How many entries are archived.
    pub fn entries(&self) -> u64 {
        self.unarchived.map_or(0, |(after, upto)| upto - after)
    }

    /// How many entries are lost; `None` when it cannot be told, because the log was restored in
    /// between and the archive, an older one, does not know of it.
    pub fn lost_entries(&self) -> Option<u64> {
        let numbers = self.lost.map_or(0, |gap| gap.numbers());
        (numbers < JUMPED).then_some(numbers)
    }
}

/// The log begins behind what the archive expects next.
fn lost(found: &Found) -> Option<Gap> {
    let hole = Gap { after: found.archived, next: found.first };
    if hole.numbers() == 0 {
        return None;
    }
    // An interrupted restore has jumped, and not moved the checkpoint.
    match found.gaps.iter().find(|gap| gap.next == hole.next && gap.after >= hole.after) {
        Some(jumped) => Some(Gap { after: hole.after, next: jumped.after + 1 }).filter(|gap| gap.numbers() > 0),
        None => Some(hole),
    }
}

/// Whether a device at `after` has a position that restores have cut off. Only what is archived
/// beyond a gap makes it count: before, the restore that wrote it down was not carried out.
pub(crate) fn is_stranded(gaps: &[(Partition, Gap)], after: &Position, archived: &Position) -> bool {
    let counts = |partition, gap: &Gap| archived.get(partition) + 1 >= gap.next;
    gaps.iter().any(|(partition, gap)| gap.strands(after.get(*partition)) && counts(*partition, gap))
}

impl Store {
    /// The gaps of every partition.
    ///
    /// # Errors
    /// The database cannot be used.
    pub(crate) async fn read_gaps(&self) -> Result<Vec<(Partition, Gap)>, sqlx::Error> {
        let select = sqlx::query("SELECT part, after_seq, next_seq FROM gaps ORDER BY part, next_seq");
        let rows = select.fetch_all(&self.pool).await?;
        let gap = |row: &sqlx::any::AnyRow| -> Result<_, sqlx::Error> {
            let part: i64 = row.try_get(0)?;
            let gap = Gap { after: from_sql(row.try_get(1)?), next: from_sql(row.try_get(2)?) };
            Ok((Partition(u16::try_from(part).unwrap_or(u16::MAX)), gap))
        };
        rows.iter().map(gap).collect()
    }

    /// Writes down what a restore is about to do, all or nothing.
    ///
    /// # Errors
    /// The database cannot be used.
    pub async fn note_gaps(&self, partition: Partition, plan: &Plan) -> Result<(), sqlx::Error> {
        let part = i64::from(partition.0);
        let mut tx = self.begin().await?;
        for gap in &plan.stale {
            let delete = sqlx::query("DELETE FROM gaps WHERE part = $1 AND next_seq = $2");
            delete.bind(part).bind(to_sql(gap.next)).execute(&mut *tx).await?;
        }
        for gap in plan.lost.iter().chain([&plan.jump]) {
            let insert = "INSERT INTO gaps (part, after_seq, next_seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(insert).bind(part).bind(to_sql(gap.after)).bind(to_sql(gap.next));
            insert.execute(&mut *tx).await?;
        }
        tx.commit().await
    }

    /// Moves a partition's checkpoint over a gap that the log has jumped.
    ///
    /// # Errors
    /// [`ApplyError`], when somebody else has moved it, too.
    pub async fn pass_gap(&self, partition: Partition, gap: Gap) -> Result<(), ApplyError> {
        let mut tx = self.begin().await?;
        move_checkpoint(&mut tx, partition, gap.after, gap.next - 1).await?;
        Ok(tx.commit().await?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "gaps_tests.rs"]
mod tests;
