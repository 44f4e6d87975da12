#![allow(clippy::unwrap_used)]

use std::{cell::Cell, collections::HashSet};

use natter_bus::presence::{Left, ReportKind};
use proptest::prelude::*;

use super::*;
use crate::{links::Links, listeners::Listeners};

const LEASE: Duration = Duration::from_secs(10);
const LANE: Partition = Partition(0);

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn gateway(number: usize) -> GatewayId {
    GatewayId::new(format!("g{number}")).unwrap()
}

/// What somebody does, or suffers. Numbers are of gateways.
#[derive(Debug, Clone, Copy)]
enum Step {
    Open(usize),
    Close(usize),
    /// The gateway is not heard any more, though it is there.
    Silence(usize),
    /// It is heard again.
    Return(usize),
    Distrust,
    Trust,
    Event {
        theirs: bool,
        alone: bool,
    },
    Lose {
        at: usize,
    },
    Audit(usize),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let one = 0..2_usize;
    prop_oneof![
        2 => one.clone().prop_map(Step::Open),
        1 => one.clone().prop_map(Step::Close),
        2 => one.clone().prop_map(Step::Silence),
        2 => one.clone().prop_map(Step::Return),
        1 => Just(Step::Distrust),
        2 => Just(Step::Trust),
        8 => any::<(bool, bool)>().prop_map(|(theirs, alone)| Step::Event { theirs, alone }),
        2 => one.clone().prop_map(|at| Step::Lose { at }),
        2 => one.prop_map(Step::Audit),
        1 => Just(Step::Sweep),
    ]
}

/// A gateway with a device of the one user.
#[derive(Default)]
struct Device {
    /// Up to where the device has everything, when it listens.
    position: Option<Seq>,
    /// Delivery hears of the gateway.
    heard: bool,
    number: u64,
    /// The next event does not come.
    loses: bool,
}

struct Model {
    view: View,
    links: Links,
    decided: Cell<Seq>,
    now: Instant,
    devices: [Device; 2],
    theirs: Vec<Seq>,
}

impl Model {
    fn new() -> Self {
        let mut this = Self {
            view: View::new(LEASE, 1),
            links: Links::new(1),
            decided: Cell::new(0),
            now: Instant::now(),
            devices: Default::default(),
            theirs: Vec::new(),
        };
        (0..2).for_each(|number| this.report_all(number));
        this.view.trust();
        this
    }

    fn decided(&self) -> impl Fn() -> Numbers + use<> {
        let decided: Numbers = [self.decided.get()].into();
        move || Arc::clone(&decided)
    }

    fn report(&mut self, number: usize, kind: ReportKind) {
        let (gateway, number) = (gateway(number), self.devices[number].number);
        let report = GatewayReport { gateway, epoch: 1, number, has_inbox: true, kind };
        self.view.apply(report, self.now, self.decided());
    }

    fn report_all(&mut self, number: usize) {
        self.devices[number].heard = true;
        let users = self.devices[number].position.map(|_| user("u")).into_iter().collect();
        self.report(number, ReportKind::Full { part: 0, parts: 1, users });
    }

    fn change(&mut self, number: usize, joined: bool) {
        self.devices[number].number += 1;
        if self.devices[number].heard {
            let (joined, left) = match joined {
                true => (vec![user("u")], vec![]),
                false => (vec![], vec![Left { user: user("u"), at: 0 }]),
            };
            self.report(number, ReportKind::Delta { joined, left });
        }
    }

    fn silence(&mut self, number: usize) {
        self.now += LEASE;
        self.devices[number].heard = false;
        for other in (0..2).filter(|other| self.devices[*other].heard).collect::<Vec<_>>() {
            self.report(other, ReportKind::Beat);
        }
        self.view.expire(self.now, self.decided());
    }

