#![allow(clippy::unwrap_used)]
//! The seam against a world that loses, repeats and moves things.

use std::collections::BTreeMap;

use natter_ids::SessionId;
use proptest::prelude::*;

use super::*;

const PARTITIONS: u16 = 2;

fn event(partition: u16, seq: Seq) -> LiveEvent {
    let json = format!("{partition}:{seq}").into_bytes().into();
    LiveEvent { partition: Partition(partition), seq, json, stored_at: None, trace: None }
}

fn arrival(partition: u16, seq: Seq, link: Seq) -> Arrival {
    Arrival { event: event(partition, seq), link }
}

fn marker(round: u32, reached: &[(u16, Seq)]) -> Marker {
    let reached = reached.iter().map(|&(partition, seq)| Reached { partition: Partition(partition), seq, link: seq });
    let reached = reached.collect();
    Marker { session: SessionId::random(), round, reached }
}

fn text(deliver: &Deliver) -> String {
    String::from_utf8(deliver.json.to_vec()).unwrap()
}

#[test]
fn missed_then_live_without_seam() {
    let mut seam = Seam::new(Some(Position::from_seqs([3, 0])), PARTITIONS, 1000);
    assert_eq!(seam.on_event(arrival(0, 5, 3)), None, "no marker yet: the archive has it");
    seam.on_marker(&marker(1, &[(0, 4), (1, 0)]));
    assert_eq!(seam.wants_backlog(), Some(Position::from_seqs([5, 0])), "at least what was dropped");
    assert_eq!(seam.on_event(arrival(0, 6, 5)), None, "held");
    assert_eq!(text(&seam.on_archived(event(0, 4)).unwrap()), "0:4");
    assert_eq!(text(&seam.on_archived(event(0, 5)).unwrap()), "0:5");
    assert!(!seam.newly_caught_up());
    let held = seam.on_archived_upto(&Position::from_seqs([5, 0]));
    assert_eq!(held.iter().map(text).collect::<Vec<_>>(), ["0:6"]);
    assert!(seam.newly_caught_up());
    assert!(!seam.newly_caught_up(), "said once");
    assert_eq!(seam.position().seqs(), [6, 0]);
    assert_eq!(seam.on_event(arrival(0, 6, 5)), None, "a repeat");
}

#[test]
fn a_hole_is_read_before_the_position_passes_it() {
    let mut seam = Seam::new(Some(Position::start(PARTITIONS)), PARTITIONS, 1000);
    seam.on_marker(&marker(1, &[(0, 0), (1, 0)]));
    assert!(seam.on_event(arrival(0, 1, 0)).is_some());
    assert_eq!(seam.on_event(arrival(0, 3, 2)), None, "2 has not come");
    assert!(seam.waits() && !seam.needs_marker());
    seam.give_up_waiting();
    assert!(!seam.waits() && seam.needs_marker() && seam.position().seqs() == [1, 0]);
    seam.on_marker(&marker(1, &[(0, 9)]));
    assert!(seam.needs_marker(), "a marker asked for before the hole proves nothing");
    seam.on_marker(&marker(2, &[(0, 3)]));
    assert_eq!(seam.wants_backlog(), Some(Position::from_seqs([3, 0])));
}

#[test]
fn what_comes_early_waits_for_what_it_follows() {
    let mut seam = Seam::new(Some(Position::start(PARTITIONS)), PARTITIONS, 1000);
    seam.on_marker(&marker(1, &[(0, 0), (1, 0)]));
    for (seq, link) in [(4, 3), (3, 2), (4, 3)] {
        assert_eq!(seam.on_event(arrival(0, seq, link)), None);
        assert_eq!(seam.next_early(Partition(0)), None);
    }
    assert!(seam.waits());
    assert_eq!(text(&seam.on_event(arrival(0, 2, 0)).unwrap()), "0:2");
    let early: Vec<_> = std::iter::from_fn(|| seam.next_early(Partition(0))).map(|deliver| text(&deliver)).collect();
    assert_eq!(early, ["0:3", "0:4"]);
    assert!(!seam.waits() && !seam.needs_marker());
    // Not without bound.
    for seq in 10..400 {
        assert_eq!(seam.on_event(arrival(0, seq, seq - 1)), None);
    }
    assert!(seam.needs_marker());
}

#[test]
fn what_waits_is_read_from_the_archive_when_a_marker_says_so() {
    let mut seam = Seam::new(Some(Position::start(PARTITIONS)), PARTITIONS, 1000);
    seam.on_marker(&marker(1, &[(0, 0), (1, 0)]));
    assert_eq!(seam.on_event(arrival(0, 9, 8)), None);
    seam.audit();
    seam.on_marker(&marker(2, &[(0, 8), (1, 0)]));
    assert_eq!(seam.wants_backlog(), Some(Position::from_seqs([8, 0])));
    assert_eq!(text(&seam.on_archived(event(0, 8)).unwrap()), "0:8");
    let held = seam.on_archived_upto(&Position::from_seqs([8, 0]));
    assert_eq!(held.iter().map(text).collect::<Vec<_>>(), ["0:9"]);
}

