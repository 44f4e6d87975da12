//! Runs of entries that history leaves out: a message that thousands react to has thousands behind it.
//! Long runs are written down, and history steps over them. They are a short cut and no more: an entry
//! that stands in none is still looked at by itself.

use std::collections::VecDeque;

use natter_ids::{ConversationId, Seq};
use natter_protocol::Change;
use sqlx::Row;

use crate::{
    Store,
    apply::Tx,
    entries::{From, Range, Show},
    fold::Heads,
    sql::{from_sql, pieces, rows, statement, to_sql},
};

/// Shorter runs are not worth a row.
const ENTRIES_MIN: u64 = 64;
/// How many ranges are looked at together. Most people have one.
const RANGES_AT_ONCE: usize = 4;
/// How many runs are stepped over together.
const RUNS_AT_ONCE: usize = 24;

/// Entries of a conversation, one after the other, that history leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) entries: u64,
}

impl Run {
    /// Takes in an entry that history leaves out, and the number of the one before it.
    pub(crate) fn take(&mut self, prev: Seq, seq: Seq) {
        let first = if self.last == prev && self.entries > 0 { self.first } else { seq };
        let entries = if first == seq { 1 } else { self.entries + 1 };
        *self = Self { first, last: seq, entries };
    }

    pub(crate) fn is_long(&self) -> bool {
        self.entries >= ENTRIES_MIN
    }
}

/// Whether an entry only changes a message, so that history leaves it out.
pub(crate) fn only_changes(change: &Change) -> bool {
    change.target().is_some() && !matches!(change, Change::Pinned { .. } | Change::Unpinned { .. })
}

/// Writes down the long runs that a batch has brought, or made longer.
pub(crate) async fn save_runs(tx: &mut Tx<'_>, heads: &Heads<'_>) -> Result<(), sqlx::Error> {
    let runs: Vec<_> = heads.0.iter().flat_map(|(id, head)| head.runs.iter().map(move |run| (id, run))).collect();
    for piece in pieces(&runs) {
        let mut upsert = statement(format!(
            "INSERT INTO change_runs (conversation, first_seq, last_seq) VALUES {} \
             ON CONFLICT (conversation, first_seq) DO UPDATE SET last_seq = excluded.last_seq",
            rows(tx, piece.len(), 3)
        ));
        for (conversation, run) in piece {
            upsert = upsert.bind(conversation.as_str()).bind(to_sql(run.first)).bind(to_sql(run.last));
        }
        upsert.execute(&mut **tx).await?;
    }
    Ok(())
}

impl Store {
    /// The next ranges to look through of those ahead, all of one conversation: without long runs, when
    /// history leaves them out.
    pub(crate) async fn next_ranges(
        &self,
        ahead: &mut VecDeque<Range>,
        show: Show,
        from: From,
    ) -> Result<Vec<Range>, sqlx::Error> {
        let piece: Vec<_> = ahead.drain(..ahead.len().min(RANGES_AT_ONCE)).collect();
        let (Show::Messages, Some(first)) = (show, piece.first()) else { return Ok(piece) };
        let after = piece.iter().map(|range| range.after).min().unwrap_or(0);
        let upto = piece.iter().map(|range| range.upto).max().unwrap_or(0);
        let runs = self.long_runs(&first.conversation, after, upto, from).await?;
        let (parts, rest) = step_over(piece, &runs, from, runs.len() < RUNS_AT_ONCE);
        for range in rest.into_iter().rev() {
            ahead.push_front(range);
        }
        Ok(parts)
    }

    async fn long_runs(
        &self,
        conversation: &ConversationId,
        after: Seq,
        upto: Seq,
        from: From,
    ) -> Result<Vec<(Seq, Seq)>, sqlx::Error> {
        let select = sqlx::query(match from {
            From::Oldest => RUNS_ASCENDING,
            From::Newest => RUNS_DESCENDING,
        });
        let select = select.bind(conversation.as_str()).bind(to_sql(after)).bind(to_sql(upto));
        let rows = select.bind(i64::try_from(RUNS_AT_ONCE).unwrap_or(i64::MAX)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((from_sql(row.try_get(0)?), from_sql(row.try_get(1)?)))).collect()
    }
}

