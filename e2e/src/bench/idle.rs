//! Memory of connections that nothing happens on.

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{
    task::JoinSet,
    time::{Duration, sleep},
};

use super::{options::Plan, process::Natter, socket::Socket};

/// Devices that connect at the same time.
const AT_ONCE: usize = 200;
/// Connections that come and go first, so that what is allocated once is not counted.
const WARM_UP: usize = 100;

/// Memory per idle connection, in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// Of `natter`, with every service in it.
    pub natter: f64,
    /// Of its `nats-server`, which keeps a subscription per user.
    pub nats: f64,
}

/// Measures a fresh deployment without connections, then with many that have been idle for a
/// while: each of another user, authenticated, caught up and known to presence.
///
/// # Errors
/// A connection is refused or ends.
pub async fn measure(plan: &Plan) -> Result<Idle> {
    let natter = Natter::start().await?;
    for socket in connect(&natter, "early", WARM_UP).await? {
        socket.close().await?;
    }
    sleep(Duration::from_secs(2)).await;
    let before = (natter.resident_bytes()?, natter.nats.resident_bytes()?);
    let sockets = connect(&natter, "idle", plan.idle_connections).await.with_context(|| natter.last_words())?;
    let mut idle = JoinSet::new();
    for mut socket in sockets {
        idle.spawn(async move {
            loop {
                // Reading answers the gateway's pings.
                if let Err(error) = socket.next().await {
                    return error;
                }
            }
        });
    }
    tokio::select! {
        () = sleep(plan.idle_settle) => {}
        Some(ended) = idle.join_next() => return Err(ended?).context("an idle connection ended"),
    }
    let per_connection =
        |after: u64, before: u64| (after as f64 - before as f64) / plan.idle_connections as f64 / 1024.0;
    Ok(Idle {
        natter: per_connection(natter.resident_bytes()?, before.0),
        nats: per_connection(natter.nats.resident_bytes()?, before.1),
    })
}

async fn connect(natter: &Natter, name: &str, connections: usize) -> Result<Vec<Socket>> {
    let connecting = (0..connections).map(|number| async move {
        let user = format!("{name}-{number}");
        let mut socket = Socket::open(&natter.address, &user, u32::try_from(number)?, None).await?;
        socket.caught_up().await?;
        Ok(socket)
    });
    stream::iter(connecting).buffer_unordered(AT_ONCE).try_collect().await
}
