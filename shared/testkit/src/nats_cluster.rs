//! Servers that keep streams together.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use crate::{Flow, NatsServer, Proxy};

/// Below those that the kernel gives to outgoing connections, so that none of these takes a port
/// while its server is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// As in production.
const ROUTES: &str = include_str!("../../../nats/cluster/routes.conf");
/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Nodes of one cluster, and the wires between them.
pub struct NatsCluster {
    /// The servers, `node-0` and on.
    pub nodes: Vec<NatsServer>,
    wires: Vec<Wire>,
}

/// The way on which one node looks for another.
struct Wire {
    from: usize,
    to: usize,
    proxy: Proxy,
}

impl NatsCluster {
    /// Lets nothing pass between a node and the others; clients reach it as before.
    pub fn isolate(&self, node: usize) {
        self.wires_of(node).for_each(|wire| wire.proxy.set(Flow::Stall, Flow::Stall));
    }

    /// Lets everything pass again. What was under way is cut: the other side has forgotten it.
    pub fn rejoin(&self, node: usize) {
        for wire in self.wires_of(node) {
            wire.proxy.reset();
            wire.proxy.heal();
        }
    }

    fn wires_of(&self, node: usize) -> impl Iterator<Item = &Wire> {
        self.wires.iter().filter(move |wire| wire.from == node || wire.to == node)
    }
}

/// Starts so many nodes of one cluster, named `node-0` and on, each with its data in a folder of
/// that name below `folder`. They elect a leader by themselves; until then JetStream refuses.
///
/// # Panics
/// When one does not start, with its log.
pub async fn nats_cluster(folder: &Path, nodes: usize) -> NatsCluster {
    nats_cluster_with(folder, nodes, "", "", None).await
}

/// Like [`nats_cluster`], each node with this text in its configuration, and this one inside
/// `cluster`; and running another program than the one to test with.
///
/// # Panics
/// As [`nats_cluster`].
pub async fn nats_cluster_with(
    folder: &Path,
    nodes: usize,
    config: &str,
    in_cluster: &str,
    program: Option<&Path>,
) -> NatsCluster {
    let ports: Vec<_> = std::iter::repeat_with(free_port).take(2 * nodes).collect();
    let (clients, routes) = ports.split_at(nodes);
    let mut cluster = NatsCluster { nodes: Vec::new(), wires: Vec::new() };
    for from in 0..nodes {
        for to in (0..nodes).filter(|to| *to != from) {
            let proxy = Proxy::tcp(&format!("127.0.0.1:{}", routes[to])).await;
            cluster.wires.push(Wire { from, to, proxy });
        }
    }
    for (number, port) in clients.iter().enumerate() {
        let name = format!("node-{number}");
        let others = cluster.wires.iter().filter(|wire| wire.from == number);
        let others: Vec<_> = others.map(|wire| format!("nats://{}", wire.proxy.address())).collect();
        // Nodes tell each other where the others are: nowhere, so that no way leads past the wires.
        let config = format!(
            "server_name: {name}\nserver_tags: [\"disk:{number}\"]\n{config}\ncluster {{\nname: natter\n\
             listen: \"127.0.0.1:{}\"\nadvertise: \"{NOWHERE}\"\nroutes: {others:?}\n{ROUTES}\n{in_cluster}}}\n",
            routes[number]
        );
        let file = folder.join(format!("{name}.conf"));
        fs::create_dir_all(folder).and_then(|()| fs::write(&file, config)).expect("the configuration of a node");
        let arguments = vec!["--config".to_owned(), file.display().to_string()];
        cluster.nodes.push(NatsServer::start_with(&folder.join(name), *port, arguments, program).await);
    }
    cluster
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
