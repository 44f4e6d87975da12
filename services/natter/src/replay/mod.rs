//! `natter replay`: plays a channel log through gateways, and checks what everybody received.
//!
//! Every speaker of the log is a user with one device. They are spread over the gateways, are in
//! one group, and say their lines in the log's order: each line is sent once the one before it is
//! accepted. Who leaves in the log disconnects, and misses what is said meanwhile; who comes back
//! reconnects with the position kept. At the end everybody disconnects, comes back and catches
//! up. Then every device must hold the same transcript, byte for byte the log's texts.

mod generate;
mod line;
mod log;
mod progress;
mod report;
mod speakers;
mod stage;

use std::{
    fs::OpenOptions,
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use natter_checker::{History, Recorder, check};
use natter_client::{TokenError, TokenSource};
use natter_config::Config;
use natter_ids::{ClientId, ConversationId, UserId};
use tokio::time::Instant;

use crate::{output, tokens};
use generate::Recipe;
use log::Log;

use progress::Progress;
use report::Report;
use speakers::{Speaker, Surroundings};
use stage::Stage;

/// The client asks for a new one in time.
const TOKEN_TTL: Duration = Duration::from_secs(3600);

/// Plays a channel log through gateways and checks that everybody received the same, all of it,
/// in order and once.
///
/// Every speaker becomes a user in one group; who joins or leaves in the log connects or
/// disconnects. Exit code 0: one transcript everywhere; 1: not so, and what was seen is kept in a
/// file.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  natter replay channel.txt
  natter replay channel.txt --gateways ws://127.0.0.1:8081,ws://127.0.0.1:8082 --speed 60
  natter replay --generate 7 --lines 2000 --speakers 200 > channel.txt

A log has lines like these; what else the channel tells begins with === too:
  [HH:MM] <nick> text
  [HH:MM]  * nick text
  === nick [host]  has joined #channel
  === nick [host]  has left #channel [\"reason\"]
  === nick is now known as other")]
pub struct ReplayArgs {
    /// The log.
    #[arg(required_unless_present = "generate")]
    file: Option<PathBuf>,
    /// Gateways that speakers are spread over, separated by commas; the one of this data
    /// directory when none is named.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    gateways: Vec<String>,
    /// Trust only gateways with certificates of these, in a PEM file; without it, as browsers do.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How much faster than the log; as fast as possible when absent.
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    speed: Option<f64>,
    /// How long one line, or catching up at the end, may take.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// Of how many members the history is read and compared.
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    compare: usize,
    /// Keep all that was sent and received in this file, as lines of JSON. On failure it is kept
    /// in any case.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Write a log instead, the same for the same seed.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["file", "gateways", "speed", "history"])]
    generate: Option<u64>,
    /// How many lines are said in it.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, requires = "generate")]
    lines: usize,
    /// How many people there are in it.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, requires = "generate")]
    speakers: usize,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    // Years of log at the slowest still are a time that can be counted.
    (speed.is_finite() && speed >= 0.001).then_some(speed).ok_or_else(|| "must be at least 0.001".to_owned())
}

/// Runs the command.
///
/// # Errors
/// A sentence, when the log cannot be read or nothing could be played at all.
pub async fn run(args: ReplayArgs, config: &Config) -> anyhow::Result<ExitCode> {
    if let Some(seed) = args.generate {
        let recipe = Recipe { seed, lines: args.lines, speakers: args.speakers };
        generate::write(recipe, BufWriter::new(std::io::stdout().lock())).context("the log cannot be written")?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = args.file.as_deref().context("no log is named")?;
    let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let log = Log::read(&bytes);
    drop(bytes);
    let mut stage = prepare(&args, config, &log)?;
    let progress = Arc::clone(&stage.around.progress);
    let name =
        path.file_stem().map_or_else(|| "replay".to_owned(), |name| name.to_string_lossy().chars().take(60).collect());
    let report = tokio::select! {
        report = perform(&args, &log, &name, &mut stage) => report,
        never = progress.tell() => match never {},
    };
    progress.done();
    let mut report = report?;
    let history = stage.around.recorder.history();
    report.violations = tokio::task::block_in_place(|| check(&history));
    output::say(&report.to_string());
    keep(&args, &report, &history)?;
    Ok(ExitCode::from(u8::from(!report.is_good())))
}

fn prepare(args: &ReplayArgs, config: &Config, log: &Log) -> anyhow::Result<Stage> {
    let creator = log.speakers.first().context("nobody says anything in this log")?;
    let members_max = config.connection.limits.group_members_max as usize;
    if log.speakers.len() > members_max {
        bail!(
            "the log has {} speakers and a group at most {members_max} members (connection.limits.group_members_max)",
            log.speakers.len()
        );
    }
    // Whether there is a secret shows at once, and not in a hundred clients that try again.
    tokens::dev_token(config, creator, TOKEN_TTL)?;
    let gateways = if args.gateways.is_empty() { vec![tokens::default_gateway(config)] } else { args.gateways.clone() };
    let config = Arc::new(config.clone());
    let speaker = |(index, user): (usize, &UserId)| {
        let mut gateways = gateways.clone();
        let turn = index % gateways.len();
        gateways.rotate_left(turn);
        let (config, subject) = (Arc::clone(&config), user.clone());
        let token =
            move || tokens::dev_token(&config, &subject, TOKEN_TTL).map_err(|error| TokenError(format!("{error:#}")));
        Speaker::new(user.clone(), gateways, args.ca_file.clone(), TokenSource::from_fn(token))
    };
    let speakers = log.speakers.iter().enumerate().map(speaker).collect();
    let request = ClientId::now();
    let around = Surroundings {
        group: ConversationId::group(creator, request),
        recorder: Recorder::new(),
        progress: Arc::new(Progress::new(log.said())),
    };
    Ok(Stage::new(speakers, around, request, args.patience))
}

/// Plays the log. Once it has begun, whatever goes wrong, those who are still there catch up as
/// far as they can, so that there is something to check.
async fn perform(args: &ReplayArgs, log: &Log, name: &str, stage: &mut Stage) -> anyhow::Result<Report> {
    let progress = Arc::clone(&stage.around.progress);
    let begin = Instant::now();
    stage.open(name, log).await?;
    progress.enter("saying");
    let first_line = Instant::now();
    let mut outcome = stage.play(log, args.speed).await;
    let saying = first_line.elapsed();
    progress.enter("catching up");
    outcome = outcome.and(stage.catch_up().await);
    if outcome.is_ok() {
        progress.enter("reading history");
        outcome = stage.read_history(args.compare).await;
    }
    progress.enter("leaving");
    outcome = outcome.and(stage.dismiss().await);
    Ok(Report {
        lines: log.said(),
        said: stage.lines_said(),
        speakers: stage.speakers.len(),
        gateways: args.gateways.len().max(1),
        tally: stage.tally(),
        missed: stage.missed,
        compared: stage.compared,
        saying,
        total: begin.elapsed(),
        unreadable: log.unreadable.clone(),
        refused: std::mem::take(&mut stage.refused),
        broken: outcome.err().map(|error| format!("{error:#}")),
        violations: Vec::new(),
    })
}

/// Writes the history where it was asked for, and on failure in any case.
fn keep(args: &ReplayArgs, report: &Report, history: &History) -> anyhow::Result<()> {
    let path = match &args.history {
        Some(path) => path.clone(),
        None if report.is_good() => return Ok(()),
        None => std::env::temp_dir().join(format!("natter-replay-{}.jsonl", std::process::id())),
    };
    write_history(&path, history).with_context(|| format!("{} cannot be written", path.display()))?;
    output::say(&format!("what was sent and received: {}", path.display()));
    Ok(())
}

/// Texts of messages are nobody else's business: only the owner may read the file.
fn write_history(path: &Path, history: &History) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut file = BufWriter::new(file);
    for line in history.lines() {
        writeln!(file, "{line}")?;
    }
    file.flush()
}
