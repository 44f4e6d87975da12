//! `natter`: the services, a terminal client and tools, in one binary.

mod audit;
mod canary;
mod chat;
mod cli;
mod commands;
mod doctor;
mod exit;
mod hidden;
mod nats_users;
mod output;
mod ready;
mod recovery;
mod replay;
mod serve;
mod tokens;

use std::process::ExitCode;

use audit::Audit;
use clap::Parser;
use cli::{Cli, Command};
use doctor::Layers;
use natter_config::{Config, ConfigError, Source};
use serde_json::json;

/// Why this one: `docs/decisions/0010-an-allocator-for-many-threads.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::of_usage(&error),
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => exit::of_error(&error),
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let environment: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let source = Source { overrides: cli.overrides()?, environment };
    let loaded = source.load();
    // Every part that speaks TLS uses the same one; nobody installed another before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(dispatch(cli.command, source, loaded));
    // A thread that waits for the terminal must not keep the process.
    runtime.shutdown_background();
    code
}

async fn dispatch(command: Command, source: Source, loaded: Result<Config, ConfigError>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => Box::pin(serve::run(&args, source, loaded?)).await,
        Command::Chat(args) => chat::run(args, &loaded?).await,
        Command::Replay(args) => replay::run(args, &loaded?).await,
        Command::Canary(args) => canary::run(args, loaded?).await,
        Command::Token(args) => commands::token(&args, &loaded?),
        Command::Nats(args) => commands::nats(&args, &loaded?).await,
        Command::Backup(args) => {
            let config = loaded?;
            let (audit, folder) = (Audit::open(&config)?, json!({ "folder": args.folder }));
            let result = recovery::backup(&args, config).await;
            audit.record_result("backup", folder, &result);
            result
        }
        Command::Restore(args) => {
            let parameters = json!({ "check": args.check, "from": args.from });
            let config = loaded?;
            let audit = Audit::open(&config)?;
            let result = recovery::restore(&args, config).await;
            audit.record_result("restore", parameters, &result);
            result
        }
        Command::Config(args) => commands::config(&args),
        Command::Metrics => Ok(commands::metrics()),
        Command::Ready(args) => ready::run(&args, &loaded?).await,
        // What cannot be loaded is its first finding.
        Command::Doctor(args) => doctor::run(&args, loaded, Layers::of(&source)).await,
    }
}
