//! Faults of clients: many that return at once, and some that do not read.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use natter_client::{Client, DisconnectReason, Notification, RawOptions};
use natter_ids::{ClientId, ConversationId};
use natter_testkit::wait_for;
use tokio::task::JoinSet;

use super::MEANWHILE;
use crate::{
    Cluster, Http, Raw, Service,
    chaos::{DRAIN_PER_SEC, Stage, tell},
    token_for,
};

/// How long thousands may take to come back: a debug build checks some hundred tokens per second.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// How much more than the pace one second may see, for what waits in the network: clients measure,
/// not the gateway.
const PACE_SLACK: f64 = 1.25;
/// Bytes of a message that fills buffers.
const LONG: usize = 32 * 1024;
/// So many of them fill the buffers of any kernel.
const FLOOD: u32 = 200;
/// What the 99th percentile of a few hundred messages may be off by chance.
const NOISE: Duration = Duration::from_millis(100);
/// Bytes that the kernel keeps for a client that does not read.
const RECEIVE_BUFFER: u32 = 16 * 1024;

/// Devices that only hold a session.
struct Bystanders {
    clients: Vec<Arc<Client>>,
    watching: JoinSet<()>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    sessions: AtomicUsize,
    /// When a gateway that goes away sent somebody off.
    sent_off: Mutex<Vec<Instant>>,
}

impl Bystanders {
    /// Connects them to the first gateway; they know the others too.
    async fn gather(cluster: &Cluster, count: usize) -> Self {
        let mut all = Self { clients: Vec::new(), watching: JoinSet::new(), seen: Arc::default() };
        let order: Vec<_> = (0..cluster.gateways().len()).collect();
        for number in 0..count {
            let client = cluster.client(&format!("bystander-{number}"), &order).event_capacity(64).connect();
            let client = Arc::new(client.expect("settings of a client"));
            all.watching.spawn(watch(Arc::clone(&client), Arc::clone(&all.seen)));
            all.clients.push(client);
        }
        all.have_sessions(count).await;
        all
    }

    async fn have_sessions(&self, count: usize) {
        let enough = async || (self.seen.sessions.load(Relaxed) >= count).then_some(());
        wait_for(&format!("{count} bystanders to have a session"), BACK_WITHIN, enough).await;
    }

    async fn leave(mut self) {
        for client in &self.clients {
            client.close().await;
        }
        while self.watching.join_next().await.is_some() {}
    }
}

async fn watch(client: Arc<Client>, seen: Arc<Seen>) {
    let mut has_session = false;
    while let Some(notification) = client.next_event().await {
        match notification {
            Notification::Connected(_) if !has_session => {
                has_session = true;
                seen.sessions.fetch_add(1, Relaxed);
            }
            Notification::Disconnected { reason, .. } => {
                if reason == DisconnectReason::GoingAway {
                    seen.sent_off.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                }
                if std::mem::take(&mut has_session) {
                    seen.sessions.fetch_sub(1, Relaxed);
                }
            }
            _ => {}
        }
    }
}

/// A gateway is killed under so many devices, which all come to the other one at once.
pub(super) async fn storm(Stage { cluster, crowd }: &Stage, devices: usize) {
    let bystanders = Bystanders::gather(cluster, devices).await;
    cluster.gateway(0).kill9();
    let began = Instant::now();
    crowd.says_more(MEANWHILE).await;
    bystanders.have_sessions(devices).await;
    tell(&format!("  {devices} devices are back after {:.1} s", began.elapsed().as_secs_f64()));
    crowd.hears_more(MEANWHILE).await;
    cluster.gateway(0).restart().await;
    bystanders.leave().await;
}

