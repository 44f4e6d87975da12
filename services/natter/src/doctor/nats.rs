//! Checks of NATS and of what Natter keeps there.

use natter_bus::{Bus, Service, definitions};

use super::{
    finding::Finding,
    patient::{Patient, chain},
};
use crate::{hidden, serve::durability};

/// The oldest server that has everything Natter uses, and the oldest without known holes.
const NEEDED: (u64, u64, u64) = (2, 14, 0);
const SAFE: (u64, u64, u64) = (2, 14, 3);
/// Entries that a service may be behind before it is worth a look, and before it is a fault.
const LAG: (u64, u64) = (1_000, 100_000);
/// Seconds by which clocks may differ before it is worth a look, and before it is a fault: past
/// the first they are corrected, past the second certificates and tokens may be refused.
const CLOCK: (i64, i64) = (1_000, 30_000);
/// How full, in percent.
const FULL: (u64, u64) = (80, 95);

pub fn reachable(patient: &Patient) -> Finding {
    let place = patient.config.nats.url.as_deref().map(hidden::place).unwrap_or_default();
    match &patient.bus {
        Ok(bus) => {
            let server = bus.server();
            let cluster = server.cluster.map_or(String::new(), |cluster| format!(" of cluster `{cluster}`"));
            let said = format!("server `{}`{cluster} at {place}", server.name);
            if server.leaving {
                return Finding::warn(format!("{said} is about to stop"), "see which other server Natter goes to");
            }
            Finding::ok(said)
        }
        Err(error) if patient.invalid.is_some() => Finding::skip(error.as_str()),
        Err(error) if patient.config.nats.url.is_none() => {
            Finding::fail(error.as_str(), "run `natter serve`, or set nats.url to an external NATS")
        }
        Err(error) => Finding::fail(
            error.as_str(),
            "is nats-server up, does the address lead to it, do credentials and TLS fit? Its log tells why it refuses",
        ),
    }
}

pub fn version(bus: &Bus) -> Finding {
    let version = bus.server().version;
    let mut numbers = version.split(['.', '-']).map_while(|part| part.parse::<u64>().ok());
    let mut next = || numbers.next().unwrap_or(0);
    let found = (next(), next(), next());
    let said = format!("nats-server {version}");
    if found < NEEDED {
        return Finding::fail(said, "upgrade nats-server to 2.14.3 or newer, node by node");
    }
    if found < SAFE {
        return Finding::warn(format!("{said} has known security holes"), "upgrade nats-server to 2.14.3 or newer");
    }
    Finding::ok(said)
}

pub fn tls(patient: &Patient, bus: &Bus) -> Finding {
    let url = patient.config.nats.url.clone().unwrap_or_default();
    let encrypted = bus.server().tls_required || url.split(',').all(|one| one.trim().starts_with("tls://"));
    if encrypted {
        return Finding::ok("the connection is encrypted");
    }
    let here = |url: &str| ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| hidden::place(url).contains(host));
    if url.split(',').all(here) {
        return Finding::ok("not encrypted, and does not leave this machine");
    }
    Finding::warn("the connection is not encrypted", "turn TLS on at nats-server, and set nats.ca_file")
}

pub async fn jetstream(bus: &Bus) -> Finding {
    if !bus.server().jetstream {
        return Finding::fail(
            "JetStream is off",
            "add `jetstream {}` with a store_dir to the configuration of nats-server",
        );
    }
    let account = match bus.account().await {
        Ok(account) => account,
        Err(error) => {
            let said = format!("on; the account does not tell its limits: {error}");
            return Finding::warn(said, "does the user have JetStream, and may it ask $JS.API.INFO?");
        }
    };
    let mut full = Vec::new();
    let mut check = |what: &str, used: u64, most: Option<u64>| {
        if let Some(most) = most.filter(|most| used * 100 >= *most * FULL.0) {
            full.push((used * 100 / most.max(1), format!("{used} of {most} {what} are used")));
        }
    };
    check("bytes", account.bytes, account.bytes_max);
    check("streams", account.streams, account.streams_max);
    check("consumers", account.consumers, account.consumers_max);
    let worst = full.iter().map(|(percent, _)| *percent).max();
    let faults: Vec<_> = full.into_iter().map(|(_, said)| said).collect();
    let next = "raise the limits of the account, or keep the log for less time (nats.log_retention_hours)";
    let ms = account.round_trip.as_secs_f64() * 1000.0;
    let said = format!("on; answers in {ms:.1} ms; {} MiB in {} streams", account.bytes >> 20, account.streams);
    Finding::ok(said).unless(&faults, |said| {
        if worst >= Some(FULL.1) { Finding::fail(said, next) } else { Finding::warn(said, next) }
    })
}

pub async fn streams(bus: &Bus) -> Finding {
    let next = "run `natter nats apply --check`, then `natter nats apply`";
    match definitions::apply(bus, true).await {
        Ok(changes) => {
            let missing = changes.iter().any(|change| change.difference == "is missing");
            let faults: Vec<_> =
                changes.iter().map(|change| format!("{} {}", change.what, change.difference)).collect();
            Finding::ok("streams, consumers and buckets are as defined")
                .unless(&faults, |said| if missing { Finding::fail(said, next) } else { Finding::warn(said, next) })
        }
        Err(error) => Finding::fail(chain(&error), next),
    }
}

