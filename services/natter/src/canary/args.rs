//! Flags of `natter canary`.

use std::{path::PathBuf, time::Duration};

use clap::Args as ClapArgs;
use natter_ids::UserId;

use crate::cli::user;

/// Measures the whole path with a pair of users who write to each other all the time.
///
/// Each of the two is at a gateway of its own when two are given. Every message is followed from
/// the first gateway to the other user's device; now and then one of them leaves, misses a message
/// and has to get it on return. Times and failures are metrics on `admin.listen`: see
/// `natter_canary_seconds` and `natter_canary_failures_total`, both by stage.
#[derive(Debug, ClapArgs)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  natter canary --url ws://gateway-a:8080 --url ws://gateway-b:8080 --set admin.listen=0.0.0.0:9090
  natter canary --token-file /tokens/a --token-file /tokens/b --pair probe-1,probe-2
  natter canary --once          one message each way and one return; exit code 1 when one fails

Stages: connect, accepted (stored in the log), delivered (on the other user's device), resumed (what
was missed came on return); and order, double, lost, which must never count anything."
)]
pub struct Args {
    /// A gateway; twice: the second user goes there. Without one, the one that `natter serve` runs
    /// here.
    #[arg(long = "url", value_name = "URL")]
    pub urls: Vec<String>,
    /// The two users.
    #[arg(long, value_name = "USER,USER", value_delimiter = ',', value_parser = user, default_value = "canary-a,canary-b")]
    pub pair: Vec<UserId>,
    /// A file with a token, once for each of the two; read again for each connection. Without
    /// them, tokens are made as by `natter token`.
    #[arg(long = "token-file", value_name = "FILE")]
    pub token_files: Vec<PathBuf>,
    /// Trust only gateways with certificates of these, in a PEM file; without it, as browsers do.
    /// Read again for each connection.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// How often each of the two writes.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub every: Duration,
    /// How long a stage may take before it has failed.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// In every round of so many one of the two leaves and comes back; 0: never.
    #[arg(long, value_name = "ROUNDS", default_value_t = 6)]
    pub resume_every: u64,
    /// Go through all stages once, print how long each took, and end.
    #[arg(long)]
    pub once: bool,
}

impl Args {
    /// What the flags cannot say by themselves.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.pair.len() != 2 || self.pair[0] == self.pair[1] {
            return Err("--pair: takes two different users, such as canary-a,canary-b".to_owned());
        }
        if self.urls.len() > 2 {
            return Err("--url: may be given at most twice, once for each user".to_owned());
        }
        if !matches!(self.token_files.len(), 0 | 2) {
            return Err("--token-file: must be given twice, once for each user of --pair, or not at all".to_owned());
        }
        if self.every.is_zero() || self.timeout.is_zero() {
            return Err("--every and --timeout: must be longer than 0".to_owned());
        }
        Ok(())
    }
}
