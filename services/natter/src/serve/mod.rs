//! `natter serve`: wires services together, starts them, and stops them in order.

mod binary;
pub mod data_dir;
pub mod durability;
pub mod embedded;
mod leftover;
mod reload;
mod services;
mod streams;
mod welcome;

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::Context;
use natter_bus::{Bus, definitions};
use natter_config::{Config, Source};
use natter_connection::Gateway;
use natter_ids::GatewayId;
use natter_runtime::{AdminError, Latch, OnEnd, Readiness, Scope, serve_admin, wait_for_stop};
use natter_telemetry::metrics;

use crate::{
    audit::Audit,
    cli::{ServeArgs, ServiceName},
    exit, output, tokens,
};
use data_dir::DataDir;
use reload::{Reloader, Running};
pub use services::sqlite_url;
use services::{Services, Workshop, unusable};

/// How long a part other than the gateway may take to stop.
pub const STOP_GRACE: Duration = Duration::from_secs(15);

/// The parts, in the order in which they stop.
struct Scopes {
    /// Every other one is its child, so that it sees their failures.
    process: Scope,
    connection: Scope,
    /// Delivery, presence and storage.
    services: Scope,
    admin: Scope,
    nats: Scope,
}

impl Scopes {
    fn new() -> Self {
        let process = Scope::new();
        let [connection, services, admin, nats] = std::array::from_fn(|_| process.child());
        Self { process, connection, services, admin, nats }
    }

    async fn stop(&self, connection_grace: Duration) {
        let parts = [
            ("connection", &self.connection, connection_grace),
            ("delivery, presence and storage", &self.services, STOP_GRACE),
            ("admin", &self.admin, STOP_GRACE),
            ("nats-server", &self.nats, STOP_GRACE),
            ("process", &self.process, STOP_GRACE),
        ];
        for (part, scope, grace) in parts {
            if !scope.stop(grace).await {
                tracing::warn!(part, ?grace, "did not stop in time and is left behind");
            }
        }
    }
}

