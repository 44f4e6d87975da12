//! The bench: Natter end to end through real sockets and processes, beside the raw floor.
//!
//! Floor and system take turns on the same machine in the same run; a row compares their medians.

mod crowd;
mod docs;
mod drain;
mod floor;
mod frames;
mod idle;
mod measured;
mod options;
mod pacer;
mod process;
mod report;
mod rooms;
mod socket;
mod talk;
mod tracing;
mod usage;

use std::io::Write;

use anyhow::{Context, Result};

pub use options::{Measure, Options, Plan};

use self::{
    measured::{Latency, Samples},
    process::Natter,
    report::{Bar, Row},
    talk::Cost,
};

/// Open files beside the connections.
const SPARE_FILES: u64 = 500;

/// Measures what the options ask for, says how it goes on stderr, and prints the table on stdout.
///
/// # Errors
/// A binary is missing, or a run fails: a session ended, a message was refused or lost.
pub async fn run(options: Options) -> Result<()> {
    let plan = options.plan();
    usage::allow_open_files(plan.idle_connections as u64 + SPARE_FILES)?;
    let machine = docs::machine()?;
    let mut rows = Vec::new();
    if options.wants(Measure::Throughput) {
        rows.extend(throughput(&plan).await?);
    }
    if options.wants(Measure::Latency) {
        rows.extend(latency(&plan).await?);
    }
    if options.wants(Measure::Drain) {
        rows.extend(drain(&plan).await?);
    }
    if options.wants(Measure::Idle) {
        rows.extend(idle(&plan).await?);
    }
    if options.wants(Measure::Rooms) {
        rows.extend(rooms::compared(&plan).await?);
    }
    if options.wants(Measure::LargestRoom) {
        rows.extend(rooms::largest(&plan).await?);
    }
    if options.wants(Measure::Tracing) {
        rows.extend(tracing::measure(&plan).await?);
    }
    let table = report::table(&rows);
    writeln!(std::io::stdout(), "\n{machine}\n{table}")?;
    if options.write_docs {
        let command = if options.quick { "./justw bench --quick --write-docs" } else { "./justw bench --write-docs" };
        say(&format!("written to {}", docs::write(command, &machine, &table)?.display()));
    }
    Ok(())
}

/// Progress; a terminal that went away is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

async fn throughput(plan: &Plan) -> Result<Vec<Row>> {
    let natter = Natter::start().await?;
    say(&format!("throughput: {} users on natter (process {})", plan.users, natter.pid()?));
    let (mut floors, mut systems) = (Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        let floor = floor::saturation(plan).await?;
        say(&format!("  floor: {:.0}/s published, {:.0}/s consumed", floor.published, floor.consumed));
        floors.push(floor);
        if round < plan.rounds {
            let system = talk::saturation(&natter, plan).await.with_context(|| natter.last_words())?;
            let (accepted, delivered) = (system.accepted, system.delivered);
            say(&format!("  natter: {accepted:.0}/s accepted, {delivered:.0}/s delivered"));
            systems.push(system);
        }
    }
    let floor = |of: fn(&floor::Saturation) -> f64| floors.iter().map(of).collect::<Samples>();
    let system = |of: fn(&talk::Saturation) -> f64| systems.iter().map(of).collect::<Samples>();
    let bar = Bar::ShareOfFloor(0.15);
    Ok(vec![
        Row::new("accepted at saturation", "/s", system(|s| s.accepted)).floor(floor(|f| f.published)).bar(bar),
        Row::new("delivered at saturation", "/s", system(|s| s.delivered)).floor(floor(|f| f.consumed)).bar(bar),
        Row::new("CPU per 1,000 delivered: natter", "s", system(|s| s.cost.natter)),
        Row::new("CPU per 1,000 delivered: nats-server", "s", system(|s| s.cost.nats)).floor(floor(|f| f.nats_cpu)),
        Row::new("CPU per 1,000 delivered: the load itself", "s", system(|s| s.cost.load)),
        Row::new("waiting for the archive at the end", "entries", system(|s| s.unarchived as f64)),
        Row::new("until all is delivered and archived", "s", system(|s| s.catch_up)),
    ])
}

