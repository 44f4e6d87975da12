//! Who is online, by what gateways reported, and what may have passed each of them by: pure.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use natter_bus::presence::{GatewayReport, Registry, Transition};
use natter_ids::{GatewayId, Partition, Seq, UserId};

/// Comings that are remembered; who has not looked for longer looks at everybody.
const COMINGS_MAX: usize = 4_096;

/// A number for each partition. Shared by all who came at the same time.
type Numbers = Arc<[Seq]>;

/// Who is online, erring on the side of everybody.
///
/// An event for somebody who is offline leaves no trace: it passes them by. Its number is at most what
/// their partition had decided on when they came, so that is what they link to first (see
/// [`View::passed_by`]). To a device that has just come this says nothing new, since its marker is not
/// below; a device that was there all along, at a gateway which was taken for dead, looks for what it
/// missed.
pub(crate) struct View {
    registry: Registry,
    /// Whether absence from the registry means offline.
    trusted: bool,
    /// Who is online, with what was decided when they came.
    came: HashMap<UserId, Numbers>,
    /// What was decided when the view was trusted last: for whoever is in no report.
    trusted_last: Numbers,
    /// Who came lately, in order.
    comings: VecDeque<UserId>,
    /// How many came before the first of them.
    comings_before: u64,
}

impl View {
    /// Knows nobody, so everybody may be online.
    pub(crate) fn new(lease: Duration, partitions: u16) -> Self {
        Self {
            registry: Registry::new(lease),
            trusted: false,
            came: HashMap::new(),
            trusted_last: vec![0; usize::from(partitions)].into(),
            comings: VecDeque::new(),
            comings_before: 0,
        }
    }

    /// Takes a report in. `decided` is read after it is.
    pub(crate) fn apply(&mut self, report: GatewayReport, now: Instant, decided: impl Fn() -> Numbers) {
        let moved = self.registry.apply(report, now, 0);
        self.follow(moved, decided);
    }

    /// Forgets gateways that are silent for too long.
    pub(crate) fn expire(&mut self, now: Instant, decided: impl Fn() -> Numbers) {
        let moved = self.registry.expire(now);
        self.follow(moved, decided);
    }

    fn follow(&mut self, moved: Vec<Transition>, decided: impl Fn() -> Numbers) {
        let mut numbers = None;
        for Transition { user, online, .. } in moved {
            if !online {
                self.came.remove(&user);
            } else if !self.came.contains_key(&user) {
                let numbers = numbers.get_or_insert_with(&decided);
                self.came.insert(user.clone(), Arc::clone(numbers));
                self.comings.push_back(user);
            }
        }
        while self.comings.len() > COMINGS_MAX {
            self.comings.pop_front();
            self.comings_before += 1;
        }
    }

    /// Nothing may be relied on until every gateway has reported in full again.
    pub(crate) fn distrust(&mut self, decided: impl Fn() -> Numbers) {
        if std::mem::replace(&mut self.trusted, false) {
            self.trusted_last = decided();
        }
        self.registry.distrust();
    }

    /// Every gateway that lives has reported in full.
    pub(crate) fn trust(&mut self) {
        self.trusted = true;
    }

    /// Whether absence means offline.
    pub(crate) fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Whether the reports of every gateway heard of are complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.registry.is_complete()
    }

    /// Whether every change of a gateway up to a number is known.
    pub(crate) fn has_applied(&self, gateway: &GatewayId, number: u64) -> bool {
        self.registry.has_applied(gateway, number)
    }

    /// Whether an event must be sent to the user.
    pub(crate) fn may_be_online(&self, user: &UserId) -> bool {
        !self.trusted || self.came.contains_key(user)
    }

    /// Up to which number events of a partition may have passed the user by.
    pub(crate) fn passed_by(&self, partition: Partition, user: &UserId) -> Seq {
        let numbers = self.came.get(user).unwrap_or(&self.trusted_last);
        numbers.get(partition.index()).copied().unwrap_or_default()
    }

    /// The inboxes of the gateways where a user is; `None` for one that has none.
    pub(crate) fn inboxes<'a>(
        &self,
        user: &UserId,
        all: &'a [Option<GatewayId>],
    ) -> impl Iterator<Item = Option<&'a GatewayId>> + Clone {
        self.registry.gateways_of(user).iter().map(|slot| all.get(usize::from(*slot)).and_then(Option::as_ref))
    }

    /// The inbox of the gateway in each slot.
    pub(crate) fn all_inboxes(&self) -> Vec<Option<GatewayId>> {
        self.registry.inboxes()
    }

    /// How many have ever come: what to ask [`View::came_after`] with the next time.
    pub(crate) fn comings(&self) -> u64 {
        self.comings_before + self.comings.len() as u64
    }

    /// Who came after the first so many did; `None` when that is too long ago.
    pub(crate) fn came_after(&self, comings: u64) -> Option<impl Iterator<Item = &UserId>> {
        let known = usize::try_from(comings.checked_sub(self.comings_before)?).ok()?;
        Some(self.comings.iter().skip(known))
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
