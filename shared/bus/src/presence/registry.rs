//! The registry of who is online where: a pure state machine.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use natter_ids::{GatewayId, UserId};
use smallvec::SmallVec;

use super::{GatewayReport, Left, ReportKind, Status, UserStatus};

/// A user came online or went offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Who.
    pub user: UserId,
    /// Whether any gateway has them now.
    pub online: bool,
    /// When the last device went, in milliseconds since 1970 UTC; only when offline.
    pub last_seen: Option<u64>,
    /// What others are to see; of somebody offline, the last that was known.
    pub status: Status,
}

/// A gateway's place in a registry, as long as the registry knows it.
pub type Slot = u16;

/// The gateways of a user: mostly one.
type Slots = SmallVec<[Slot; 4]>;

#[derive(Debug)]
struct Gateway {
    slot: Slot,
    /// Whether it has an inbox of its own.
    has_inbox: bool,
    epoch: u64,
    /// Every change up to this one is in `users`.
    number: u64,
    heard: Instant,
    /// By the wall clock, in milliseconds since 1970 UTC.
    heard_at: u64,
    /// A change was missed, or no full report has come yet.
    incomplete: bool,
    users: HashSet<UserId>,
    /// Of users who want something.
    status: HashMap<UserId, Status>,
    /// Parts of a full report that is on its way, with its number.
    parts: Option<(u64, u32, HashSet<UserId>)>,
}

/// Who is online, by what gateways reported.
#[derive(Debug)]
pub struct Registry {
    lease: Duration,
    gateways: HashMap<GatewayId, Gateway>,
    /// At which gateways each online user is.
    online: HashMap<UserId, Slots>,
    /// The gateway in each slot.
    slots: Vec<Option<GatewayId>>,
    /// What others are to see of those online, where it is not the usual.
    status: HashMap<UserId, Status>,
}

impl Registry {
    /// Knows nobody. A gateway that is silent for `lease` is dead.
    pub fn new(lease: Duration) -> Self {
        Self { lease, gateways: HashMap::new(), online: HashMap::new(), slots: Vec::new(), status: HashMap::new() }
    }

    /// Whether any gateway has the user, as far as is known.
    pub fn is_online(&self, user: &UserId) -> bool {
        self.online.contains_key(user)
    }

    /// At which gateways the user is, as far as is known.
    pub fn gateways_of(&self, user: &UserId) -> &[Slot] {
        self.online.get(user).map_or(&[], |slots| slots)
    }

    /// The gateway in each slot, if it has an inbox of its own.
    pub fn inboxes(&self) -> Vec<Option<GatewayId>> {
        let has_inbox = |id: &GatewayId| self.gateways.get(id).is_some_and(|gateway| gateway.has_inbox);
        self.slots.iter().map(|id| id.clone().filter(has_inbox)).collect()
    }

    /// What others are to see of the user.
    pub fn status(&self, user: &UserId) -> Status {
        self.status.get(user).copied().unwrap_or_default()
    }

    /// Whether the reports of every gateway heard of are complete.
    pub fn is_complete(&self) -> bool {
        self.gateways.values().all(|gateway| !gateway.incomplete)
    }

    /// Whether every change of a gateway up to a number is known.
    pub fn has_applied(&self, gateway: &GatewayId, number: u64) -> bool {
        self.gateways.get(gateway).is_some_and(|gateway| !gateway.incomplete && gateway.number >= number)
    }

    /// How many users are online.
    pub fn len(&self) -> usize {
        self.online.len()
    }

    /// Whether nobody is online.
    pub fn is_empty(&self) -> bool {
        self.online.is_empty()
    }

    /// Nothing may be relied on until every gateway has reported in full again.
    pub fn distrust(&mut self) {
        self.gateways.values_mut().for_each(|gateway| gateway.incomplete = true);
    }

