//! What can break, how it breaks and how it heals.

use std::time::Duration;

use natter_ids::{ClientId, ConversationId};
use natter_protocol::ErrorCode;
use natter_testkit::{Flow, wait_for};
use tokio::time::sleep;

use super::Stage;
use crate::{Cluster, Service};

/// Messages that must be accepted while a part is away that others stand in for.
const MEANWHILE: u64 = 40;
/// How long a send may take to be refused when nothing can accept it.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);
/// How long an unreadable entry may take to be told.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// A service of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A gateway.
    Gateway(usize),
    /// A replica of delivery.
    Delivery(usize),
    /// A replica of storage.
    Storage(usize),
    /// A replica of presence.
    Presence(usize),
}

impl Part {
    /// Every replica of a deployment that has two of each.
    pub const ALL: [Self; 8] = [
        Self::Storage(0),
        Self::Storage(1),
        Self::Presence(0),
        Self::Presence(1),
        Self::Delivery(0),
        Self::Delivery(1),
        Self::Gateway(0),
        Self::Gateway(1),
    ];

    fn of(self, cluster: &Cluster) -> &Service {
        match self {
            Self::Gateway(number) => cluster.gateway(number),
            Self::Delivery(number) => cluster.delivery(number),
            Self::Storage(number) => cluster.storage(number),
            Self::Presence(number) => cluster.presence(number),
        }
    }
}

/// A node of NATS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// By its number.
    Number(usize),
    /// The one that leads a partition's stream.
    LeaderOfLog(u16),
    /// The one that leads a consumer of a partition.
    LeaderOfConsumer(&'static str, u16),
}

impl Node {
    async fn number(self, cluster: &Cluster) -> usize {
        let stream = |partition: u16| format!("CHAT-{partition}");
        match self {
            Self::Number(number) => number,
            Self::LeaderOfLog(partition) => cluster.nats().leader(&stream(partition), None).await,
            Self::LeaderOfConsumer(name, partition) => cluster.nats().leader(&stream(partition), Some(name)).await,
        }
    }
}

/// Something that breaks for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, work goes on without it, a new start.
    Kill(Part),
    /// SIGTERM, it ends by itself with 0, work goes on without it, a new start.
    Terminate(Part),
    /// SIGSTOP, then SIGCONT: it believes that no time has passed.
    Freeze(Part, Duration),
    /// SIGKILL to a node of NATS, work goes on without it, it comes back and catches up.
    KillNode(Node),
    /// SIGTERM to a node of NATS, likewise.
    TerminateNode(Node),
    /// Two of three nodes of NATS are gone: sends are refused with a time to retry after.
    LoseMajority,
    /// Every node of NATS is killed and started again.
    RestartNats,
    /// The first gateway's wire to NATS stalls, towards the server, the gateway, or both.
    StallNats {
        /// Whether what the gateway sends is held.
        up: bool,
        /// Whether what it is sent is held.
        down: bool,
        /// How long.
        time: Duration,
    },
    /// The first gateway's connection to NATS is cut; it may connect again at once.
    CutNats,
    /// PostgreSQL answers nothing, also to statements under way.
    StallDatabase(Duration),
    /// Every connection to PostgreSQL is cut; new ones work.
    CutDatabase,
    /// PostgreSQL is away: every connection ends, and every new one at once.
    DatabaseDown(Duration),
    /// What the first gateway and NATS say to each other comes this much later, for as long as
    /// given second.
    SlowNats(Duration, Duration),
    /// Entries that nobody can read come into every partition's log.
    Poison,
    /// Somebody deletes a consumer of every partition; `natter nats apply` makes it anew.
    DeleteConsumers(&'static str),
    /// Every answer of PostgreSQL comes this much later, for as long as given second.
    SlowDatabase(Duration, Duration),
}