    fn event(&mut self, theirs: bool, alone: bool) {
        let seq = self.decided.get() + 1;
        self.decided.set(seq);
        if !theirs {
            return;
        }
        self.theirs.push(seq);
        if !self.view.may_be_online(&user("u")) {
            return;
        }
        let last = self.links.lane(LANE).advance(&user("u"), seq);
        let link = last.max(self.view.passed_by(LANE, &user("u")));
        let (inboxes, alone) = (self.view.all_inboxes(), alone || !self.view.is_trusted());
        let at: HashSet<_> = self.view.inboxes(&user("u"), &inboxes).flatten().cloned().collect();
        for (number, device) in self.devices.iter_mut().enumerate() {
            let comes = alone || at.contains(&gateway(number));
            if comes && !std::mem::take(&mut device.loses) {
                device.look(link, seq, &self.theirs);
            }
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            // Somebody comes by asking for a marker, which waits for the report.
            Step::Open(number) if self.devices[number].heard && self.devices[number].position.is_none() => {
                self.change(number, true);
                self.devices[number].position = Some(self.decided.get());
            }
            Step::Close(number) if self.devices[number].position.take().is_some() => self.change(number, false),
            Step::Silence(number) => self.silence(number),
            Step::Return(number) => self.report_all(number),
            Step::Distrust => self.view.distrust(self.decided()),
            Step::Trust => {
                (0..2)
                    .filter(|number| self.devices[*number].heard)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|number| self.report_all(number));
                self.view.trust();
            }
            Step::Event { theirs, alone } => self.event(theirs, alone),
            Step::Lose { at } => self.devices[at].loses = true,
            Step::Audit(number) => {
                if !self.devices[number].heard {
                    // The report that the marker waits for does not come.
                    self.view.distrust(self.decided());
                }
                let link = self.links.lane(LANE).of(&user("u")).max(self.view.passed_by(LANE, &user("u")));
                self.devices[number].look(link, self.decided.get() + 1, &self.theirs);
            }
            Step::Sweep => self.links.sweep(LANE, |user| self.view.may_be_online(user)),
            Step::Open(_) | Step::Close(_) => {}
        }
    }
}

impl Device {
    /// Something comes that links to `link`: either nothing before it is missing, or it can be seen.
    fn look(&mut self, link: Seq, seq: Seq, theirs: &[Seq]) {
        let Some(position) = self.position else { return };
        if link <= position {
            let missed: Vec<_> = theirs.iter().filter(|event| (position + 1..seq).contains(*event)).collect();
            assert!(
                missed.is_empty(),
                "{missed:?} were passed over: {seq} links to {link}, the device is at {position}"
            );
        }
        let known = if theirs.contains(&seq) { seq } else { seq - 1 };
        self.position = Some(position.max(known));
    }
}

proptest! {
    #[test]
    fn what_passed_somebody_by_can_be_seen(steps in prop::collection::vec(step(), 1..60)) {
        let mut model = Model::new();
        steps.into_iter().for_each(|step| model.take(step));
    }

    #[test]
    fn listeners_are_the_members_online(moves in prop::collection::vec((0..40_usize, 0..3_u8), 1..80)) {
        let mut model = Model::new();
        let name = |number: usize| user(&format!("u{number}"));
        let mut members: Vec<_> = (0..20).map(name).collect();
        members.sort();
        let (mut listeners, mut online) = (Listeners::default(), HashSet::new());
        for (number, what) in moves {
            let somebody = name(number);
            model.devices[0].number += u64::from(what < 2);
            match what {
                0 => {
                    online.insert(somebody.clone());
                    model.report(0, ReportKind::Delta { joined: vec![somebody], left: vec![] });
                }
                1 => {
                    online.remove(&somebody);
                    let left = vec![Left { user: somebody, at: 0 }];
                    model.report(0, ReportKind::Delta { joined: vec![], left });
                }
                _ => {
                    if let Err(index) = members.binary_search(&somebody) {
                        members.insert(index, somebody.clone());
                        listeners.admit(&somebody);
                    }
                    if !listeners.refresh(&members, &model.view) {
                        listeners.look(&members, &model.view);
                    }
                    let found: HashSet<_> =
                        listeners.iter().filter(|user| model.view.may_be_online(user)).cloned().collect();
                    let expected = members.iter().filter(|user| online.contains(*user)).cloned().collect();
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}

#[test]
fn who_has_not_looked_for_long_looks_at_everybody() {
    let mut model = Model::new();
    let mut came = |range: std::ops::Range<usize>| {
        model.devices[0].number += 1;
        let joined = range.map(|number| user(&format!("u{number}"))).collect();
        model.report(0, ReportKind::Delta { joined, left: vec![] });
        (model.view.comings(), model.view.came_after(1).map(Iterator::count))
    };
    assert_eq!(came(0..1), (1, Some(0)));
    assert_eq!(came(1..COMINGS_MAX), (COMINGS_MAX as u64, Some(COMINGS_MAX - 1)));
    assert_eq!(came(COMINGS_MAX..COMINGS_MAX + 2), (COMINGS_MAX as u64 + 2, None), "the first two are forgotten");
}

#[test]
fn to_be_away_is_not_to_come() {
    let mut model = Model::new();
    model.decided.set(5);
    model.take(Step::Open(0));
    model.decided.set(9);
    let status = natter_bus::presence::Status { away: true, hidden: false };
    model.devices[0].number += 1;
    let users = vec![natter_bus::presence::UserStatus { user: user("u"), status }];
    model.report(0, ReportKind::Status { whole: false, users });
    assert_eq!((model.view.passed_by(LANE, &user("u")), model.view.comings()), (5, 1));
}
