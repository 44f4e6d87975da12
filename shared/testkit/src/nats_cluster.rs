//! Servers that keep streams together.

use std::{
    net::TcpListener,
    path::Path,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use crate::NatsServer;

/// Below those that the kernel gives to outgoing connections, so that none of these takes a port
/// while its server is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Starts so many nodes of one cluster, named `node-0` and on, each with its data in a folder of
/// that name below `folder`. They elect a leader by themselves; until then JetStream refuses.
///
/// # Panics
/// When one does not start, with its log.
pub async fn nats_cluster(folder: &Path, nodes: usize) -> Vec<NatsServer> {
    let ports: Vec<_> = std::iter::repeat_with(free_port).take(2 * nodes).collect();
    let (clients, routes) = ports.split_at(nodes);
    let addresses: Vec<_> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
    let mut servers = Vec::new();
    for (number, port) in clients.iter().enumerate() {
        let name = format!("node-{number}");
        let arguments = [
            ("--server_name", name.clone()),
            ("--cluster_name", "natter".to_owned()),
            ("--cluster", addresses[number].clone()),
            ("--routes", addresses.join(",")),
        ];
        let arguments = arguments.into_iter().flat_map(|(key, value)| [key.to_owned(), value]).collect();
        servers.push(NatsServer::start_with(&folder.join(name), *port, arguments).await);
    }
    servers
}

/// A port that nobody listens on, of a part of the range that is likely this process's own.
fn free_port() -> u16 {
    let size = PORTS.end - PORTS.start;
    let begin = u16::try_from(u64::from(process::id()).wrapping_mul(61) % u64::from(size)).unwrap_or(0);
    (0..size)
        .map(|_| PORTS.start + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % size)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
