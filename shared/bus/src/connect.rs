//! The connection to NATS that a process shares.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream;
use natter_ids::{GatewayId, Partition};
use tokio::{
    runtime::{Builder, Runtime},
    sync::broadcast,
};

use crate::{
    Config,
    clock::Clock,
    link::{Link, LinkEvent},
    pulse::Pulse,
    subjects,
};

/// The oldest server that works: 2.14 brought what delivery and storage read the log with, and 2.14.3 is
/// the first without known holes.
const SERVER_MIN: (i64, i64, i64) = (2, 14, 3);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file with a key or certificate cannot be used.
    #[error("`nats.{key}`: {path} cannot be used: {reason}")]
    File {
        /// The key of the configuration that names it.
        key: &'static str,
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The server cannot be reached or refuses.
    #[error("NATS at {url} cannot be reached")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        source: async_nats::ConnectError,
    },
    /// The thread of the connection cannot be started.
    #[error("no thread for the connection to NATS")]
    Thread(#[source] std::io::Error),
    /// No address was configured.
    #[error("`nats.url` is not set")]
    NoUrl,
}

/// The shared connection. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) client: async_nats::Client,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) config: Config,
    pub(crate) instance: GatewayId,
    pub(crate) archived: crate::archived::ArchivedWatch,
    pub(crate) clock: Clock,
    pub(crate) last_seen: tokio::sync::OnceCell<jetstream::kv::Store>,
    link: Arc<Link>,
    pulse: Pulse,
    _wire: Wire,
}

/// The thread that reads and writes the connection. A runtime shares its time fairly among tasks,
/// and the one that all others wait for must not be one of ten thousand.
struct Wire(Option<Runtime>);

impl Wire {
    fn start() -> Result<Self, ConnectError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("natter-nats").enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(ConnectError::Thread)
    }

    async fn connect(
        &self,
        options: async_nats::ConnectOptions,
        addresses: Vec<String>,
        url: String,
    ) -> Result<async_nats::Client, ConnectError> {
        let closed = || ConnectError::Thread(std::io::Error::other("the thread has ended"));
        let runtime = self.0.as_ref().ok_or_else(closed)?;
        #[allow(clippy::disallowed_methods, reason = "it is awaited right here")]
        let connected = runtime.spawn(async move { options.connect(addresses).await }).await.map_err(|_| closed())?;
        connected.map_err(|source| ConnectError::Unreachable { url, source })
    }
}

impl Wire {
    /// Runs something beside the connection, for as long as that exists.
    fn accompany(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            #[allow(clippy::disallowed_methods, reason = "it ends with this very runtime")]
            drop(runtime.spawn(work));
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The last handle may go inside a task, where nothing may wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Bus {
    /// Connects as the process `instance`, waiting for a server that is still starting.
    ///
    /// # Errors
    /// [`ConnectError`] when the configuration cannot work. A server that is down is waited for.
    pub async fn connect(config: &Config, instance: GatewayId) -> Result<Self, ConnectError> {
        let url = config.url.clone().ok_or(ConnectError::NoUrl)?;
        let link = Arc::new(Link::new());
        let pulse = Pulse::new();
        let options = options(config, &instance, link.clone(), pulse.clone()).await?;
        let addresses: Vec<String> = url.split(',').map(|address| address.trim().to_owned()).collect();
        let wire = Wire::start()?;
        let client = wire.connect(options, addresses, url).await?;
        wire.accompany(pulse.clone().watch(client.clone(), link.clone()));
        let timeout = Duration::from_millis(config.append_timeout_ms.into());
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(timeout)
            .ack_timeout(timeout)
            .max_ack_inflight(20_000)
            .backpressure_on_inflight(true)
            .build(client.clone());
        let archived = crate::archived::ArchivedWatch::new(config.partitions);
        let shared = Shared {
            client,
            jetstream,
            config: config.clone(),
            instance,
            archived,
            clock: Clock::default(),
            last_seen: tokio::sync::OnceCell::new(),
            link,
            pulse,
            _wire: wire,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How many partitions the log has.
    pub fn partitions(&self) -> u16 {
        self.shared.config.partitions
    }

    /// This process, as other services know it.
    pub fn instance(&self) -> &GatewayId {
        &self.shared.instance
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// What happens to the connection from now on.
    pub fn link_events(&self) -> broadcast::Receiver<LinkEvent> {
        self.shared.link.subscribe()
    }

    /// Whether the connection stands now, and NATS answers on it.
    pub fn is_connected(&self) -> bool {
        self.shared.client.connection_state() == async_nats::connection::State::Connected && self.shared.pulse.beats()
    }

    /// What is wrong with the version of the server that this process is connected to, if anything.
    pub fn server_is_too_old(&self) -> Option<String> {
        let found = self.shared.client.try_server_info()?.version;
        let (major, minor, patch) = SERVER_MIN;
        if self.shared.client.is_server_compatible(major, minor, patch) {
            return None;
        }
        Some(format!(
            "the NATS server is of version {found}, and Natter needs {major}.{minor}.{patch} or newer: older ones cannot \
             reset a consumer (ADR-60), without which nothing is delivered or archived; upgrade all servers first"
        ))
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.shared.config.request_timeout_ms.into())
    }

    /// A handle on a partition's stream; asks the server nothing.
    pub(crate) async fn stream(&self, partition: Partition) -> Result<jetstream::stream::Stream<()>, String> {
        let name = subjects::stream(partition);
        self.shared.jetstream.get_stream_no_info(name).await.map_err(|error| error.to_string())
    }
}

async fn options(
    config: &Config,
    instance: &GatewayId,
    link: Arc<Link>,
    pulse: Pulse,
) -> Result<async_nats::ConnectOptions, ConnectError> {
    let choice = pulse.clone();
    Ok(crate::access::options(config)
        .await?
        .name(format!("natter-{instance}"))
        .retry_on_initial_connect()
        .connection_timeout(Duration::from_secs(3))
        .request_timeout(Some(Duration::from_millis(config.request_timeout_ms.into())))
        // The client's default takes minutes to notice a dead server; this takes seconds.
        .ping_interval(Duration::from_secs(3))
        .reconnect_delay_callback(|attempt| {
            Duration::from_millis(2_000.min(50 * 2_u64.saturating_pow(u32::try_from(attempt).unwrap_or(10).min(6))))
        })
        .reconnect_to_server_callback(move |servers, _| {
            let choice = choice.choose(&servers);
            async move { choice }
        })
        .subscription_capacity(4_096)
        .client_capacity(4_096)
        .event_callback(move |event| {
            let (link, pulse) = (link.clone(), pulse.clone());
            async move { note_event(&link, &pulse, &event) }
        }))
}

fn note_event(link: &Link, pulse: &Pulse, event: &async_nats::Event) {
    match event {
        async_nats::Event::Disconnected => link.tell(LinkEvent::Lost),
        async_nats::Event::Connected => {
            pulse.restored();
            link.tell(LinkEvent::Restored);
        }
        async_nats::Event::SlowConsumer(_) => link.tell(LinkEvent::Dropped),
        other => tracing::warn!(event = %other, "NATS connection event"),
    }
}
