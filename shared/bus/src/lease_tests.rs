#![allow(clippy::unwrap_used)]
//! Replicas with their own tables against one bucket, under random schedules.

use proptest::prelude::*;

use super::*;

const TTL: Duration = Duration::from_secs(5);
const PARTITIONS: u16 = 4;

fn id(name: &str) -> GatewayId {
    GatewayId::new(name).unwrap()
}

/// The bucket: key revisions count up over all keys.
#[derive(Default)]
struct Bucket {
    revision: u64,
    leases: BTreeMap<Partition, (Option<GatewayId>, u64)>,
}

impl Bucket {
    fn write(&mut self, partition: Partition, owner: Option<GatewayId>, expected: u64) -> bool {
        let current = self.leases.get(&partition).map_or(0, |(_, revision)| *revision);
        if current != expected {
            return false;
        }
        self.revision += 1;
        self.leases.insert(partition, (owner, self.revision));
        true
    }
}

struct World {
    bucket: Bucket,
    replicas: Vec<(LeaseTable, bool)>,
    now: Instant,
}

impl World {
    fn new(count: usize) -> Self {
        let now = Instant::now();
        let replicas =
            (0..count).map(|n| (LeaseTable::new(id(&format!("r{n}")), PARTITIONS, TTL, now), true)).collect();
        Self { bucket: Bucket::default(), replicas, now }
    }

    /// One second passes; every running replica sees the bucket and acts.
    fn tick(&mut self) {
        self.now += Duration::from_secs(1);
        let living: Vec<_> = self.replicas.iter().filter(|(_, up)| *up).map(|(table, _)| table.me.clone()).collect();
        for (table, up) in &mut self.replicas {
            if !*up {
                continue;
            }
            for replica in &living {
                table.observe_replica(replica.clone(), true, self.now);
            }
            for (partition, (owner, revision)) in &self.bucket.leases {
                table.observe_lease(*partition, owner.clone(), *revision, self.now);
            }
            for action in table.decide(self.now) {
                let (partition, owner, revision) = match action {
                    LeaseAction::Claim(p, r) | LeaseAction::Renew(p, r) => (p, Some(table.me.clone()), r),
                    LeaseAction::Release(p, r) => (p, None, r),
                };
                if self.bucket.write(partition, owner.clone(), revision) {
                    table.observe_lease(partition, owner, self.bucket.revision, self.now);
                }
            }
        }
    }

    fn owners(&self, partition: Partition) -> Vec<GatewayId> {
        let owns = |(table, up): &&(LeaseTable, bool)| *up && table.owns(partition, self.now);
        self.replicas.iter().filter(owns).map(|(table, _)| table.me.clone()).collect()
    }
}

#[test]
fn partitions_are_spread_evenly_and_taken_over() {
    let mut world = World::new(2);
    (0..12).for_each(|_| world.tick());
    let shares = |world: &World| -> Vec<_> { Partition::all(PARTITIONS).map(|p| world.owners(p)).collect() };
    assert_eq!(shares(&world), [[id("r0")], [id("r1")], [id("r0")], [id("r1")]]);
    world.replicas[0].1 = false;
    (0..12).for_each(|_| world.tick());
    assert_eq!(shares(&world), [[id("r1")], [id("r1")], [id("r1")], [id("r1")]]);
    world.replicas[0].1 = true;
    world.replicas[0].0.restart(world.now);
    (0..12).for_each(|_| world.tick());
    assert_eq!(shares(&world), [[id("r0")], [id("r1")], [id("r0")], [id("r1")]]);
}

proptest! {
    /// Among replicas that see the bucket, no partition ever has two owners, and once nothing
    /// changes any more every partition has one.
    #[test]
    fn never_two_owners_always_one_in_the_end(
        steps in prop::collection::vec((0..3_usize, any::<bool>()), 0..60),
    ) {
        let mut world = World::new(3);
        for (replica, up) in steps {
            let was = std::mem::replace(&mut world.replicas[replica].1, up);
            if up && !was {
                let now = world.now;
                world.replicas[replica].0.restart(now);
            }
            world.tick();
            for partition in Partition::all(PARTITIONS) {
                prop_assert!(world.owners(partition).len() <= 1, "{:?}", world.owners(partition));
            }
        }
        if world.replicas.iter().any(|(_, up)| *up) {
            (0..30).for_each(|_| world.tick());
            for partition in Partition::all(PARTITIONS) {
                prop_assert_eq!(world.owners(partition).len(), 1);
            }
        }
    }
}
