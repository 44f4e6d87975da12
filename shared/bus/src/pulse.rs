//! Makes sure that NATS answers, not only that it talks, and that the server is not alone.
//!
//! The client pings a server only when nothing has come from it for a while. A wire on which
//! nothing passes towards the server, while events go on coming, looks well to it for minutes.
//! Here the process sends itself a message through the server, again and again, and connects anew
//! when none of it comes back.
//!
//! A server that the rest of its cluster does not reach answers its own clients, and can neither
//! store nor hand on anything. It is asked for what only the leader of the cluster knows; when
//! nobody answers for long, the process goes to another server.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, ReconnectToServer, Server, ServerAddr, Subscriber, connection::State};
use bytes::Bytes;
use futures_util::StreamExt;
use natter_telemetry::metrics;
use rand::seq::IteratorRandom;
use tokio::time::{self, Instant};

use crate::link::{Link, LinkEvent};

const EVERY: Duration = Duration::from_secs(2);
/// How often a message is waited for, each time for a second. Several waits instead of a long one:
/// a process that stood still finds the first of them over, and its message a moment later.
const WAITS: u32 = 5;
const WAIT: Duration = Duration::from_secs(1);
/// Answered by the leader of JetStream alone (NATS's `$JS.API`, account information).
const ASKS_THE_LEADER: &str = "$JS.API.INFO";
/// How long a server may know of no leader: an election takes a few seconds. Each time in vain
/// doubles it, because without a majority every server is alone.
const ALONE: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(60));

/// What is known of the connection. Shared with whoever publishes.
#[derive(Clone)]
pub(crate) struct Pulse(Arc<Shared>);

struct Shared {
    beats: AtomicBool,
    /// The next connection is to another server than the last one.
    elsewhere: AtomicBool,
    last: Mutex<Option<ServerAddr>>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        let (beats, elsewhere) = (AtomicBool::new(true), AtomicBool::new(false));
        Self(Arc::new(Shared { beats, elsewhere, last: Mutex::default() }))
    }

    /// Whether the last message through the server came back.
    pub(crate) fn beats(&self) -> bool {
        self.0.beats.load(Ordering::Relaxed)
    }

    /// A new connection counts as well until it shows otherwise.
    pub(crate) fn restored(&self) {
        self.0.beats.store(true, Ordering::Relaxed);
    }

    /// Which server to connect to: any of those that failed least.
    pub(crate) fn choose(&self, servers: &[Server]) -> Option<ReconnectToServer> {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        let elsewhere = self.0.elsewhere.swap(false, Ordering::Relaxed);
        let others = servers.iter().filter(|server| !elsewhere || last.as_ref() != Some(&server.addr));
        let fewest = others.clone().map(|server| server.failed_attempts).min()?;
        let chosen = others.filter(|server| server.failed_attempts == fewest).choose(&mut rand::rng())?;
        *last = Some(chosen.addr.clone());
        Some(ReconnectToServer { addr: chosen.addr.clone(), delay: None })
    }

    /// Sends, listens and, when nothing comes, connects anew; without end.
    pub(crate) async fn watch(self, client: Client, link: Arc<Link>) {
        let own = client.new_inbox();
        let Ok(mut echoes) = client.subscribe(own.clone()).await else { return };
        let connected = || client.connection_state() == State::Connected;
        let mut alone = Alone::new();
        loop {
            time::sleep(EVERY).await;
            if !connected() || !self.beats() {
                continue;
            }
            if !returns(&client, &own, &mut echoes).await {
                if !connected() {
                    continue;
                }
                tracing::warn!(seconds = (WAIT * WAITS).as_secs(), "NATS does not answer: connecting anew");
                self.0.beats.store(false, Ordering::Relaxed);
            } else if alone.for_long(leader_answers(&client).await) {
                tracing::warn!("the NATS server knows of no leader of JetStream: connecting to another one");
                self.0.elsewhere.store(true, Ordering::Relaxed);
            } else {
                continue;
            }
            link.tell(LinkEvent::Lost);
            if client.force_reconnect().await.is_err() {
                return;
            }
        }
    }
}

/// For how long a server has known of no leader.
struct Alone {
    since: Option<Instant>,
    patience: Duration,
}

impl Alone {
    fn new() -> Self {
        Self { since: None, patience: ALONE.0 }
    }

    /// Takes in whether the leader has answered; whether it has not for too long.
    fn for_long(&mut self, answered: bool) -> bool {
        if answered {
            *self = Self::new();
            return false;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let long = since.elapsed() >= self.patience;
        if long {
            *self = Self { since: None, patience: (self.patience * 2).min(ALONE.1) };
        }
        long
    }
}

async fn returns(client: &Client, own: &str, echoes: &mut Subscriber) -> bool {
    let began = Instant::now();
    let sent = time::timeout(WAIT, client.publish(own.to_owned(), Bytes::new())).await;
    if matches!(sent, Ok(Err(_))) {
        return false;
    }
    for _ in 0..WAITS {
        if let Ok(echo) = time::timeout(WAIT, echoes.next()).await {
            metrics::NATS_ROUND_TRIP.took(began.elapsed(), []);
            return echo.is_some();
        }
    }
    false
}

/// An answer of somebody who is no leader, that there is none, is an error.
async fn leader_answers(client: &Client) -> bool {
    let asked = time::timeout(WAIT * WAITS, client.request(ASKS_THE_LEADER, Bytes::new())).await;
    let answer = asked.ok().and_then(Result::ok);
    let value = answer.and_then(|answer| serde_json::from_slice::<serde_json::Value>(&answer.payload).ok());
    value.is_some_and(|value| value.get("error").is_none())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn server(address: &str, failed_attempts: usize) -> Server {
        let addr = address.parse().unwrap();
        Server { addr, failed_attempts, did_connect: true, is_discovered: false, last_error: None }
    }

    #[test]
    fn a_server_that_is_alone_is_left_for_another_one() {
        let pulse = Pulse::new();
        let servers = [server("nats://a:1", 0), server("nats://b:1", 0), server("nats://c:1", 3)];
        for _ in 0..50 {
            let before = pulse.choose(&servers).unwrap().addr;
            assert_ne!(before, servers[2].addr, "it failed more often");
            pulse.0.elsewhere.store(true, Ordering::Relaxed);
            assert_ne!(pulse.choose(&servers).unwrap().addr, before);
        }
        // There is no other one.
        pulse.choose(&servers[..1]).unwrap();
        pulse.0.elsewhere.store(true, Ordering::Relaxed);
        assert!(pulse.choose(&servers[..1]).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_leader_patience_doubles() {
        let mut alone = Alone::new();
        for patience in [8, 16, 32, 60, 60] {
            assert!(!alone.for_long(false));
            time::advance(Duration::from_secs(patience - 1)).await;
            assert!(!alone.for_long(false), "{patience}");
            time::advance(Duration::from_secs(1)).await;
            assert!(alone.for_long(false), "{patience}");
        }
        assert!(!alone.for_long(true));
        assert_eq!(alone.patience, ALONE.0);
    }
}
