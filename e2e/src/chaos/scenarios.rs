//! The matrix: what is broken, what must hold meanwhile, and how soon all is well again.

use std::time::Duration;

use super::{
    Deployment, Scenario,
    fault::{Fault, Node, Part},
};
use crate::Db;

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
        name: "gateway-cut-off",
        hypothesis: "what the gateway missed comes late, from NATS or the archive",
        deployment: Deployment::proxied(Db::Sqlite),
        bound: secs(20),
        faults: || {
            let stall = |up, down| Fault::StallNats { up, down, time: secs(12) };
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
        hypothesis: "a consumer that was made anew goes on; what comes again is not seen twice",
        deployment: Deployment::simple(Db::Postgres),
        bound: secs(20),
        faults: || vec![Fault::DeleteConsumers("delivery"), Fault::DeleteConsumers("storage")],
    },
];