    /// Takes a report in. `wall` is the receiver's clock, in milliseconds since 1970 UTC.
    pub fn apply(&mut self, report: GatewayReport, now: Instant, wall: u64) -> Vec<Transition> {
        let (mut transitions, mut touched) = (Vec::new(), Vec::new());
        let known = self.gateways.get(&report.gateway).map(|gateway| gateway.epoch);
        if known.is_some_and(|epoch| epoch > report.epoch) {
            return transitions;
        }
        if let ReportKind::Gone { at } = report.kind {
            self.forget(&report.gateway, at, &mut transitions, &mut touched);
            self.settle(touched, &mut transitions);
            return transitions;
        }
        if known.is_some_and(|epoch| epoch < report.epoch) {
            self.forget(&report.gateway, wall, &mut transitions, &mut touched);
        }
        let gateway = self.gateways.entry(report.gateway.clone()).or_insert_with(|| Gateway {
            slot: take_slot(&mut self.slots, report.gateway),
            has_inbox: false,
            epoch: report.epoch,
            number: 0,
            heard: now,
            heard_at: wall,
            incomplete: true,
            users: HashSet::new(),
            status: HashMap::new(),
            parts: None,
        });
        (gateway.heard, gateway.heard_at, gateway.has_inbox) = (now, wall, report.has_inbox);
        match report.kind {
            ReportKind::Beat => gateway.incomplete |= report.number != gateway.number,
            ReportKind::Delta { joined, left } => {
                gateway.incomplete |= report.number != gateway.number + 1;
                gateway.number = gateway.number.max(report.number);
                touched.extend(joined.iter().cloned());
                joined.into_iter().for_each(|user| join(&mut self.online, gateway, user, &mut transitions));
                for Left { user, at } in left {
                    touched.push(user.clone());
                    leave(&mut self.online, gateway, &user, at, &mut transitions);
                }
            }
            ReportKind::Full { part, parts, users } => {
                if let Some(users) = collect(gateway, report.number, part, parts, users) {
                    let gone: Vec<_> = gateway.users.difference(&users).cloned().collect();
                    touched.extend(gone.iter().chain(&users).filter(|user| self.status.contains_key(*user)).cloned());
                    gone.iter().for_each(|user| leave(&mut self.online, gateway, user, wall, &mut transitions));
                    users.into_iter().for_each(|user| join(&mut self.online, gateway, user, &mut transitions));
                    gateway.number = report.number;
                    gateway.incomplete = false;
                }
            }
            ReportKind::Status { whole, users } => {
                gateway.incomplete |= report.number != gateway.number + u64::from(!whole);
                gateway.number = gateway.number.max(report.number);
                if whole {
                    touched.extend(gateway.status.drain().map(|(user, _)| user));
                }
                for UserStatus { user, status } in users {
                    touched.push(user.clone());
                    match status == Status::default() {
                        true => drop(gateway.status.remove(&user)),
                        false => drop(gateway.status.insert(user, status)),
                    }
                }
            }
            ReportKind::Gone { .. } => {}
        }
        self.settle(touched, &mut transitions);
        transitions
    }

    /// Works out what others are to see of these users now: away is who is away everywhere, hidden who
    /// is hidden anywhere.
    fn settle(&mut self, touched: Vec<UserId>, transitions: &mut Vec<Transition>) {
        for transition in transitions.iter_mut() {
            transition.status = self.status(&transition.user);
            if !transition.online {
                self.status.remove(&transition.user);
            }
        }
        let came_or_went: Vec<_> = transitions.iter().map(|transition| transition.user.clone()).collect();
        for user in touched.into_iter().chain(came_or_went) {
            let here = self.gateways.values().filter(|gateway| gateway.users.contains(&user));
            let mut all = here.map(|gateway| gateway.status.get(&user).copied().unwrap_or_default());
            let Some(first) = all.next() else { continue };
            let status = all
                .fold(first, |one, other| Status { away: one.away && other.away, hidden: one.hidden || other.hidden });
            if status == self.status(&user) {
                continue;
            }
            match status == Status::default() {
                true => drop(self.status.remove(&user)),
                false => drop(self.status.insert(user.clone(), status)),
            }
            match transitions.iter_mut().find(|transition| transition.user == user) {
                Some(known) => known.status = status,
                None => transitions.push(Transition { user, online: true, last_seen: None, status }),
            }
        }
    }

