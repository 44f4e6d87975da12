//! Throughput and latency of connected users.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::{
    crowd::{Crowd, Load},
    measured::Latency,
    options::Plan,
    pacer,
    process::Natter,
    usage::{self, Cpu},
};

/// How long the effects of connecting may take to end.
const SETTLE: Duration = Duration::from_secs(2);

/// Processor seconds per 1,000 messages delivered.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Of `natter`.
    pub natter: f64,
    /// Of its `nats-server`.
    pub nats: f64,
    /// Of the bench itself.
    pub load: f64,
}

/// Natter at saturation.
#[derive(Debug, Clone, Copy)]
pub struct Saturation {
    /// Messages accepted per second.
    pub accepted: f64,
    /// Messages that reached the other user, per second, at the same time.
    pub delivered: f64,
    /// What that cost.
    pub cost: Cost,
    /// Entries that waited to be archived at the end.
    pub unarchived: u64,
    /// From the end of the load until the archive was complete, in seconds.
    pub catch_up: f64,
}

struct Reading {
    at: Instant,
    accepted: u64,
    delivered: u64,
    cpu: [Cpu; 3],
}

impl Reading {
    fn take(natter: &Natter, load: &Load) -> Result<Self> {
        let (accepted, delivered) = (load.tally.accepted.load(Relaxed), load.tally.delivered.load(Relaxed));
        let cpu = [natter.cpu()?, natter.nats.cpu()?, usage::cpu(std::process::id())?];
        Ok(Self { at: Instant::now(), accepted, delivered, cpu })
    }

    fn cost_since(&self, earlier: &Self) -> Result<Cost> {
        let delivered = self.delivered - earlier.delivered;
        ensure!(delivered > 0, "nothing was delivered");
        let per_thousand = |index: usize| (self.cpu[index] - earlier.cpu[index]) / delivered as f64 * 1_000.0;
        Ok(Cost { natter: per_thousand(0), nats: per_thousand(1), load: per_thousand(2) })
    }
}

/// Measures how much goes through when everybody sends as fast as they are answered.
///
/// # Errors
/// A session ends, or a message is refused or lost.
pub async fn saturation(natter: &Natter, plan: &Plan) -> Result<Saturation> {
    let crowd = Crowd::connect(&natter.address, plan.users).await?;
    sleep(SETTLE).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = crowd.saturate(plan.in_flight, &stop)?;
    load.run_for(plan.warm_up).await?;
    let before = Reading::take(natter, &load)?;
    load.run_for(plan.window).await?;
    let after = Reading::take(natter, &load)?;
    let unarchived = natter.unarchived().await?;
    stop.store(true, Relaxed);
    let stopped = Instant::now();
    load.finish().await?;
    natter.archived().await?;
    let seconds = (after.at - before.at).as_secs_f64();
    Ok(Saturation {
        accepted: (after.accepted - before.accepted) as f64 / seconds,
        delivered: (after.delivered - before.delivered) as f64 / seconds,
        cost: after.cost_since(&before)?,
        unarchived,
        catch_up: stopped.elapsed().as_secs_f64(),
    })
}

/// Measures from due to receipt by the other user at an even rate over all users.
///
/// # Errors
/// As for [`saturation`].
pub async fn latency(natter: &Natter, plan: &Plan, rate: u32) -> Result<(Latency, Cost)> {
    let crowd = Crowd::connect(&natter.address, plan.users).await?;
    sleep(SETTLE).await;
    let mut orders = Vec::with_capacity(plan.users);
    let mut load = crowd.follow(&mut orders)?;
    let tally = Arc::clone(&load.tally);
    tally.measured_from.store(tally.clock.now() + plan.warm_up.as_nanos() as u64, Relaxed);
    let give = move |number: u64, due| {
        let user = usize::try_from(number).unwrap_or(0) % orders.len();
        orders[user].try_send(due).is_ok()
    };
    let measured = async {
        load.run_for(plan.warm_up).await?;
        let before = Reading::take(natter, &load)?;
        load.run_for(plan.window).await?;
        Reading::take(natter, &load)?.cost_since(&before)
    };
    let paced = pacer::pace(rate, plan.warm_up + plan.window, give);
    let (cost, paced) = tokio::try_join!(measured, paced)?;
    ensure!(paced.dropped == 0, "natter cannot keep {rate}/s: {} messages could not be given", paced.dropped);
    load.finish().await?;
    let expected = (plan.window.as_secs_f64() * f64::from(rate) * 0.99) as u64;
    let measured = tally.latencies.count();
    ensure!(measured >= expected, "only {measured} messages were measured, {expected} were expected");
    Ok((tally.latencies.summary()?, cost))
}
