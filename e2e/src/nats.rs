//! The nats-servers of a deployment.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::jetstream::Context;
use natter_testkit::{NatsCluster, NatsServer, nats_cluster_with, wait_for};
use tokio::sync::Mutex;

/// How long nodes may take to agree on a leader.
const LIMIT: Duration = Duration::from_secs(60);

/// One nats-server, or several that keep every stream together.
pub struct Nats {
    url: String,
    nodes: Vec<Mutex<NatsServer>>,
    /// The wires between several nodes.
    between: Option<NatsCluster>,
}

impl Nats {
    /// `config` and `in_cluster`: what is set besides, for everything and for inside `cluster`.
    pub(crate) async fn start(
        folder: &Path,
        nodes: usize,
        (config, in_cluster): (String, String),
        program: Option<&Path>,
    ) -> Self {
        let (nodes, between) = match nodes {
            1 => (vec![NatsServer::start_configured(folder, &config).await], None),
            nodes => {
                let mut cluster = nats_cluster_with(folder, nodes, &config, &in_cluster, program).await;
                (std::mem::take(&mut cluster.nodes), Some(cluster))
            }
        };
        let urls: Vec<_> = nodes.iter().map(NatsServer::url).collect();
        Self { url: urls.join(","), nodes: nodes.into_iter().map(Mutex::new).collect(), between }
    }

    /// Lets nothing pass between a node and the other nodes; clients reach it as before.
    pub fn isolate(&self, number: usize) {
        self.between().isolate(number);
    }

    /// Lets everything pass again after [`Nats::isolate`].
    pub fn rejoin(&self, number: usize) {
        self.between().rejoin(number);
    }

    fn between(&self) -> &NatsCluster {
        self.between.as_ref().expect("several nodes")
    }

    /// Where they listen, separated by commas; the same after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many there are.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Asks one node to stop, and starts another program on its ports and data.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn roll_node(&self, number: usize, program: Option<PathBuf>) {
        let mut node = self.nodes[number].lock().await;
        node.terminate().await;
        node.run_from_now_on(program);
        node.restart().await;
    }

    /// Asks one node to stop, and starts a program on its data that cannot read them; returns what it said
    /// until it has ended. The next start is of the usual one.
    ///
    /// # Panics
    /// When it goes on.
    pub async fn roll_node_in_vain(&self, number: usize, program: PathBuf) -> String {
        let mut node = self.nodes[number].lock().await;
        node.terminate().await;
        let before = node.said().len();
        node.run_from_now_on(Some(program));
        node.restart_in_vain().await;
        node.run_from_now_on(None);
        node.said().split_off(before)
    }

    /// Every line that a node has said and that holds the text, in any case.
    pub async fn lines_with(&self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for node in &self.nodes {
            let said = node.lock().await.said();
            let found = said.lines().filter(|line| line.to_lowercase().contains(&text.to_lowercase()));
            lines.extend(found.map(str::to_owned));
        }
        lines
    }

    /// Kills all with SIGKILL.
    pub async fn kill(&self) {
        for node in &self.nodes {
            node.lock().await.kill();
        }
    }

    /// Kills those that run, and starts all on the same ports and data.
    ///
    /// # Panics
    /// When one does not start.
    pub async fn restart(&self) {
        self.kill().await;
        for node in &self.nodes {
            node.lock().await.restart().await;
        }
    }

    /// Loses what the only node has stored.
    ///
    /// # Panics
    /// When it does not start again.
    pub async fn lose(&self) {
        let mut node = self.nodes[0].lock().await;
        node.kill();
        std::fs::remove_dir_all(node.store()).expect("a store to lose");
        node.restart().await;
    }

    /// Kills one node with SIGKILL.
    pub async fn kill_node(&self, number: usize) {
        self.nodes[number].lock().await.kill();
    }

    /// Asks one node to stop, and waits until it has.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn terminate_node(&self, number: usize) {
        self.nodes[number].lock().await.terminate().await;
    }

    /// Kills one node if it runs, and starts it on the same ports and data.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart_node(&self, number: usize) {
        self.nodes[number].lock().await.restart().await;
    }

    /// A connection that knows nothing of Natter.
    async fn jetstream(&self) -> Context {
        let servers: Vec<_> = self.url.split(',').map(str::to_owned).collect();
        let client = async_nats::ConnectOptions::new().retry_on_initial_connect().connect(servers).await;
        async_nats::jetstream::new(client.expect("a connection to NATS"))
    }

    /// Puts something unreadable into the log of every partition; returns how many entries.
    ///
    /// # Panics
    /// When the log does not take it.
    pub async fn poison(&self, partitions: u16) -> usize {
        let context = self.jetstream().await;
        for partition in 0..partitions {
            let stream = context.get_stream(format!("CHAT-{partition}")).await.expect("the partition's stream");
            // Its subjects are `chat.<shard>.>`.
            let shard = stream.cached_info().config.subjects[0].trim_end_matches('>').to_owned();
            for (rest, payload) in [("dmI9aXkWZ1WSl4RCA8TA-tQ.log", "{"), ("no-conversation.log", "{}")] {
                let sent = context.publish(format!("{shard}{rest}"), payload.into()).await.expect("a publication");
                sent.await.expect("an acknowledgement of the log");
            }
        }
        2 * usize::from(partitions)
    }

    /// Deletes the consumer of that name from every partition.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn delete_consumers(&self, partitions: u16, name: &str) {
        let context = self.jetstream().await;
        for partition in 0..partitions {
            let stream = context.get_stream(format!("CHAT-{partition}")).await.expect("the partition's stream");
            stream.delete_consumer(name).await.expect("a consumer to delete");
        }
    }

    /// Deletes the stream of that name, with everything in it.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn delete_stream(&self, name: &str) {
        self.jetstream().await.delete_stream(name).await.expect("a stream to delete");
    }

    /// Which node leads a stream of the log, or its consumer of that name.
    ///
    /// # Panics
    /// When there is no leader within a minute.
    pub async fn leader(&self, stream: &str, consumer: Option<&str>) -> usize {
        let context = self.jetstream().await;
        let find = async || {
            let mut stream = context.get_stream(stream).await.ok()?;
            let cluster = match consumer {
                None => stream.info().await.ok()?.cluster.clone(),
                Some(name) => stream.consumer_info(name).await.ok()?.cluster,
            };
            cluster?.leader?.strip_prefix("node-")?.parse().ok()
        };
        wait_for(&format!("a leader of {stream}"), LIMIT, find).await
    }

    /// Waits until every node keeps up with the leaders of all partitions: only then may the next
    /// one go.
    ///
    /// # Panics
    /// When that takes longer than a minute.
    pub async fn in_sync(&self, partitions: u16) {
        let context = self.jetstream().await;
        let in_sync = async || {
            for partition in 0..partitions {
                let mut stream = context.get_stream(format!("CHAT-{partition}")).await.ok()?;
                let cluster = stream.info().await.ok()?.cluster.clone()?;
                let current = cluster.replicas.iter().filter(|replica| replica.current && !replica.offline).count();
                if cluster.leader.is_none() || current + 1 < self.nodes.len() {
                    return None;
                }
            }
            Some(())
        };
        wait_for("every node to keep up", LIMIT, in_sync).await;
    }
}
