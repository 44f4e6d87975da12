//! The matrix: what is broken, what must hold meanwhile, and how soon all is well again.

use std::time::Duration;

use super::{
    Deployment, Scenario,
    fault::{Fault, Node, Part},
};
use crate::{Db, Release};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const TAKEOVER: &str = "others take over its work; nothing is lost, doubled or out of order";
const WAKES: &str = "others have taken over; what it does when it wakes disturbs nobody";
const STANDS_IN: &str = "the other nodes stand in; what was accepted is there";

/// Every scenario, in the order in which they run.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "services-killed",
        hypothesis: TAKEOVER,
        deployment: Deployment::simple(Db::Postgres),
        bound: secs(15),
        faults: || Part::ALL.map(Fault::Kill).to_vec(),
    },
    Scenario {
        name: "services-killed-sqlite",
        hypothesis: TAKEOVER,
        deployment: Deployment::simple(Db::Sqlite),
        bound: secs(15),
        faults: || Part::ALL.map(Fault::Kill).to_vec(),
    },
    Scenario {
        name: "services-restarted",
        hypothesis: "a rolling restart hands work over and loses nothing",
        deployment: Deployment::simple(Db::Postgres),
        bound: secs(10),
        faults: || Part::ALL.map(Fault::Terminate).to_vec(),
    },
    Scenario {
        name: "services-frozen-5s",
        hypothesis: WAKES,
        deployment: Deployment::simple(Db::Postgres),
        bound: secs(15),
        faults: || Part::ALL.map(|part| Fault::Freeze(part, secs(5))).to_vec(),
    },
    Scenario {
        name: "services-frozen-30s",
        hypothesis: WAKES,
        deployment: Deployment::simple(Db::Sqlite),
        bound: secs(15),
        faults: || {
            let parts = [Part::Storage(0), Part::Presence(0), Part::Delivery(0), Part::Gateway(0)];
            parts.map(|part| Fault::Freeze(part, secs(30))).to_vec()
        },
    },
    Scenario {
        name: "archivers-killed",
        hypothesis: "a transaction that was cut off leaves no trace, and is made again",
        deployment: Deployment::simple(Db::Sqlite),
        bound: secs(15),
        faults: || vec![Fault::KillArchivers(10); 2],
    },
    Scenario {
        name: "clocks-wrong",
        hypothesis: "an hour more or less on the clocks of some disturbs nobody",
        deployment: Deployment::simple(Db::Postgres).clocks(&[
            ("gateway-0", -3600),
            ("delivery-0", 3600),
            ("storage-0", 3600),
            ("presence-0", -3600),
        ]),
        bound: secs(15),
        faults: || {
            let parts = [Part::Gateway(1), Part::Gateway(0), Part::Storage(1), Part::Delivery(1)];
            [parts, parts].concat().into_iter().map(Fault::Kill).collect()
        },
    },
    Scenario {
        name: "log-leader-killed",
        hypothesis: STANDS_IN,
        deployment: Deployment::replicated(),
        bound: secs(15),
        faults: || (0..super::PARTITIONS).map(|partition| Fault::KillNode(Node::LeaderOfLog(partition))).collect(),
    },
    Scenario {
        name: "consumer-leader-killed",
        hypothesis: STANDS_IN,
        deployment: Deployment::replicated(),
        bound: secs(15),
        faults: || {
            let leader = |name| move |partition| Fault::KillNode(Node::LeaderOfConsumer(name, partition));
            (0..2).map(leader("delivery")).chain((0..2).map(leader("storage"))).collect()
        },
    },
    Scenario {
        name: "nodes-restarted",
        hypothesis: "a rolling restart of NATS loses nothing",
        deployment: Deployment::replicated(),
        bound: secs(15),
        faults: || (0..3).map(|number| Fault::TerminateNode(Node::Number(number))).collect(),
    },
    Scenario {
        name: "majority-lost",
        hypothesis: "sends are refused, with a time to retry after, and never falsely accepted",
        deployment: Deployment::replicated(),
        bound: secs(30),
        faults: || vec![Fault::LoseMajority; 2],
    },
    Scenario {
        name: "cluster-killed",
        hypothesis: "what was accepted is on disk; sockets stay open and all goes on",
        deployment: Deployment::replicated(),
        bound: secs(30),
        faults: || vec![Fault::RestartNats; 2],
    },
    Scenario {
        name: "node-isolated",
        hypothesis: "a node that no other node reaches leads nothing, and accepts nothing by itself",
        deployment: Deployment::replicated(),
        bound: secs(20),
        faults: || {
            let leader = |partition| Fault::IsolateNode(Node::LeaderOfLog(partition), secs(5));
            (0..3).map(leader).collect()
        },
    },
    Scenario {
        name: "gateway-cut-off",
        hypothesis: "the gateway notices within seconds; what it missed comes late, from NATS or the archive",
        deployment: Deployment::proxied(Db::Sqlite),
        bound: secs(20),
        faults: || {
            let stall = |up, down| Fault::StallNats { up, down, time: secs(5) };
            vec![stall(true, true), stall(true, false), stall(false, true), Fault::CutNats, Fault::CutNats]
        },
    },
    Scenario {
        name: "database-cut-off",
        hypothesis: "live goes on without the archive, and it catches up",
        deployment: Deployment::proxied(Db::Postgres),
        bound: secs(20),
        faults: || {
            let slow = Fault::SlowDatabase(Duration::from_millis(200), secs(5));
            vec![Fault::StallDatabase(secs(15)), Fault::CutDatabase, slow, Fault::DatabaseDown(secs(10))]
        },
    },
    Scenario {
        name: "database-busy",
        hypothesis: "a lock that somebody else holds delays the archive, and nothing else",
        deployment: Deployment::simple(Db::Postgres),
        bound: secs(20),
        faults: || vec![Fault::LockDatabase(secs(10)); 2],
    },
    Scenario {
        name: "database-busy-sqlite",
        hypothesis: "a lock that somebody else holds delays the archive, and nothing else",
        deployment: Deployment::simple(Db::Sqlite),
        bound: secs(20),
        faults: || vec![Fault::LockDatabase(secs(10)); 2],
    },
    Scenario {
        name: "database-killed",
        hypothesis: "live goes on without the archive, and no process of Natter needs a restart",
        deployment: Deployment::simple(Db::Postgres),
        bound: secs(20),
        faults: || vec![Fault::RestartDatabase(secs(3)); 3],
    },
    Scenario {
        name: "disks-full",
        hypothesis: "without room sends are refused, or the archive waits; what was accepted is there",
        deployment: Deployment::on_small_disks(),
        bound: secs(30),
        faults: || vec![Fault::ArchiveDiskFull(secs(5)), Fault::NatsDiskFull(secs(5)), Fault::ArchiveDiskFull(secs(5))],
    },
    Scenario {
        name: "nats-slow",
        hypothesis: "a tenth of a second on the way to NATS delays, and breaks nothing",
        deployment: Deployment::proxied(Db::Sqlite),
        bound: secs(15),
        faults: || vec![Fault::SlowNats(Duration::from_millis(100), secs(10))],
    },
    Scenario {
        name: "log-poisoned",
        hypothesis: "an entry that nobody can read is told, and everything behind it goes on",
        deployment: Deployment::simple(Db::Postgres),
        bound: secs(10),
        faults: || vec![Fault::Poison; 3],
    },
    Scenario {
        name: "consumers-deleted",
        hypothesis: "the owner makes it anew and says so; what comes again is not seen twice",
        deployment: Deployment::simple(Db::Postgres),
        bound: secs(20),
        faults: || vec![Fault::DeleteConsumers("delivery"), Fault::DeleteConsumers("storage")],
    },
    Scenario {
        name: "reconnect-storm",
        hypothesis: "thousands that return at once find a place, and talking goes on",
        deployment: Deployment::simple(Db::Postgres),
        bound: secs(20),
        faults: || vec![Fault::Storm(2_000)],
    },
    Scenario {
        name: "gateway-drained",
        hypothesis: "a gateway that stops sends its devices off at its pace, and loses nothing",
        deployment: Deployment::simple(Db::Postgres),
        bound: secs(10),
        faults: || vec![Fault::Drain(600)],
    },
    Scenario {
        name: "slow-readers",
        hypothesis: "who does not read is closed, and nobody else notices",
        deployment: Deployment::simple(Db::Sqlite).with(&[("connection.outbound_bytes_max", 64 * 1024)]),
        bound: secs(5),
        faults: || vec![Fault::SlowReaders(20)],
    },
    Scenario {
        name: "release-rolled",
        hypothesis: "replicas of the release before work beside those of this one, forward and back",
        deployment: Deployment::simple(Db::Postgres).of_previous_release(),
        bound: secs(15),
        faults: || {
            let roll = |release| Part::ALL.map(|part| Fault::Roll(part, release));
            [roll(Release::This), roll(Release::Previous)].concat()
        },
    },
    Scenario {
        name: "release-rolled-sqlite",
        hypothesis: "replicas of the release before work beside those of this one, forward and back",
        deployment: Deployment::simple(Db::Sqlite).of_previous_release(),
        bound: secs(15),
        faults: || {
            let roll = |release| Part::ALL.map(|part| Fault::Roll(part, release));
            [roll(Release::This), roll(Release::Previous)].concat()
        },
    },
];