async fn latency(plan: &Plan) -> Result<Vec<Row>> {
    let natter = Natter::start().await?;
    let mut rows = Vec::new();
    for &rate in &plan.rates {
        say(&format!("latency at {rate}/s: {} users on natter (process {})", plan.users, natter.pid()?));
        let (mut floors, mut systems) = (Vec::new(), Vec::new());
        for round in 0..=plan.rounds {
            let floor = floor::latency(plan, rate).await?;
            say(&format!("  floor: {}", milliseconds(&floor)));
            floors.push(floor);
            if round < plan.rounds {
                let system = talk::latency(&natter, plan, rate).await.with_context(|| natter.last_words())?;
                say(&format!("  natter: {}", milliseconds(&system.0)));
                systems.push(system);
            }
        }
        rows.extend(latency_rows(rate, &floors, &systems));
    }
    Ok(rows)
}

fn milliseconds(latency: &Latency) -> String {
    format!("p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms", latency.p50, latency.p95, latency.p99)
}

fn latency_rows(rate: u32, floors: &[Latency], systems: &[(Latency, Cost)]) -> Vec<Row> {
    type Percentile = fn(&Latency) -> f64;
    let percentiles: [(&str, Percentile); 3] = [("p50", |l| l.p50), ("p95", |l| l.p95), ("p99", |l| l.p99)];
    let mut rows = Vec::new();
    for (name, of) in percentiles {
        let value = systems.iter().map(|(latency, _)| of(latency)).collect();
        let mut row =
            Row::new(format!("latency at {rate}/s, {name}"), "ms", value).floor(floors.iter().map(of).collect());
        if (rate, name) == (1_000, "p99") {
            row = row.bar(Bar::TimesFloor(10.0));
        }
        rows.push(row);
    }
    let cost = |of: fn(&Cost) -> f64| systems.iter().map(|(_, cost)| of(cost)).collect();
    rows.push(Row::new(format!("CPU per 1,000 delivered at {rate}/s: natter"), "s", cost(|c| c.natter)));
    rows.push(Row::new(format!("CPU per 1,000 delivered at {rate}/s: nats-server"), "s", cost(|c| c.nats)));
    rows
}

async fn drain(plan: &Plan) -> Result<Vec<Row>> {
    let natter = Natter::start().await?;
    let (devices, messages) = (plan.drain_devices, plan.drain_messages);
    say(&format!("drain: {devices} devices miss {messages} messages each (process {})", natter.pid()?));
    let away = drain::prepare(&natter, plan).await.with_context(|| natter.last_words())?;
    let (mut floors, mut systems) = (Samples::default(), Vec::new());
    for round in 0..=plan.rounds {
        let floor = floor::drain(plan).await?;
        say(&format!("  floor: {floor:.0}/s"));
        floors.push(floor);
        if round < plan.rounds {
            let drained = drain::drain(&natter, &away).await.with_context(|| natter.last_words())?;
            say(&format!("  natter: {:.2} s, {:.0}/s", drained.seconds, drained.rate));
            systems.push(drained);
        }
    }
    let what = format!("drain of {devices} × {messages} missed messages");
    let thousands = (devices * messages) as f64 / 1_000.0;
    Ok(vec![
        Row::new(&what, "/s", systems.iter().map(|drained| drained.rate).collect())
            .floor(floors)
            .bar(Bar::ShareOfFloor(0.3)),
        Row::new(format!("{what}: time"), "s", systems.iter().map(|drained| drained.seconds).collect()),
        Row::new(
            format!("{what}: CPU per 1,000, natter"),
            "s",
            systems.iter().map(|drained| drained.natter_cpu / thousands).collect(),
        ),
    ])
}

async fn idle(plan: &Plan) -> Result<Vec<Row>> {
    let connections = plan.idle_connections;
    say(&format!("idle: {connections} connections"));
    let idle = idle::measure(plan).await?;
    say(&format!("  natter: {:.2} KiB per connection", idle.natter));
    let what = format!("memory per idle connection of {connections}");
    Ok(vec![
        Row::new(format!("{what}: natter"), "KiB", [idle.natter].into_iter().collect()).bar(Bar::AtMost(16.0)),
        Row::new(format!("{what}: nats-server"), "KiB", [idle.nats].into_iter().collect()),
    ])
}