macro_rules! runs_text {
    ($order:literal) => {
        concat!(
            "SELECT first_seq, last_seq FROM change_runs WHERE conversation = $1 AND first_seq <= $3 AND first_seq >= ",
            "COALESCE((SELECT MAX(r.first_seq) FROM change_runs r WHERE r.conversation = $1 AND r.first_seq <= $2), 0) ",
            "ORDER BY first_seq ",
            $order,
            " LIMIT $4"
        )
    };
}

pub(crate) const RUNS_ASCENDING: &str = runs_text!("ASC");
pub(crate) const RUNS_DESCENDING: &str = runs_text!("DESC");

/// What of the ranges lies outside the runs, and what lies beyond the last of these and is to be looked
/// at again. Ranges and runs stand in the order of reading; `all`: there are no runs beyond.
fn step_over(ranges: Vec<Range>, runs: &[(Seq, Seq)], from: From, all: bool) -> (Vec<Range>, Vec<Range>) {
    let (mut parts, mut rest) = (Vec::new(), Vec::new());
    for Range { conversation, mut after, mut upto } in ranges {
        let mut part = |after, upto| {
            if after < upto {
                parts.push(Range { conversation: conversation.clone(), after, upto });
            }
        };
        for &(first, last) in runs {
            if first > upto || last <= after {
                continue;
            }
            match from {
                From::Newest => {
                    part(last.max(after), upto);
                    upto = first - 1;
                }
                From::Oldest => {
                    part(after, (first - 1).min(upto));
                    after = last;
                }
            }
        }
        let known = all
            || runs.last().is_none_or(|&(first, last)| match from {
                From::Newest => upto >= first,
                From::Oldest => after < last,
            });
        if known {
            part(after, upto);
        } else if after < upto {
            rest.push(Range { conversation, after, upto });
        }
    }
    (parts, rest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_ids::UserId;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_run_ends_where_something_else_stands() {
        let mut run = Run::default();
        for (prev, seq) in [(0, 1), (1, 3), (3, 4)] {
            run.take(prev, seq);
        }
        assert_eq!(run, Run { first: 1, last: 4, entries: 3 });
        run.take(6, 9);
        assert_eq!(run, Run { first: 9, last: 9, entries: 1 });
    }

    proptest! {
        /// Piece by piece, in either direction, whatever is in no run comes once and in order.
        #[test]
        fn what_is_in_no_run_comes_once(
            lengths in prop::collection::vec((1_u64..4, 1_u64..4), 0..12),
            cuts in prop::collection::btree_set(0_u64..60, 0..8),
            at_once in 1_usize..5,
            newest in any::<bool>(),
        ) {
            let user = |name: &str| UserId::new(name).unwrap();
            let conversation = ConversationId::direct(&user("a"), &user("b"));
            let mut next = 1;
            let mut runs: Vec<_> = lengths
                .iter()
                .map(|(gap, length)| {
                    let run = (next + gap, next + gap + length - 1);
                    next = run.1 + 1;
                    run
                })
                .collect();
            let cuts: Vec<_> = cuts.into_iter().collect();
            let range = |cut: &[Seq]| Range { conversation: conversation.clone(), after: cut[0], upto: cut[1] };
            let mut ahead: VecDeque<_> = cuts.chunks_exact(2).map(range).collect();
            let seqs = |range: &Range| (range.after + 1..=range.upto).collect::<Vec<_>>();
            let mut expected: Vec<Seq> = ahead.iter().flat_map(seqs).collect();
            expected.retain(|seq| !runs.iter().any(|(first, last)| (*first..=*last).contains(seq)));
            let from = if newest { From::Newest } else { From::Oldest };
            if newest {
                expected.reverse();
                runs.reverse();
                ahead.make_contiguous().reverse();
            }
            let mut got = Vec::new();
            while !ahead.is_empty() {
                let piece: Vec<_> = ahead.drain(..).collect();
                let after = piece.iter().map(|range| range.after).min().unwrap();
                let upto = piece.iter().map(|range| range.upto).max().unwrap();
                let here: Vec<_> =
                    runs.iter().filter(|(first, last)| *first <= upto && *last > after).take(at_once).copied().collect();
                let (parts, rest) = step_over(piece, &here, from, here.len() < at_once);
                ahead.extend(rest);
                for part in parts {
                    let mut seqs = seqs(&part);
                    if newest {
                        seqs.reverse();
                    }
                    got.extend(seqs);
                }
            }
            prop_assert_eq!(got, expected);
        }
    }
}
