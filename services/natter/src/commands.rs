//! The short commands.

use std::{process::ExitCode, time::Duration};

use natter_bus::{
    Bus,
    definitions::{self, Change},
};
use natter_config::{Config, ConfigError};
use natter_ids::GatewayId;
use natter_runtime::paths;
use serde_json::json;

use crate::{
    audit::Audit,
    cli::{ConfigArgs, NatsArgs, NatsCommand, ServiceName, TableFormat, TokenArgs},
    output, tokens,
};

/// `natter config`.
pub fn config(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let page = match args.format {
        TableFormat::Text => natter_config::text(),
        TableFormat::Markdown => natter_config::markdown(),
        TableFormat::Json => serde_json::to_string_pretty(&schema())?,
    };
    output::say(page.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// `natter metrics`.
pub fn metrics() -> ExitCode {
    output::say(natter_telemetry::metrics::markdown().trim_end());
    ExitCode::SUCCESS
}

/// The schema of the file, and under `x-natter` what a deployment must know of the binary besides: Kubernetes manifests are
/// checked against both.
fn schema() -> serde_json::Value {
    let mut schema = natter_config::json_schema();
    schema["x-natter"] = serde_json::json!({
        "services": ServiceName::ALL.map(ServiceName::name),
        "live": paths::LIVE,
        "ready": paths::READY,
        "metrics": paths::METRICS,
        "stop_grace_secs": crate::serve::STOP_GRACE.as_secs(),
    });
    schema
}

/// `natter token`.
pub fn token(args: &TokenArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let audit = Audit::open(config)?;
    let token = tokens::dev_token(config, &args.user, args.ttl);
    let parameters = json!({ "user": args.user.as_str(), "ttl_secs": args.ttl.as_secs() });
    audit.record_result("token", parameters, &token);
    output::say(&token?);
    Ok(ExitCode::SUCCESS)
}

async fn apply(config: &Config, check: bool, wait: Duration) -> anyhow::Result<Vec<Change>> {
    let bus = Bus::connect(&config.nats, GatewayId::random()).await?;
    Ok(definitions::apply_patiently(&bus, check, wait).await?)
}

/// `natter nats`.
pub async fn nats(args: &NatsArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let (check, wait) = match &args.command {
        NatsCommand::Apply { check, wait } => (*check, *wait),
        NatsCommand::Users { out, leaf } => return crate::nats_users::write(out, config.nats.partitions, *leaf),
    };
    if config.nats.url.is_none() {
        let reason = "must name the servers; `natter serve` looks after a server of its own by itself";
        return Err(ConfigError::key("nats.url", reason).into());
    }
    let audit = Audit::open(config)?;
    let applied = apply(config, check, wait).await;
    let changed: Vec<_> =
        applied.iter().flatten().map(|change| format!("{} {}", change.what, change.difference)).collect();
    audit.record_result("nats apply", json!({ "check": check, "differences": changed }), &applied);
    let changes = applied?;
    for change in &changes {
        output::say(&format!("{} {}{}", change.what, change.difference, if check { "" } else { ": done" }));
    }
    if changes.is_empty() {
        output::say("Everything is as defined.");
    }
    Ok(if check && !changes.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