#[test]
fn a_new_device_starts_at_the_present() {
    let mut seam = Seam::new(None, PARTITIONS, 1000);
    seam.on_marker(&marker(1, &[(0, 40)]));
    assert!(!seam.newly_caught_up(), "the other partition's owner has not answered");
    seam.on_marker(&marker(1, &[(1, 7)]));
    assert!(seam.newly_caught_up() && seam.wants_backlog().is_none());
    assert_eq!(seam.position().seqs(), [40, 7]);
}

#[test]
fn held_events_are_bounded() {
    let mut seam = Seam::new(Some(Position::start(PARTITIONS)), PARTITIONS, 10);
    seam.on_marker(&marker(1, &[(0, 1), (1, 0)]));
    (2..20).for_each(|seq| assert_eq!(seam.on_event(arrival(0, seq, seq - 1)), None));
    assert!(seam.needs_marker(), "too much was held: it is read from the archive instead");
    seam.on_marker(&marker(seam.round(), &[(0, 2)]));
    assert_eq!(seam.wants_backlog(), Some(Position::from_seqs([19, 0])));
}

#[test]
fn an_audit_finds_a_lost_last_event() {
    let mut seam = Seam::new(Some(Position::start(PARTITIONS)), PARTITIONS, 1000);
    seam.on_marker(&marker(1, &[(0, 0), (1, 0)]));
    seam.audit();
    seam.on_marker(&marker(2, &[(0, 8), (1, 0)]));
    assert_eq!(seam.wants_backlog(), Some(Position::from_seqs([8, 0])));
}

#[test]
fn an_audit_that_finds_nothing_reads_nothing() {
    let mut seam = Seam::new(Some(Position::start(PARTITIONS)), PARTITIONS, 1000);
    seam.on_marker(&marker(1, &[(0, 0), (1, 0)]));
    assert!(seam.on_event(arrival(0, 5, 0)).is_some());
    seam.audit();
    let reached = Reached { partition: Partition(0), seq: 90, link: 5 };
    seam.on_marker(&Marker { session: SessionId::random(), round: 2, reached: vec![reached] });
    assert_eq!(seam.wants_backlog(), None, "the partition went on, but not for this user");
    seam.audit();
    let reached = Reached { link: 7, ..reached };
    seam.on_marker(&Marker { session: SessionId::random(), round: 3, reached: vec![reached] });
    assert_eq!(seam.wants_backlog(), Some(Position::from_seqs([90, 0])), "7 never came");
}

/// The log of one user in one partition, its sender, and the way to the inbox.
#[derive(Default)]
struct Lane {
    /// Numbers of this user's events; the partition has others between them.
    log: Vec<Seq>,
    sent: usize,
    last_sent: Seq,
    way: Vec<Arrival>,
}

#[derive(Debug, Clone)]
enum Step {
    Append(u16, u64),
    Send(u16),
    Lose(u16),
    Arrive(u16),
    /// The way is two ways: what comes next overtakes what is first.
    Overtake(u16),
    Patience,
    Handover(u16, usize),
    Marker,
    Archive(usize),
    Suspect,
    Audit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lane = 0..PARTITIONS;
    let step = prop_oneof![
        6 => (lane.clone(), 1..4_u64).prop_map(|(lane, gap)| Step::Append(lane, gap)),
        6 => lane.clone().prop_map(Step::Send),
        1 => lane.clone().prop_map(Step::Lose),
        6 => lane.clone().prop_map(Step::Arrive),
        2 => lane.clone().prop_map(Step::Overtake),
        1 => Just(Step::Patience),
        1 => (lane, 0..4_usize).prop_map(|(lane, back)| Step::Handover(lane, back)),
        2 => Just(Step::Marker),
        3 => (1..4_usize).prop_map(Step::Archive),
        1 => Just(Step::Suspect),
        1 => Just(Step::Audit),
    ];
    prop::collection::vec(step, 0..200)
}

struct World {
    seam: Seam,
    lanes: BTreeMap<u16, Lane>,
    got: BTreeMap<u16, Vec<Seq>>,
}

impl World {
    fn got(&mut self, deliver: Option<Deliver>) {
        let Some(deliver) = deliver else { return };
        let label = text(&deliver);
        let (partition, seq) = label.split_once(':').unwrap();
        self.got.entry(partition.parse().unwrap()).or_default().push(seq.parse().unwrap());
    }

