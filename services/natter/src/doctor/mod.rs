//! `natter doctor`: looks at everything that Natter needs, and says what to do next.

mod database;
mod finding;
mod local;
mod nats;
mod patient;

use std::{process::ExitCode, time::Duration};

use clap::{Args as ClapArgs, ValueEnum};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use natter_bus::Bus;
use natter_config::{Config, ConfigError};
use natter_storage::DatabaseReport;
use serde::Serialize;

use crate::{hidden::Secrets, output};
use finding::{Finding, Status};
pub use patient::Layers;
use patient::Patient;

/// Checks that run at once.
const AT_ONCE: usize = 8;

/// How to print what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal.
    Text,
    /// One JSON object.
    Json,
}

/// Looks at everything that Natter needs and says what to do next: configuration, NATS, streams,
/// who owns what, the archive, this machine. Changes nothing.
///
/// Run it with the configuration of the service in question, best in its pod. What a check depends
/// on fails alone: the check itself is left out then. Exit code 1 when one fails, else 0.
#[derive(Debug, ClapArgs)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  natter doctor
  natter doctor --format json --timeout 2s
  kubectl exec deploy/natter-storage -- natter doctor"
)]
pub struct Args {
    /// In which form.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// How long each check may take.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}

type Look = for<'a> fn(&'a Patient) -> BoxFuture<'a, Finding>;

/// A check of NATS is left out when there is none.
macro_rules! on_nats {
    ($look:expr) => {
        |patient| match &patient.bus {
            Ok(bus) => {
                let look: for<'a> fn(&'a Patient, &'a Bus) -> BoxFuture<'a, Finding> = $look;
                look(patient, bus)
            }
            Err(_) => async { Finding::skip("needs NATS") }.boxed(),
        }
    };
}

/// A check of the database is left out when there is none.
macro_rules! on_database {
    ($look:expr) => {
        |patient| {
            let look: fn(&Patient, &DatabaseReport) -> Finding = $look;
            let found = match &patient.database {
                Some(Ok(report)) => look(patient, report),
                _ => Finding::skip("needs the database"),
            };
            async { found }.boxed()
        }
    };
}

/// Every check, in the order in which it is read.
const CHECKS: &[(&str, Look)] = &[
    ("configuration", |patient| async { local::configuration(patient) }.boxed()),
    ("nats", |patient| async { nats::reachable(patient) }.boxed()),
    ("nats version", on_nats!(|_, bus| async { nats::version(bus) }.boxed())),
    ("nats tls", on_nats!(|patient, bus| async { nats::tls(patient, bus) }.boxed())),
    ("jetstream", on_nats!(|_, bus| nats::jetstream(bus).boxed())),
    ("streams", on_nats!(|_, bus| nats::streams(bus).boxed())),
    ("replicas", on_nats!(|patient, bus| nats::replicas(patient, bus).boxed())),
    ("durability", on_nats!(|patient, _| nats::synced(patient).boxed())),
    ("consumers", on_nats!(|_, bus| nats::consumers(bus).boxed())),
    ("owners", on_nats!(|_, bus| nats::owners(bus).boxed())),
    ("services", on_nats!(|_, bus| nats::services(bus).boxed())),
    ("clock", on_nats!(|_, bus| nats::clock(bus).boxed())),
    ("database", |patient| async { database::reachable(patient) }.boxed()),
    ("migrations", on_database!(|_, report| database::migrations(report))),
    ("connections", on_database!(database::pool)),
    ("archive", on_nats!(|patient, bus| database::against_the_log(patient, bus).boxed())),
    ("keys", |patient| local::keys(patient).boxed()),
    ("certificates", |patient| async { local::certificates(patient) }.boxed()),
    ("open files", |patient| async { local::files(patient) }.boxed()),
    ("disk", |patient| async { local::disk(patient) }.boxed()),
];

/// What is printed of a check.
#[derive(Debug, Serialize)]
struct Line {
    check: &'static str,
    status: Status,
    said: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Looks at everything.
///
/// # Errors
/// Never because of what is found.
pub async fn run(args: &Args, loaded: Result<Config, ConfigError>, layers: Layers) -> anyhow::Result<ExitCode> {
    let secrets = loaded.as_ref().map(Secrets::of).unwrap_or_default();
    let patient = Patient::meet(loaded, layers, args.timeout).await;
    let lines: Vec<Line> =
        stream::iter(CHECKS.iter().map(|check| look(check, &patient, &secrets))).buffered(AT_ONCE).collect().await;
    let count = |status: Status| lines.iter().filter(|line| line.status == status).count();
    let (failed, warned) = (count(Status::Fail), count(Status::Warn));
    match args.format {
        Format::Json => {
            let all = serde_json::json!({ "checks": lines, "failed": failed, "warned": warned });
            output::say(&serde_json::to_string_pretty(&all)?);
        }
        Format::Text => print(&lines, failed, warned),
    }
    Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn look(check: &(&'static str, Look), patient: &Patient, secrets: &Secrets) -> Line {
    let (name, look) = *check;
    let found = if patient.invalid.is_some() && name != "configuration" {
        Finding::skip("needs a valid configuration")
    } else {
        tokio::time::timeout(patient.limit, look(patient)).await.unwrap_or_else(|_| {
            let said = format!("no answer within {}", humantime::format_duration(patient.limit));
            Finding::fail(said, "run it again with a longer --timeout; look at the log of what does not answer")
        })
    };
    let Finding { status, said, next } = found;
    // Whatever a server or a library says, no secret goes out.
    Line { check: name, status, said: secrets.remove(&said), next: next.map(|next| secrets.remove(&next)) }
}

fn print(lines: &[Line], failed: usize, warned: usize) {
    let (green, yellow, red, dim, reset) = if output::in_colour() {
        ("\x1b[32m", "\x1b[33m", "\x1b[1;31m", "\x1b[2m", "\x1b[0m")
    } else {
        ("", "", "", "", "")
    };
    for line in lines {
        let (colour, word) = match line.status {
            Status::Skip => (dim, "-"),
            Status::Ok => (green, "ok"),
            Status::Warn => (yellow, "warn"),
            Status::Fail => (red, "FAIL"),
        };
        output::say(&format!("{colour}{word:<5}{reset} {:<14} {}", line.check, line.said));
        if let Some(next) = &line.next {
            output::say(&format!("      {:<14} {dim}next: {next}{reset}", ""));
        }
    }
    output::say(&match (failed, warned) {
        (0, 0) => "Everything is as it should be.".to_owned(),
        (0, warned) => format!("It works; {warned} to see to."),
        (failed, warned) => format!("{failed} failed, {warned} to see to."),
    });
}