/// A gateway is asked to stop under so many devices: it sends them off at its pace.
pub(super) async fn drain(Stage { cluster, crowd }: &Stage, devices: usize) {
    let bystanders = Bystanders::gather(cluster, devices).await;
    let gateway = cluster.gateway(0);
    gateway.ask_to_stop();
    crowd.hears_more(MEANWHILE).await;
    assert_eq!(gateway.ended().await, Some(0), "{} was asked to stop", gateway.name());
    bystanders.have_sessions(devices).await;
    let mut sent_off = bystanders.seen.sent_off.lock().unwrap_or_else(PoisonError::into_inner).clone();
    sent_off.sort();
    assert!(sent_off.len() >= devices, "{} of {devices} were told that the gateway goes away", sent_off.len());
    let second =
        |at: &Instant| sent_off.iter().filter(|one| (*at..*at + Duration::from_secs(1)).contains(*one)).count();
    let most = sent_off.iter().map(second).max().unwrap_or(0);
    tell(&format!("  {devices} devices were sent off, {most} in the busiest second"));
    let allowed = f64::from(DRAIN_PER_SEC) * PACE_SLACK;
    assert!(most as f64 <= allowed, "{most} devices were sent off in one second: {DRAIN_PER_SEC} is the pace");
    gateway.restart().await;
    bystanders.leave().await;
}

/// Devices of somebody in every conversation that read nothing, until all of them are closed. What
/// their neighbours notice of it is compared with what they notice of as many that read.
pub(super) async fn slow_readers(stage: &Stage, devices: usize) {
    let gateway = stage.cluster.gateway(0);
    let mut sockets = open(gateway, devices).await;
    stage.crowd.take_p99();
    let mut reading = JoinSet::new();
    for mut socket in sockets.drain(..) {
        reading.spawn(async move { while socket.frame_or_close().await.is_ok() {} });
    }
    for _ in 0..FLOOD {
        say_something_long(stage).await;
    }
    stage.crowd.hears_more(MEANWHILE).await;
    let beside_readers = stage.crowd.take_p99();
    reading.shutdown().await;

    let goal = closed_as_slow(gateway).await + devices as f64;
    let sockets = open(gateway, devices).await;
    stage.crowd.take_p99();
    let all = async || {
        say_something_long(stage).await;
        (closed_as_slow(gateway).await >= goal).then_some(())
    };
    wait_for("every slow reader to be closed", BACK_WITHIN, all).await;
    stage.crowd.hears_more(MEANWHILE).await;
    let beside_slow = stage.crowd.take_p99();
    drop(sockets);
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    tell(&format!(
        "  p99 beside {devices} that read {:.0} ms, that do not {:.0} ms",
        ms(beside_readers),
        ms(beside_slow)
    ));
    assert!(beside_slow <= beside_readers * 3 + NOISE, "neighbours notice slow readers");
}

async fn open(gateway: &Service, devices: usize) -> Vec<Raw> {
    let mut sockets = Vec::new();
    for _ in 0..devices {
        let options = RawOptions::new(gateway.url()).token(token_for("person-0"));
        let mut socket = Raw::open_with(options.receive_buffer(RECEIVE_BUFFER)).await;
        socket.begin(None).await;
        sockets.push(socket);
    }
    sockets
}

/// How many clients the gateway has closed because they did not read.
async fn closed_as_slow(gateway: &Service) -> f64 {
    let metrics = Http::new(gateway.admin_address()).get("/metrics").await.body;
    let slow = |line: &&str| line.starts_with("natter_connection_closes_total") && line.contains("slow_consumer");
    let count = metrics.lines().find(slow).and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    count.unwrap_or(0.0)
}

/// Fills what the kernel keeps for a client sooner than people do.
async fn say_something_long(Stage { cluster, crowd }: &Stage) {
    let (sender, peer) = (crate::user("person-0"), crate::user("person-1"));
    let talk = ConversationId::direct(&sender, &peer);
    let (client_id, text) = (ClientId::now(), "x".repeat(LONG));
    crowd.tries(&sender, &talk, client_id, &text);
    // Whether it was accepted or not.
    let _ = cluster.http("person-0", 1).say(&talk, client_id, &text).await;
}
