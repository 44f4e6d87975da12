//! Presence with a real nats-server: gateways report, people ask and watch.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use natter_bus::{
    Bus, Config as BusConfig, definitions,
    presence::{GatewayReport, Left, PresenceChanges, ReportKind},
    users::Told,
};
use natter_ids::{GatewayId, Partition, UserId};
use natter_presence::Config;
use natter_protocol::{Audience, PresenceView, PrivacyView};
use natter_runtime::Scope;
use natter_testkit::{NatsServer, wait_for};

const SOON: Duration = Duration::from_secs(20);

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn online(name: &str) -> PresenceView {
    PresenceView { user: user(name), online: true, away: false, last_seen: None }
}

fn offline(name: &str, at: u64) -> PresenceView {
    PresenceView { user: user(name), online: false, away: false, last_seen: Some(at) }
}

struct World {
    _nats: NatsServer,
    config: BusConfig,
    gateway: Bus,
    changes: PresenceChanges,
}

impl World {
    async fn start() -> Self {
        let nats = NatsServer::start().await;
        let config = BusConfig { url: Some(nats.url()), partitions: 1, ..BusConfig::default() };
        let gateway = connect(&config, "gateway").await;
        definitions::apply(&gateway, false).await.unwrap();
        let changes = gateway.presence_changes().await.unwrap();
        gateway.newest_seq(Partition(0)).await.unwrap();
        Self { _nats: nats, config, gateway, changes }
    }

    /// Starts a replica; returns once it answers.
    async fn presence(&self, name: &str, config: Config) -> Scope {
        let (scope, bus) = (Scope::new(), connect(&self.config, name).await);
        natter_presence::start(config, bus.clone(), scope.clone()).await.unwrap();
        // What the replica subscribed to, the server now knows.
        bus.newest_seq(Partition(0)).await.unwrap();
        wait_for("an answer", SOON, async || self.gateway.ask_presence(&[]).await.ok()).await;
        scope
    }

    async fn report(&self, gateway: &str, number: u64, kind: ReportKind) {
        let report =
            GatewayReport { gateway: GatewayId::new(gateway).unwrap(), epoch: 1, number, has_inbox: true, kind };
        self.gateway.report_presence(&report).await.unwrap();
    }

    async fn full(&self, gateway: &str, number: u64, users: &[&str]) {
        let users = users.iter().map(|name| user(name)).collect();
        self.report(gateway, number, ReportKind::Full { part: 0, parts: 1, users }).await;
    }

    async fn joined(&self, gateway: &str, number: u64, name: &str) {
        self.report(gateway, number, ReportKind::Delta { joined: vec![user(name)], left: Vec::new() }).await;
    }

    async fn left(&self, gateway: &str, number: u64, name: &str, at: u64) {
        let left = vec![Left { user: user(name), at }];
        self.report(gateway, number, ReportKind::Delta { joined: Vec::new(), left }).await;
    }

    async fn change(&mut self) -> PresenceView {
        tokio::time::timeout(SOON, self.changes.next()).await.expect("a change in time").unwrap()
    }

    async fn ask(&self, names: &[&str]) -> Vec<PresenceView> {
        let users: Vec<_> = names.iter().map(|name| user(name)).collect();
        self.gateway.ask_presence(&users).await.unwrap()
    }
}

async fn connect(config: &BusConfig, name: &str) -> Bus {
    let bus = Bus::connect(config, GatewayId::new(name).unwrap()).await.unwrap();
    wait_for("a connection", SOON, async || bus.is_connected().then_some(())).await;
    bus
}

fn quick() -> Config {
    Config { lease_ms: 1_500, offline_grace_ms: 200 }
}

#[tokio::test]
async fn people_come_and_go_and_when_they_went_is_kept() {
    let mut world = World::start().await;
    let scope = world.presence("p1", Config { offline_grace_ms: 200, ..Config::default() }).await;
    world.full("g1", 0, &["a.b"]).await;
    assert_eq!(world.change().await, online("a.b"));
    world.joined("g1", 1, "*").await;
    assert_eq!(world.change().await, online("*"));
    let views = world.ask(&["*", "nobody", "a.b"]).await;
    assert_eq!((&views[0], &views[2]), (&online("*"), &online("a.b")));
    assert_eq!((views[1].online, views[1].last_seen), (false, None));

    world.left("g1", 2, "*", 1_700_000_000_123).await;
    assert_eq!(world.change().await, offline("*", 1_700_000_000_123));
    assert_eq!(world.ask(&["*"]).await, [offline("*", 1_700_000_000_123)]);
    world.report("g1", 2, ReportKind::Gone { at: 1_700_000_000_456 }).await;
    assert_eq!(world.change().await, offline("a.b", 1_700_000_000_456));
    assert!(scope.stop(SOON).await);
}