    fn marker(&mut self) {
        let reached: Vec<_> = self.lanes.iter().map(|(p, lane)| (*p, lane.last_sent)).collect();
        // The marker travels the same way as the events: they come first.
        for partition in 0..PARTITIONS {
            while !self.lanes[&partition].way.is_empty() {
                self.step(Step::Arrive(partition));
            }
        }
        self.seam.on_marker(&marker(self.seam.round(), &reached));
    }

    /// Answers the wish for the archive by a page of at most `limit` events.
    fn archive(&mut self, limit: usize) {
        let Some(upto) = self.seam.wants_backlog() else { return };
        let after = self.seam.position().clone();
        let mut reached = after.clone();
        let mut room = limit;
        for partition in 0..PARTITIONS {
            let p = Partition(partition);
            let wanted = |seq: &&Seq| **seq > after.get(p) && **seq <= upto.get(p);
            let page: Vec<_> = self.lanes[&partition].log.iter().filter(wanted).copied().take(room + 1).collect();
            let whole = page.len() <= room;
            for seq in page.into_iter().take(room) {
                room -= 1;
                reached.advance(p, seq);
                let deliver = self.seam.on_archived(event(partition, seq));
                self.got(deliver);
            }
            if !whole {
                break;
            }
            reached.advance(p, upto.get(p));
        }
        for deliver in self.seam.on_archived_upto(&reached) {
            self.got(Some(deliver));
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(lane, gap) => {
                let log = &mut self.lanes.get_mut(&lane).unwrap().log;
                log.push(log.last().copied().unwrap_or(0) + gap);
            }
            Step::Send(lane) | Step::Lose(lane) => {
                let lost = matches!(step, Step::Lose(_));
                let l = self.lanes.get_mut(&lane).unwrap();
                let Some(seq) = l.log.get(l.sent).copied() else { return };
                l.sent += 1;
                let link = std::mem::replace(&mut l.last_sent, seq);
                if !lost {
                    l.way.push(arrival(lane, seq, link));
                }
            }
            Step::Arrive(lane) => {
                let way = &mut self.lanes.get_mut(&lane).unwrap().way;
                if !way.is_empty() {
                    let arrival = way.remove(0);
                    let deliver = self.seam.on_event(arrival);
                    self.got(deliver);
                    while let Some(early) = self.seam.next_early(Partition(lane)) {
                        self.got(Some(early));
                    }
                }
            }
            Step::Overtake(lane) => {
                let way = &mut self.lanes.get_mut(&lane).unwrap().way;
                if way.len() > 1 {
                    way.swap(0, 1);
                }
            }
            Step::Patience => self.seam.give_up_waiting(),
            // Another replica goes on from a little earlier, knowing nothing of links.
            Step::Handover(lane, back) => {
                let l = self.lanes.get_mut(&lane).unwrap();
                l.sent = l.sent.saturating_sub(back);
                l.last_sent = l.sent.checked_sub(1).map_or(0, |index| l.log[index]);
            }
            Step::Marker => self.marker(),
            Step::Archive(limit) => self.archive(limit),
            Step::Suspect => self.seam.suspect(),
            Step::Audit => self.seam.audit(),
        }
    }
}

proptest! {
    /// Whatever is lost, repeated or handed over, a device gets exactly its events, in order,
    /// once; and it never has a position beyond an event that it has not got.
    #[test]
    fn exactly_what_was_missed(steps in steps()) {
        let lanes = (0..PARTITIONS).map(|partition| (partition, Lane::default())).collect();
        let seam = Seam::new(Some(Position::start(PARTITIONS)), PARTITIONS, 30);
        let mut world = World { seam, lanes, got: BTreeMap::new() };
        let none = Vec::new();
        for step in steps {
            world.step(step);
            for (partition, lane) in &world.lanes {
                let position = world.seam.position().get(Partition(*partition));
                let due: Vec<_> = lane.log.iter().copied().filter(|seq| *seq <= position).collect();
                prop_assert_eq!(world.got.get(partition).unwrap_or(&none), &due);
            }
        }
        for lane in 0..PARTITIONS {
            while world.lanes[&lane].sent < world.lanes[&lane].log.len() {
                world.step(Step::Send(lane));
            }
        }
        for _ in 0..4 {
            world.step(Step::Patience);
            world.step(Step::Audit);
            world.step(Step::Marker);
            while world.seam.wants_backlog().is_some() {
                world.step(Step::Archive(3));
            }
        }
        for (partition, lane) in &world.lanes {
            prop_assert_eq!(world.got.get(partition).unwrap_or(&none), &lane.log);
        }
    }
}