pub async fn replicas(patient: &Patient, bus: &Bus) -> Finding {
    let streams = match bus.streams().await {
        Ok(streams) => streams,
        Err(error) => {
            return Finding::fail(
                error.to_string(),
                "is there a leader of JetStream's own group? See the log of nats-server",
            );
        }
    };
    let (mut bad, mut behind, mut full) = (Vec::new(), Vec::new(), Vec::new());
    let mut leaders = std::collections::BTreeSet::new();
    for stream in &streams {
        leaders.extend(stream.leader.clone());
        if stream.leader.is_none() && stream.replicas > 1 {
            bad.push(format!("{} has no leader", stream.name));
        }
        if !stream.behind.is_empty() {
            behind.push(format!("{} is away or behind on {}", stream.name, stream.behind.join(", ")));
        }
        if let Some(most) = stream.bytes_max.filter(|most| stream.bytes * 100 >= *most * FULL.0) {
            full.push(format!("{} holds {} of {most} bytes", stream.name, stream.bytes));
        }
    }
    let wanted = patient.config.nats.replicas;
    let said = format!("{} streams, {wanted} replicas each, led by {}", streams.len(), join(&leaders));
    Finding::ok(said)
        .unless(&full, |said| {
            Finding::warn(
                said,
                "at its limit a stream refuses appends: raise nats.log_mib_max and run `natter nats apply`",
            )
        })
        .unless(&behind, |said| Finding::warn(said, "see to the servers; with another one away, appends would stop"))
        .unless(&bad, |said| Finding::fail(said, "more than half of its servers are needed: bring nodes of NATS back"))
}

fn join(names: &std::collections::BTreeSet<String>) -> String {
    if names.is_empty() { "their only server".to_owned() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
}

pub async fn synced(patient: &Patient) -> Finding {
    if patient.embedded {
        let ms = patient.config.embedded.sync_interval_ms;
        return Finding::ok(format!("the embedded server forces to the disk every {ms} ms"));
    }
    let wanted = &patient.config.durability;
    let weaker = durability::weaker(wanted, patient.config.nats.replicas).await;
    let next = "an accepted message may not survive a power failure: set `sync_interval: always` and enough replicas, and \
                name the servers in durability.monitor_urls";
    Finding::ok("accepted messages are on the disk as asked for").unless(&weaker, |said| match wanted.when_weaker {
        natter_config::WhenWeaker::Refuse => Finding::fail(said, next),
        natter_config::WhenWeaker::Warn => Finding::warn(said, next),
    })
}

pub async fn consumers(bus: &Bus) -> Finding {
    let consumers = match bus.consumers().await {
        Ok(consumers) => consumers,
        Err(error) => return Finding::fail(error.to_string(), "run `natter nats apply`"),
    };
    let of = |service: Service| -> u64 {
        consumers.iter().filter(|consumer| consumer.service == service).map(|consumer| consumer.waiting).sum()
    };
    let all: Vec<_> = Service::ALL.into_iter().map(|service| (service, of(service))).collect();
    let told: Vec<_> = all.iter().map(|(service, waiting)| format!("{} {waiting}", service.name())).collect();
    let said = format!("entries not read yet: {}", told.join(", "));
    let next = "look at the logs of the service that is behind; more replicas share the partitions";
    match all.iter().map(|(_, waiting)| *waiting).max().unwrap_or(0) {
        waiting if waiting >= LAG.1 => Finding::fail(said, next),
        waiting if waiting >= LAG.0 => Finding::warn(said, next),
        _ => Finding::ok(said),
    }
}

pub async fn owners(bus: &Bus) -> Finding {
    let owners = match bus.owners().await {
        Ok(owners) => owners,
        Err(error) => return Finding::fail(error.to_string(), "run `natter nats apply`"),
    };
    let orphans: Vec<_> = owners
        .iter()
        .filter(|report| report.owner.is_none())
        .map(|report| format!("nobody owns partition {} of {}", report.partition, report.service.name()))
        .collect();
    let replicas = |service: Service| {
        let of = owners.iter().filter(|report| report.service == service).filter_map(|report| report.owner.as_ref());
        of.collect::<std::collections::BTreeSet<_>>().len()
    };
    let told: Vec<_> =
        Service::ALL.into_iter().map(|service| format!("{} by {}", service.name(), replicas(service))).collect();
    let said = format!("every partition is owned: {} replicas", told.join(", "));
    Finding::ok(said).unless(&orphans, |said| {
        Finding::fail(
            said,
            "run `natter serve delivery` and `natter serve storage`; a lease that was lost is taken over by itself",
        )
    })
}

pub async fn clock(bus: &Bus) -> Finding {
    let Some(ahead) = bus.clock_offset_ms().await else {
        return Finding::warn(
            "NATS did not tell its time within a second",
            "run `natter nats apply`, and run this again",
        );
    };
    let said = format!(
        "this machine's clock is {} ms {} that of NATS",
        ahead.abs(),
        if ahead < 0 { "ahead of" } else { "behind" }
    );
    let next = "keep the clocks of all machines in time with NTP; Natter goes by that of NATS meanwhile";
    match ahead.abs() {
        off if off >= CLOCK.1 => Finding::fail(said, next),
        off if off >= CLOCK.0 => Finding::warn(said, next),
        _ => Finding::ok(said),
    }
}

pub async fn services(bus: &Bus) -> Finding {
    let (presence, storage, gateways) =
        tokio::join!(bus.ask_presence(&[]), bus.ask(&natter_bus::storage_api::Archived {}), bus.gateways());
    let gateways = gateways.unwrap_or_default().len();
    let mut silent = Vec::new();
    if let Err(error) = presence {
        silent.push(format!("presence does not answer: {error}"));
    }
    if let Err(error) = storage {
        silent.push(format!("storage does not answer: {error}"));
    }
    if gateways == 0 {
        silent.push("no gateway answers".to_owned());
    }
    Finding::ok(format!("presence and storage answer, and so do {gateways} gateways"))
        .unless(&silent, |said| Finding::fail(said, "start the service with `natter serve`, or look at its log"))
}