    /// Forgets gateways that have been silent for the lease.
    pub fn expire(&mut self, now: Instant) -> Vec<Transition> {
        let (mut transitions, mut touched) = (Vec::new(), Vec::new());
        let silent = |gateway: &Gateway| now.duration_since(gateway.heard) >= self.lease;
        let dead: Vec<_> =
            self.gateways.iter().filter(|(_, g)| silent(g)).map(|(id, g)| (id.clone(), g.heard_at)).collect();
        for (gateway, at) in dead {
            self.forget(&gateway, at, &mut transitions, &mut touched);
        }
        self.settle(touched, &mut transitions);
        transitions
    }

    fn forget(&mut self, gateway: &GatewayId, at: u64, transitions: &mut Vec<Transition>, touched: &mut Vec<UserId>) {
        let Some(mut gateway) = self.gateways.remove(gateway) else { return };
        for user in std::mem::take(&mut gateway.users) {
            if self.status.contains_key(&user) || self.gateways_of(&user).len() > 1 {
                touched.push(user.clone());
            }
            drop_one(&mut self.online, &user, gateway.slot, at, transitions);
        }
        if let Some(slot) = self.slots.get_mut(usize::from(gateway.slot)) {
            *slot = None;
        }
    }
}

/// Adds a part of a full report; the whole once it is complete.
fn collect(gateway: &mut Gateway, number: u64, part: u32, parts: u32, users: Vec<UserId>) -> Option<HashSet<UserId>> {
    if number < gateway.number {
        // Changes after it are applied already; another full report will come.
        return None;
    }
    let (_, next, mut all) = match gateway.parts.take() {
        Some(begun) if part != 0 && begun.0 == number => begun,
        _ => (number, 0, HashSet::new()),
    };
    if part != next {
        return None;
    }
    all.extend(users);
    if part + 1 >= parts {
        return Some(all);
    }
    gateway.parts = Some((number, part + 1, all));
    None
}

/// The first free slot.
fn take_slot(slots: &mut Vec<Option<GatewayId>>, gateway: GatewayId) -> Slot {
    let free = slots.iter().position(Option::is_none).unwrap_or_else(|| {
        slots.push(None);
        slots.len() - 1
    });
    slots[free] = Some(gateway);
    Slot::try_from(free).unwrap_or(Slot::MAX)
}

fn join(online: &mut HashMap<UserId, Slots>, gateway: &mut Gateway, user: UserId, transitions: &mut Vec<Transition>) {
    if !gateway.users.insert(user.clone()) {
        return;
    }
    let slots = online.entry(user.clone()).or_default();
    slots.push(gateway.slot);
    if slots.len() == 1 {
        transitions.push(Transition { user, online: true, last_seen: None, status: Status::default() });
    }
}

fn leave(
    online: &mut HashMap<UserId, Slots>,
    gateway: &mut Gateway,
    user: &UserId,
    at: u64,
    transitions: &mut Vec<Transition>,
) {
    gateway.status.remove(user);
    if gateway.users.remove(user) {
        drop_one(online, user, gateway.slot, at, transitions);
    }
}

fn drop_one(
    online: &mut HashMap<UserId, Slots>,
    user: &UserId,
    slot: Slot,
    at: u64,
    transitions: &mut Vec<Transition>,
) {
    let Some(slots) = online.get_mut(user) else { return };
    slots.retain(|other| *other != slot);
    if slots.is_empty() {
        online.remove(user);
        let (user, status) = (user.clone(), Status::default());
        transitions.push(Transition { user, online: false, last_seen: Some(at), status });
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
