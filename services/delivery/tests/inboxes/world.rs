//! NATS, storage on SQLite, deliveries; and a gateway's view of inboxes.

use std::time::Duration;

use natter_bus::{Append, Arrival, Bus, Config, Fence, Inbox, InboxMessage, Marker, MarkerRequest, definitions};
use natter_ids::{ClientId, ConversationId, GatewayId, Partition, Seq, SessionId, UserId};
use natter_protocol::{Change, Entry, Event};
use natter_runtime::Scope;
use natter_testkit::{NatsServer, wait_for};

pub const SOON: Duration = Duration::from_secs(20);
pub const PARTITIONS: u16 = 2;

pub struct World {
    /// What gateways do.
    pub gateway: Bus,
    config: Config,
    storage: Scope,
    _nats: NatsServer,
    _folder: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
        let nats = NatsServer::start().await;
        let config = Config { url: Some(nats.url()), partitions: PARTITIONS, lease_ms: 3_000, ..Config::default() };
        let gateway = connect(&config, "gateway").await;
        definitions::apply(&gateway, false).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("archive.db").display());
        let storage = Scope::new();
        let archive = natter_storage::Config { url: Some(url), ..natter_storage::Config::default() };
        natter_storage::start(archive, connect(&config, "storage").await, storage.clone()).await.unwrap();
        Self { gateway, config, storage, _nats: nats, _folder: folder }
    }

    /// What another gateway does.
    pub async fn another_gateway(&self, name: &str) -> Bus {
        connect(&self.config, name).await
    }

    /// Starts a replica of delivery; it stops with its scope.
    pub async fn deliver(&self, name: &str) -> Scope {
        let scope = Scope::new();
        let bus = connect(&self.config, name).await;
        natter_delivery::start(natter_delivery::Config::default(), bus, scope.clone()).await.unwrap();
        scope
    }

    /// Opens inboxes; the server knows of them on return.
    pub async fn inboxes<const N: usize>(&self, users: [&str; N]) -> [Inbox; N] {
        let mut inboxes = Vec::new();
        for name in users {
            inboxes.push(self.gateway.open_inbox(&user(name)).await.unwrap());
        }
        self.settled().await;
        inboxes.try_into().unwrap_or_else(|_| panic!("as many inboxes as users"))
    }

    /// Returns once the server has taken everything that the gateway sent.
    pub async fn settled(&self) {
        self.gateway.newest_seq(Partition(0)).await.unwrap();
    }

    pub async fn begin_direct(&self, one: &str, other: &str) -> ConversationId {
        let conversation = ConversationId::direct(&user(one), &user(other));
        let change = Change::DirectOpened { peers: [user(one), user(other)] };
        self.begin(&conversation, one, change).await;
        conversation
    }

    pub async fn begin_group(&self, creator: &str, members: &[&str]) -> ConversationId {
        let conversation = ConversationId::group(&user(creator), ClientId::now());
        let members = members.iter().map(|name| user(name)).collect();
        self.begin(&conversation, creator, Change::GroupCreated { name: "g".into(), members }).await;
        conversation
    }

    async fn begin(&self, conversation: &ConversationId, sender: &str, change: Change) {
        let entry = Entry { sender: user(sender), client_id: None, time: 1, change };
        self.gateway.append(Append { conversation, entry: &entry, fence: Fence::Beginning }).await.unwrap();
    }

    /// Appends for a sender whose membership never changed alone.
    pub async fn append(&self, conversation: &ConversationId, sender: &str, change: Change) -> Seq {
        let client_id = matches!(change, Change::Message { .. }).then(ClientId::now);
        let entry = Entry { sender: user(sender), client_id, time: 1, change };
        let fence = Fence::Member { user: &entry.sender, seq: 0 };
        self.gateway.append(Append { conversation, entry: &entry, fence }).await.unwrap().seq
    }

    pub async fn say(&self, conversation: &ConversationId, sender: &str, text: &str) -> Seq {
        self.append(conversation, sender, Change::message(text)).await
    }

    /// Asks for markers until those of every partition have come; what came before is returned.
    pub async fn markers(&self, who: &str, inbox: &mut Inbox) -> (Vec<Arrival>, Vec<Marker>) {
        let session = SessionId::random();
        let mut round = 0;
        wait_for("markers of every partition", SOON, async || {
            round += 1;
            let gateway = GatewayId::new("gateway").unwrap();
            let request = MarkerRequest { user: user(who), session: session.clone(), round, gateway, reported: 0 };
            self.gateway.request_markers(&request).await.unwrap();
            let (mut arrivals, mut markers) = (Vec::new(), Vec::new());
            let reached = |markers: &[Marker]| markers.iter().map(|marker| marker.reached.len()).sum::<usize>();
            while reached(&markers) < usize::from(PARTITIONS) {
                match tokio::time::timeout(Duration::from_secs(1), inbox.next()).await.ok()?? {
                    InboxMessage::Event(arrival) => arrivals.push(arrival),
                    InboxMessage::Marker(marker) if marker.round == round => markers.push(marker),
                    InboxMessage::Marker(_) | InboxMessage::Note(_) | InboxMessage::Typing(_) => {}
                }
            }
            Some((arrivals, markers))
        })
        .await
    }

    pub async fn stop(self, deliveries: impl IntoIterator<Item = Scope>) {
        for scope in deliveries.into_iter().chain([self.storage]) {
            assert!(scope.stop(SOON).await, "it stops when asked to");
        }
    }
}

async fn connect(config: &Config, name: &str) -> Bus {
    let bus = Bus::connect(config, GatewayId::new(name).unwrap()).await.unwrap();
    wait_for("a connection", SOON, async || bus.is_connected().then_some(())).await;
    bus
}

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// The next event; markers are passed over.
pub async fn next(inbox: &mut Inbox) -> (Arrival, Event) {
    loop {
        let message = tokio::time::timeout(SOON, inbox.next()).await.expect("a live event in time").unwrap();
        if let InboxMessage::Event(arrival) = message {
            let event: Event = serde_json::from_slice(&arrival.event.json).unwrap();
            assert_eq!(event.seq, arrival.event.seq);
            assert_eq!(Partition::of(&event.conversation, PARTITIONS), arrival.event.partition);
            return (arrival, event);
        }
    }
}