/// Why the process does not go on.
enum End {
    Asked,
    Failed(&'static str),
}

/// How it ended, and what goes only after everything has stopped.
struct Ending {
    end: End,
    /// The services' threads.
    _workshop: Option<Workshop>,
    /// Not ready any more.
    _stopping: Option<Latch>,
}

/// What is up once everything is.
struct Up {
    readiness: Readiness,
    gateway: Option<Gateway>,
    admin: Option<SocketAddr>,
    workshop: Workshop,
}

/// Runs until a signal comes or a vital part ends.
///
/// # Errors
/// A sentence, when it cannot start.
pub async fn run(args: &ServeArgs, source: Source, mut config: Config) -> anyhow::Result<ExitCode> {
    let services = Services::chosen(&args.services);
    let telemetry = natter_telemetry::init(&config.telemetry, &services.label())?;
    metrics::BUILD_INFO.set(1.0, [env!("CARGO_PKG_VERSION").into(), services.label().into()]);
    services.check(&config)?;
    // Held to the end, when nothing writes into the directory any more.
    let data_dir = config.nats.url.is_none().then(|| DataDir::lock(&config.data_dir)).transpose()?;
    let scopes = Scopes::new();
    let (audit, reloader) = (Audit::open(&config)?, Reloader::new(source, &config, telemetry.log_level())?);
    let current = reloader.current();
    let result = run_parts(&services, reloader, &mut config, data_dir.as_ref(), &scopes).await;
    if data_dir.is_some() {
        let _ = std::fs::remove_file(tokens::gateway_path(&config));
    }
    tracing::info!("stopping");
    let grace = connection_grace(&current.borrow());
    scopes.stop(grace).await;
    tracing::info!("stopped");
    let outcome = match &result {
        Ok(Ending { end: End::Asked, .. }) => Ok(()),
        Ok(Ending { end: End::Failed(task), .. }) => Err(format!("`{task}` has ended")),
        Err(error) => Err(format!("{error:#}")),
    };
    audit.record("stop", serde_json::json!({ "services": services.label() }), outcome);
    drop(telemetry);
    match result?.end {
        End::Asked => Ok(ExitCode::SUCCESS),
        End::Failed(task) => {
            output::complain(&format!("natter: `{task}` has ended, and nothing works without it"));
            Ok(ExitCode::from(exit::VITAL))
        }
    }
}

async fn run_parts(
    services: &Services,
    reloader: Reloader,
    config: &mut Config,
    data_dir: Option<&DataDir>,
    scopes: &Scopes,
) -> anyhow::Result<Ending> {
    let current = reloader.current();
    let mut end = std::pin::pin!(async {
        tokio::select! {
            () = wait_for_stop() => End::Asked,
            task = scopes.process.failed() => End::Failed(task),
        }
    });
    let started = tokio::select! {
        biased;
        end = &mut end => return Ok(Ending { end, _workshop: None, _stopping: None }),
        up = start(services, config, data_dir, scopes) => up?,
    };
    let running = Running {
        settings: started.gateway.as_ref().map(|gateway| gateway.settings.clone()),
        own_auth: data_dir.map(|_| config.auth.clone()),
    };
    let cancel = scopes.admin.cancel_token();
    scopes.admin.spawn("config-reload", OnEnd::StopProcess, reloader.run(running, cancel));
    announce(&started, config, data_dir.is_some())?;
    let end = end.await;
    // Load balancers are told first, and get time to notice: whoever comes meanwhile is served.
    let stopping = started.readiness.latch("stopping");
    let end = if services.have(ServiceName::Connection) {
        linger(end, current.borrow().drain_delay_ms, scopes).await
    } else {
        end
    };
    Ok(Ending { end, _workshop: Some(started.workshop), _stopping: Some(stopping) })
}

/// Goes on for a while after it was asked to stop; not when something vital fails meanwhile.
async fn linger(end: End, delay_ms: u32, scopes: &Scopes) -> End {
    let delay = Duration::from_millis(delay_ms.into());
    if !matches!(end, End::Asked) || delay.is_zero() {
        return end;
    }
    tracing::info!(?delay, "asked to stop: not ready any more, and serving until load balancers have noticed");
    tokio::select! {
        () = tokio::time::sleep(delay) => end,
        task = scopes.process.failed() => End::Failed(task),
    }
}

async fn start(
    services: &Services,
    config: &mut Config,
    data_dir: Option<&DataDir>,
    scopes: &Scopes,
) -> anyhow::Result<Up> {
    let readiness = Readiness::default();
    let nats = readiness.latch("nats");
    let admin = serve_admin(&config.admin, readiness.clone(), &scopes.admin).await.map_err(|error| match error {
        AdminError::Listen { address, source } => unusable("admin.listen", address, &source).into(),
        other @ AdminError::Tls(_) => anyhow::Error::from(other),
    })?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), services = services.label(), ?admin, "starting");
    if let Some(data_dir) = data_dir {
        embed(config, data_dir, scopes).await?;
    }
    if config.storage.url.is_none() {
        config.storage.url = Some(sqlite_url(&config.data_dir)?);
    }
    let bus = Bus::connect(&config.nats, GatewayId::random()).await?;
    if data_dir.is_some() {
        definitions::apply(&bus, false).await.context("the streams of the embedded NATS cannot be made")?;
    } else {
        durability::check(&config.durability, config.nats.replicas).await?;
        streams::wait_for(&bus).await?;
    }
    bus.compare_clocks().await;
    let (timed, cancel) = (bus.clone(), scopes.services.cancel_token());
    scopes.services.spawn("clock", OnEnd::StopProcess, async move { timed.keep_time(cancel).await });
    drop(nats);
    let (gateway, workshop) = services.start(config, &bus, &readiness, scopes).await?;
    Ok(Up { readiness, gateway, admin, workshop })
}

/// Starts what is embedded, and fills in how to reach it.
async fn embed(config: &mut Config, data_dir: &DataDir, scopes: &Scopes) -> anyhow::Result<()> {
    let server = embedded::start(&config.embedded, &data_dir.path, &scopes.nats).await?;
    config.nats.url = Some(server.url);
    match durability::report(&server.monitor_url, config.embedded.sync_interval_ms).await {
        Ok(None) => {}
        Ok(Some(weaker)) => tracing::warn!("{weaker}"),
        Err(error) => tracing::warn!("{error:#}"),
    }
    if !config.auth.has_keys() {
        config.auth.hs256_secret = Some(tokens::ensure_secret(config)?);
    }
    Ok(())
}

/// Tells, on standard output, what is up. Programs read the first lines, up to `ready`.
fn announce(up: &Up, config: &Config, embedded: bool) -> anyhow::Result<()> {
    let gateway = up.gateway.as_ref().map(|gateway| tokens::gateway_url(config, gateway.address));
    if let Some(url) = &gateway {
        output::say(&format!("connection {url}"));
    }
    if let Some(address) = up.admin {
        let scheme = if config.admin.tls().is_some() { "https" } else { "http" };
        output::say(&format!("admin {scheme}://{address}"));
    }
    if embedded && let Some(url) = &gateway {
        let path = tokens::gateway_path(config);
        tokens::write_private(&path, &format!("{url}\n"))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    output::say("ready");
    if embedded && let Some(url) = &gateway {
        welcome::print(config, url);
    }
    Ok(())
}

/// The gateway closes its sessions at a configured pace; it may take as long as that takes.
fn connection_grace(gateway: &natter_connection::Config) -> Duration {
    STOP_GRACE + Duration::from_secs((gateway.connections_max / gateway.drain_per_sec.max(1)).into())
}