impl Fault {
    /// Breaks it under load and heals it.
    pub(super) async fn strike(self, stage: &Stage) {
        let (cluster, crowd) = (&stage.cluster, &stage.crowd);
        match self {
            Self::Kill(part) => {
                let service = part.of(cluster);
                service.kill9();
                crowd.says_more(MEANWHILE).await;
                service.restart().await;
            }
            Self::Terminate(part) => {
                let service = part.of(cluster);
                assert_eq!(service.terminate().await, Some(0), "{} was asked to stop", service.name());
                crowd.says_more(MEANWHILE).await;
                service.restart().await;
            }
            Self::Freeze(part, time) => {
                let service = part.of(cluster);
                service.stop_signal();
                sleep(time).await;
                service.cont();
            }
            Self::KillNode(_) | Self::TerminateNode(_) => self.without_node(stage).await,
            Self::LoseMajority => lose_majority(stage).await,
            Self::RestartNats => cluster.nats().restart().await,
            Self::StallNats { up, down, time } => {
                let flow = |stalls| if stalls { Flow::Stall } else { Flow::Pass };
                cluster.wire_to_nats().set(flow(up), flow(down));
                sleep(time).await;
                cluster.wire_to_nats().heal();
            }
            Self::CutNats => cluster.wire_to_nats().reset(),
            Self::StallDatabase(time) => {
                cluster.wire_to_database().set(Flow::Stall, Flow::Stall);
                // Live goes on without the archive.
                crowd.hears_more(MEANWHILE).await;
                sleep(time).await;
                cluster.wire_to_database().heal();
            }
            Self::CutDatabase => cluster.wire_to_database().reset(),
            Self::DatabaseDown(time) => {
                cluster.wire_to_database().set_down(true);
                crowd.hears_more(MEANWHILE).await;
                sleep(time).await;
                cluster.wire_to_database().set_down(false);
            }
            Self::SlowNats(later, time) => {
                cluster.wire_to_nats().set(Flow::Delay(later), Flow::Delay(later));
                crowd.says_more(MEANWHILE).await;
                sleep(time).await;
                cluster.wire_to_nats().heal();
            }
            Self::Poison => poison(cluster).await,
            Self::DeleteConsumers(name) => {
                cluster.nats().delete_consumers(super::PARTITIONS, name).await;
                crowd.says_more(MEANWHILE).await;
                cluster.apply().await;
            }
            Self::SlowDatabase(later, time) => {
                cluster.wire_to_database().set(Flow::Pass, Flow::Delay(later));
                crowd.hears_more(MEANWHILE).await;
                sleep(time).await;
                cluster.wire_to_database().heal();
            }
        }
    }

    async fn without_node(self, stage: &Stage) {
        let nats = stage.cluster.nats();
        let number = match self {
            Self::KillNode(node) => {
                let number = node.number(&stage.cluster).await;
                nats.kill_node(number).await;
                number
            }
            Self::TerminateNode(node) => {
                let number = node.number(&stage.cluster).await;
                nats.terminate_node(number).await;
                number
            }
            _ => return,
        };
        stage.crowd.says_more(MEANWHILE).await;
        stage.crowd.hears_more(MEANWHILE).await;
        nats.restart_node(number).await;
        nats.in_sync(super::PARTITIONS).await;
    }
}

async fn poison(cluster: &Cluster) {
    let told = || cluster.log_lines_with("an entry is left out of the archive").len();
    let goal = told() + cluster.nats().poison(super::PARTITIONS).await;
    wait_for("every unreadable entry to be told", TOLD_WITHIN, async || (told() >= goal).then_some(())).await;
}

async fn lose_majority(Stage { cluster, crowd }: &Stage) {
    let http = cluster.http("person-0", 0);
    let sender = crate::user("person-0");
    let conversation = ConversationId::direct(&sender, &crate::user("person-1"));
    let text = "without a majority";
    for number in 0..2 {
        cluster.nats().kill_node(number).await;
    }
    let refused = async || {
        let client_id = ClientId::now();
        // The leader may have it, and the others take it once they are back: `unavailable` says
        // that nobody knows.
        crowd.tries(&sender, &conversation, client_id, text);
        let refused = http.say(&conversation, client_id, text).await.err()?;
        assert!(refused.retry_after_ms.is_some(), "{refused:?} says when to try again");
        (refused.code == ErrorCode::Unavailable).then_some(())
    };
    wait_for("a send without a majority to be refused", REFUSED_WITHIN, refused).await;
    for number in 0..2 {
        cluster.nats().restart_node(number).await;
    }
    cluster.nats().in_sync(super::PARTITIONS).await;
}
