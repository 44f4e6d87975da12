//! `natter canary`: two users who measure the whole path.

mod args;
mod device;
mod ledger;
mod once;
mod pair;
mod stage;
mod tell;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use natter_client::{Client, TokenError, TokenSource};
use natter_config::{Config, ConfigError};
use natter_ids::UserId;
use natter_runtime::{Readiness, Scope, serve_admin, wait_for_stop};
use rand::Rng;
use tokio::time::{Instant, MissedTickBehavior};

pub use args::Args;
use device::Device;
use ledger::Ledger;
use pair::Pair;

use crate::{output, tokens};

/// How long a token made here is valid; the client asks for the next one in time.
const TOKEN_TTL: Duration = Duration::from_secs(3600);
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Measures until a signal comes, or once.
///
/// # Errors
/// A sentence, when it cannot start.
pub async fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    if let Err(said) = args.check() {
        let (flag, reason) = said.split_once(": ").unwrap_or(("canary", &said));
        return Err(ConfigError::key(flag, reason).into());
    }
    // Once now, so that a file that cannot be used is told at once.
    let trusting =
        tokens::trusting(Client::builder([""; 0], TokenSource::from_fn(|| Ok(String::new()))), args.ca_file.as_deref());
    drop(trusting?);
    let mut pair = pair(&args, &config)?;
    if args.once {
        let code = once::run(&mut pair).await;
        pair.close().await;
        return Ok(code);
    }
    let _telemetry = natter_telemetry::init(&config.telemetry, "canary")?;
    let scope = Scope::new();
    let admin = serve_admin(&config.admin, Readiness::default(), &scope).await?;
    tell::register();
    if let Some(address) = admin {
        output::say(&format!("admin http://{address}"));
    } else {
        tracing::warn!("`admin.listen` is not set: what is measured is only logged");
    }
    output::say("ready");
    tokio::select! {
        () = measure(&args, &mut pair) => {}
        () = wait_for_stop() => {}
    }
    pair.close().await;
    scope.stop(STOP_GRACE).await;
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args, pair: &mut Pair) {
    let mut tick = tokio::time::interval(args.every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut teller = tell::Teller::default();
    for round in 1_u64.. {
        tick.tick().await;
        let leaves = (args.resume_every > 0 && round.is_multiple_of(args.resume_every))
            .then(|| usize::from((round / args.resume_every).is_multiple_of(2)));
        let began = Instant::now();
        let outcomes = pair.round(leaves).await;
        teller.tell(&outcomes, began.elapsed());
    }
}

fn pair(args: &Args, config: &Config) -> anyhow::Result<Pair> {
    let (mut urls, default) = (args.urls.iter(), tokens::default_gateway(config));
    let first = urls.next().unwrap_or(&default);
    let gateways = [first, urls.next().unwrap_or(first)];
    let run = format!("{:08x}", rand::rng().random::<u32>());
    let device = |number: usize| {
        let users = [&args.pair[number], &args.pair[1 - number]];
        let token = token(args.token_files.get(number), config, users[0])?;
        let ledger = Ledger::new(format!("{run}{}", ["b", "a"][number]));
        anyhow::Ok(Device::new(users, gateways[number].clone(), token, args, ledger))
    };
    Ok(Pair::new([device(0)?, device(1)?], args.timeout))
}

fn token(file: Option<&PathBuf>, config: &Config, user: &UserId) -> anyhow::Result<TokenSource> {
    if let Some(file) = file.cloned() {
        // Read for every connection: whoever issues tokens puts the next one into the same file.
        return Ok(TokenSource::from_fn(move || match std::fs::read_to_string(&file) {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            Ok(_) => Err(TokenError(format!("--token-file {}: is empty", file.display()))),
            Err(error) => Err(TokenError(format!("--token-file {}: cannot be read: {error}", file.display()))),
        }));
    }
    // Once now, so that a missing secret is told at once.
    tokens::dev_token(config, user, TOKEN_TTL)?;
    let (config, user) = (config.clone(), user.clone());
    Ok(TokenSource::from_fn(move || {
        tokens::dev_token(&config, &user, TOKEN_TTL).map_err(|error| TokenError(error.to_string()))
    }))
}
