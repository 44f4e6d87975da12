//! A server with everything applied, and what tests append to its log.

use std::{ops::AsyncFnMut, time::Duration};

use natter_bus::{Append, AppendError, Bus, Config, Fence, Stored, definitions};
use natter_ids::{ClientId, ConversationId, GatewayId, UserId};
use natter_protocol::{Change, Entry};
use natter_testkit::NatsServer;

pub const SOON: Duration = Duration::from_secs(20);

pub struct World {
    pub nats: NatsServer,
    pub config: Config,
}

impl World {
    /// A server with nothing in it.
    pub async fn empty(partitions: u16) -> Self {
        let nats = NatsServer::start().await;
        let config = Config { url: Some(nats.url()), partitions, lease_ms: 3_000, ..Config::default() };
        Self { nats, config }
    }

    /// A server with the definitions applied, and a connection to it.
    pub async fn new(partitions: u16) -> (Self, Bus) {
        let world = Self::empty(partitions).await;
        let bus = world.connect("test").await;
        definitions::apply(&bus, false).await.unwrap();
        (world, bus)
    }

    pub async fn connect(&self, name: &str) -> Bus {
        connect(&self.config, name).await
    }

    /// A client that knows nothing of Natter.
    pub async fn raw(&self) -> async_nats::jetstream::Context {
        async_nats::jetstream::new(async_nats::connect(self.nats.url()).await.unwrap())
    }
}

pub async fn connect(config: &Config, name: &str) -> Bus {
    let bus = Bus::connect(config, GatewayId::new(name).unwrap()).await.unwrap();
    wait_until("a connection", async || bus.is_connected()).await;
    bus
}

/// Returns once the server has taken everything that this connection sent, subscriptions too.
pub async fn settled(bus: &Bus) {
    bus.newest_seq(natter_ids::Partition(0)).await.unwrap();
}

pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    natter_testkit::wait_for(what, SOON, async || holds().await.then_some(())).await;
}

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub fn direct(one: &str, other: &str) -> ConversationId {
    ConversationId::direct(&user(one), &user(other))
}

pub fn entry(sender: &str, change: Change) -> Entry {
    let client_id = matches!(change, Change::Message { .. }).then(ClientId::now);
    Entry { sender: user(sender), client_id, time: 1_700_000_000_000, change }
}

pub fn said(sender: &str, text: &str) -> Entry {
    entry(sender, Change::message(text))
}

/// Appends for a sender whose membership never changed alone.
pub async fn append(bus: &Bus, conversation: &ConversationId, entry: &Entry) -> Result<Stored, AppendError> {
    append_after(bus, conversation, entry, 0).await
}

/// Appends for a sender whose membership was last changed alone by entry `seq`.
pub async fn append_after(
    bus: &Bus,
    conversation: &ConversationId,
    entry: &Entry,
    seq: u64,
) -> Result<Stored, AppendError> {
    bus.append(Append { conversation, entry, fence: Fence::Member { user: &entry.sender, seq } }).await
}

pub async fn say_many(bus: &Bus, conversation: &ConversationId, count: usize) {
    let entries: Vec<_> = (0..count).map(|number| said("a", &format!("message {number}"))).collect();
    for entry in entries {
        append(bus, conversation, &entry).await.unwrap();
    }
}
