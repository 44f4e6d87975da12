//! The decision about a partition, and what it does to positions, by a model of a deployment.

use natter_ids::{Partition, Position};
use proptest::prelude::*;

use super::*;

fn found(archived: Seq, first: Seq, last: Seq) -> Found {
    Found { archived, first, last, gaps: Vec::new() }
}

/// The beginning of a day in 2026, and where logs go on that are restored then.
const NOW: u64 = EPOCH + 24 * 3600;
const NEXT: Seq = (24 * 3600) << 18;

fn plan(found: &Found) -> Plan {
    Plan::of(found, NOW).unwrap()
}

#[test]
fn an_older_archive_takes_what_the_log_holds() {
    let plan = plan(&found(40, 1, 100));
    assert_eq!((plan.unarchived, plan.entries(), plan.lost), (Some((40, 100)), 60, None));
    assert_eq!(plan.jump, Gap { after: 100, next: NEXT });
}

#[test]
fn an_older_or_lost_log_goes_on_behind_the_archive() {
    for last in [0, 60] {
        let plan = plan(&found(100, last + 1, last));
        assert_eq!((plan.unarchived, plan.lost, plan.jump.after), (None, None, 100), "{last}");
    }
}

#[test]
fn what_neither_holds_is_lost() {
    let some = plan(&found(40, 51, 100));
    assert_eq!((some.lost, some.lost_entries()), (Some(Gap { after: 40, next: 51 }), Some(10)));
    assert_eq!((some.unarchived, some.entries()), (Some((50, 100)), 50));
    let all = plan(&found(40, 101, 100));
    assert_eq!((all.lost_entries(), all.unarchived, all.jump.after), (Some(60), None, 100));
}

#[test]
fn an_interrupted_restore_lost_nothing() {
    let before = found(100, 1, 60);
    let jump = plan(&before).jump;
    // Written down, and no more.
    let noted = Found { gaps: vec![jump], ..before };
    assert_eq!(plan(&noted).stale, [jump]);
    // Jumped as well.
    let jumped = Found { first: jump.next, last: jump.next - 1, ..noted };
    let again = Plan::of(&jumped, NOW + 1).unwrap();
    assert_eq!((again.lost, &again.stale[..], again.unarchived), (None, &[][..], None));
    assert_eq!(again.jump.after, jump.next - 1);
    // And with an archive that is older than the one that was noted in.
    let older = Found { archived: 90, ..jumped };
    assert_eq!(Plan::of(&older, NOW + 1).unwrap().lost, Some(Gap { after: 90, next: 101 }));
    // One that knows of no jump cannot tell how much is lost.
    let forgot = Found { gaps: Vec::new(), ..older };
    assert_eq!(Plan::of(&forgot, NOW + 1).unwrap().lost_entries(), None);
}

#[test]
fn a_clock_that_is_wrong_is_noticed() {
    assert_eq!(Plan::of(&found(0, 1, 0), EPOCH - 1), None);
    assert_eq!(Plan::of(&found(NEXT, 1, 0), NOW), None);
    assert!(Plan::of(&found(NEXT, 1, 0), NOW + 1).is_some());
}

#[test]
fn the_ends_of_a_gap_are_positions() {
    let gap = Gap { after: 10, next: 20 };
    let stranded: Vec<_> = (8..22).filter(|position| gap.strands(*position)).collect();
    assert_eq!(stranded, (11..19).collect::<Vec<_>>());
}

/// A partition's log and archive, each with what it held at some moment.
#[derive(Debug, Clone, Default)]
struct Partial {
    archived: Seq,
    gaps: Vec<Gap>,
    /// The log holds everything from here to `last`.
    first: Seq,
    last: Seq,
}

impl Partial {
    /// Carries out so many of the steps of a restore: writing down, archiving, the jump, the
    /// checkpoint.
    fn restore(&mut self, now: u64, steps: u8) -> Gap {
        let (archived, first, last) = (self.archived, self.first, self.last);
        let plan = Plan::of(&Found { archived, first, last, gaps: self.gaps.clone() }, now).unwrap();
        self.gaps.retain(|gap| !plan.stale.contains(gap));
        self.gaps.extend(plan.lost.iter().chain([&plan.jump]));
        if let (Some((after, upto)), 2..) = (plan.unarchived, steps) {
            assert!(after + 1 >= first && after >= archived && upto == last, "only what the log alone holds");
            self.archived = upto;
        }
        if steps >= 3 {
            (self.first, self.last) = (plan.jump.next, plan.jump.next - 1);
        }
        if steps >= 4 {
            assert!(self.archived <= plan.jump.after, "the checkpoint never goes back");
            self.archived = plan.jump.next - 1;
        }
        plan.jump
    }

    /// Whether a gateway refuses the position.
    fn refuses(&self, position: Seq) -> bool {
        let gaps: Vec<_> = self.gaps.iter().map(|gap| (Partition(0), *gap)).collect();
        let archived = Position::from_seqs([self.archived]);
        position > self.last.max(self.archived) || is_stranded(&gaps, &Position::from_seqs([position]), &archived)
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Accept(u64),
    Archive(u64),
    Expire(u64),
    BackUp,
    /// Log and archive come from these backups; then so many tries are interrupted after so many
    /// steps, and one is not.
    Restore(usize, usize, [u8; 2]),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1..50_u64).prop_map(Step::Accept),
        3 => (1..80_u64).prop_map(Step::Archive),
        1 => (1..30_u64).prop_map(Step::Expire),
        2 => Just(Step::BackUp),
        2 => (0..20_usize, 0..20_usize, [0..4_u8, 0..4_u8]).prop_map(|(log, sql, tries)| Step::Restore(log, sql, tries)),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    /// Whatever was backed up, put back and interrupted: no number is given twice, a position
    /// that only lost entries have is refused, and whoever has everything goes on.
    #[test]
    fn no_number_is_given_twice(steps in steps()) {
        let mut now = Partial { first: 1, ..Partial::default() };
        let (mut time, mut given) = (NOW, 0);
        let mut backups = vec![now.clone()];
        for step in steps {
            time += 1;
            match step {
                Step::Accept(count) => {
                    prop_assert!(now.last >= given, "{} is given again: {now:?}", now.last + 1);
                    now.last += count;
                    given = now.last;
                }
                Step::Archive(count) => now.archived = now.last.min(now.archived.max(now.first - 1) + count),
                Step::Expire(count) => now.first = (now.first + count).min(now.archived + 1).max(now.first),
                Step::BackUp => backups.push(now.clone()),
                Step::Restore(log, sql, tries) => {
                    let (log, sql) = (&backups[log % backups.len()], &backups[sql % backups.len()]);
                    now = Partial { first: log.first, last: log.last, ..sql.clone() };
                    for (steps, time) in tries.into_iter().filter(|steps| *steps > 0).zip(time..) {
                        now.restore(time, steps);
                    }
                    time += 2;
                    let known = now.last.max(now.archived);
                    let jump = now.restore(time, 4);
                    prop_assert_eq!((now.archived, now.last, jump.after), (jump.next - 1, jump.next - 1, known));
                    for lost in [known + 1, given, jump.next - 2] {
                        prop_assert!(lost <= known || now.refuses(lost), "{lost} is of no entry: {now:?}");
                    }
                    for kept in [known, now.last] {
                        prop_assert!(!now.refuses(kept), "{kept} is the newest of all: {now:?}");
                    }
                    given = now.last;
                }
            }
        }
    }
}