/// Who hides just before or just after they left is not said to have been here: not live, and not later.
#[tokio::test]
async fn who_hides_while_leaving_leaves_no_trace() {
    let mut world = World::start().await;
    let config = Config { offline_grace_ms: 300, ..Config::default() };
    let _presence = world.presence("one", config).await;
    world.full("g", 1, &["before", "after", "open"]).await;
    let mut shown = [world.change().await, world.change().await, world.change().await];
    shown.sort_by(|one, other| one.user.cmp(&other.user));
    assert_eq!(shown, [online("after"), online("before"), online("open")]);
    let hides = async |name: &str, presence| {
        let told = Told::Privacy { user: user(name), privacy: PrivacyView { presence } };
        world.gateway.tell_gateways(&told).await.unwrap();
    };
    hides("before", Audience::Nobody).await;
    hides("open", Audience::Nobody).await;
    hides("open", Audience::default()).await;
    // Both ways lead through one connection, and what came first is taken first.
    world.left("g", 2, "before", 7_000).await;
    world.left("g", 3, "after", 7_000).await;
    world.left("g", 4, "open", 7_000).await;
    hides("after", Audience::Nobody).await;
    let mut seen = [world.change().await, world.change().await, world.change().await];
    seen.sort_by(|one, other| one.user.cmp(&other.user));
    let unseen = |name| PresenceView { last_seen: None, ..offline(name, 0) };
    let expected = [unseen("after"), unseen("before"), offline("open", 7_000)];
    assert_eq!(seen, expected);
    let asked = world.gateway.ask_presence(&[user("after"), user("before"), user("open")]).await.unwrap();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_silent_gateway_takes_its_users_with_it() {
    let mut world = World::start().await;
    let scope = world.presence("p1", quick()).await;
    let before = now_ms();
    world.full("silent", 0, &["a"]).await;
    world.full("alive", 0, &["b"]).await;
    let mut came = [world.change().await, world.change().await];
    came.sort_by(|one, other| one.user.cmp(&other.user));
    assert_eq!(came, [online("a"), online("b")]);
    let heard = now_ms();
    let gone = async { tokio::time::timeout(SOON, world.changes.next()).await.expect("a change in time").unwrap() };
    let beats = async {
        let mut tick = tokio::time::interval(Duration::from_millis(300));
        loop {
            tick.tick().await;
            let gateway = GatewayId::new("alive").unwrap();
            let beat = GatewayReport { gateway, epoch: 1, number: 0, has_inbox: true, kind: ReportKind::Beat };
            world.gateway.report_presence(&beat).await.unwrap();
        }
    };
    let gone = tokio::select! {
        gone = gone => gone,
        () = beats => unreachable!("beats for ever"),
    };
    assert_eq!((gone.user.as_str(), gone.online), ("a", false));
    let at = gone.last_seen.unwrap();
    assert!((before..=heard).contains(&at), "seen last when the gateway was heard last: {before} {at} {heard}");
    let views = world.ask(&["a", "b"]).await;
    assert_eq!((views[0].online, views[1].online), (false, true));
    assert!(scope.stop(SOON).await);
}

#[tokio::test]
async fn who_moves_to_another_gateway_never_seems_offline() {
    let mut world = World::start().await;
    let scope = world.presence("p1", Config { offline_grace_ms: 1_000, ..Config::default() }).await;
    world.full("g1", 0, &["a"]).await;
    assert_eq!(world.change().await, online("a"));
    world.full("g2", 0, &[]).await;
    world.left("g1", 1, "a", 5).await;
    world.joined("g2", 1, "a").await;
    wait_for("an answer", SOON, async || (world.ask(&["a"]).await == [online("a")]).then_some(())).await;
    // Goes for good a little later: the first change that anybody hears of.
    world.left("g2", 2, "a", 9).await;
    assert_eq!(world.change().await, offline("a", 9));
    assert!(scope.stop(SOON).await);
}

#[tokio::test]
async fn a_replica_that_starts_asks_every_gateway_and_then_knows() {
    let world = World::start().await;
    let mut refreshes = world.gateway.refresh_requests().await.unwrap();
    world.gateway.newest_seq(Partition(0)).await.unwrap();
    let scope = world.presence("p1", Config::default()).await;
    tokio::time::timeout(SOON, refreshes.next()).await.unwrap().unwrap();
    world.full("g1", 7, &["a"]).await;
    wait_for("an answer that knows", SOON, async || (world.ask(&["a"]).await == [online("a")]).then_some(())).await;
    // A change that never came is noticed by the next beat, and asked for.
    while tokio::time::timeout(Duration::from_millis(10), refreshes.next()).await.is_ok() {}
    world.report("g1", 8, ReportKind::Beat).await;
    tokio::time::timeout(SOON, refreshes.next()).await.unwrap().unwrap();
    assert!(scope.stop(SOON).await);
}

fn now_ms() -> u64 {
    u64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// What it costs when very many come online at once: one small message for each to every gateway, once, however
/// many watch. Prints the numbers that `docs/decisions/0017-presence.md` tells.
#[tokio::test]
async fn ten_thousand_come_online_at_once() {
    const CROWD: u64 = 10_000;
    const TOGETHER: u64 = 1_000;
    let mut world = World::start().await;
    let _presence = world.presence("p", Config::default()).await;
    world.full("g", 0, &[]).await;
    let began = std::time::Instant::now();
    for report in 0..CROWD / TOGETHER {
        let joined =
            (report * TOGETHER..(report + 1) * TOGETHER).map(|number| user(&format!("user-{number}"))).collect();
        world.report("g", report + 1, ReportKind::Delta { joined, left: Vec::new() }).await;
    }
    let (mut bytes, mut announced) = (0, std::collections::HashSet::new());
    while announced.len() < usize::try_from(CROWD).unwrap() {
        let view = world.change().await;
        bytes += serde_json::to_vec(&view).unwrap().len();
        assert!(announced.insert(view.user), "everybody once");
    }
    let took = began.elapsed();
    assert!(took < SOON, "{took:?}");
    #[allow(clippy::print_stdout, reason = "a measurement")]
    {
        println!("{CROWD} came online: {CROWD} messages, {bytes} bytes to each gateway, in {took:?}");
    }
}
