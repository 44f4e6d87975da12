//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use natter_config::{ConfigError, Overrides};
use natter_ids::UserId;

const EXAMPLES: &str = "\
Try it, in three terminals:
  natter serve                          everything in one process, data in .natter
  natter chat --as alice --to bob
  natter chat --as bob --to alice

Run services one by one, against NATS and PostgreSQL of your own:
  export NATTER_NATS__URL=nats://nats:4222
  export NATTER_STORAGE__URL=postgres://natter:secret@db/natter
  natter nats apply                     create the streams, once per release
  natter serve storage
  natter serve delivery presence
  natter serve connection --listen 0.0.0.0:8080 --admin-listen 0.0.0.0:9090

Look things up:
  natter config                         every key of the configuration
  natter help serve                     one command in full

Exit codes: 0 done, 1 failed, 64 wrong usage or configuration, 65 would lose data,
70 a part of Natter that must not end has ended.";

/// Natter: the delivery backbone of a chat messenger.
#[derive(Debug, Parser)]
#[command(name = "natter", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// TOML file with configuration.
    #[arg(long, global = true, env = "NATTER_CONFIG", value_name = "FILE", help_heading = "Configuration")]
    config: Option<PathBuf>,
    /// Folder for everything kept on this machine (default: .natter).
    #[arg(long, global = true, value_name = "DIR", help_heading = "Configuration")]
    data_dir: Option<String>,
    /// Sets any key; may be repeated.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", help_heading = "Configuration")]
    set: Vec<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run all services, or the named ones.
    Serve(ServeArgs),
    /// Chat in the terminal.
    Chat(crate::chat::Args),
    /// Replay a channel log through gateways, and check what everybody received.
    Replay(crate::replay::ReplayArgs),
    /// Measure the whole path with a pair of users, all the time or once.
    Canary(crate::canary::Args),
    /// Look at everything that Natter needs, and say what to do next.
    Doctor(crate::doctor::Args),
    /// Ask the process that runs here whether it is ready, as a health check does.
    Ready(crate::ready::Args),
    /// Print a token to connect with, for development.
    Token(TokenArgs),
    /// Look after what Natter keeps in NATS.
    Nats(NatsArgs),
    /// Copy the archive and the log into a folder.
    Backup(BackupArgs),
    /// Put a backup back; make a log and an archive from different moments one whole again.
    Restore(RestoreArgs),
    /// Print every key of the configuration, with its default and meaning.
    Config(ConfigArgs),
    /// Print every metric, with its labels and meaning, as in docs/operate/metrics.md.
    Metrics,
}

/// A service that can run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum ServiceName {
    /// The gateway that clients connect to.
    Connection,
    /// Who is online.
    Presence,
    /// Fan-out of live events.
    Delivery,
    /// The archive.
    Storage,
}

impl ServiceName {
    /// All, as one `natter serve` runs them.
    pub const ALL: [Self; 4] = [Self::Connection, Self::Presence, Self::Delivery, Self::Storage];

    /// The name in logs, metrics and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Presence => "presence",
            Self::Delivery => "delivery",
            Self::Storage => "storage",
        }
    }
}

/// Runs all services in this process, or the named ones.
///
/// Without an external NATS it starts a nats-server of its own, on this machine only, and keeps
/// everything in the data directory; without a database it keeps the archive there too, in
/// SQLite. Named services need an external NATS.
///
/// Standard output tells what listens where, one per line, then `ready`. Logs go to standard
/// error. SIGINT or SIGTERM: clients are told when to come back, then everything stops; a second
/// one ends the process at once.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  natter serve
  natter serve --listen 0.0.0.0:8080 --set connection.limits.message_bytes_max=4096
  natter serve connection --nats-url nats://nats:4222 --admin-listen 0.0.0.0:9090"
)]
pub struct ServeArgs {
    /// Services to run; all when none is named.
    #[arg(value_enum)]
    pub services: Vec<ServiceName>,
    /// NATS servers, separated by commas (nats.url).
    #[arg(long, value_name = "URL")]
    nats_url: Option<String>,
    /// PostgreSQL or SQLite (storage.url); other users see it in the list of processes, so better
    /// set NATTER_STORAGE__URL.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Where clients connect to (connection.listen); port 0 takes any free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Health and metrics (admin.listen).
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<String>,
}

/// Prints a token to connect with, signed with `auth.hs256_secret` or the secret that
/// `natter serve` keeps in the data directory. For development: in production your own issuer
/// makes tokens.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  natter token --as alice
  curl -H \"Authorization: Bearer $(natter token --as alice)\" http://127.0.0.1:8080/v1/conversations")]
pub struct TokenArgs {
    /// Whom the token names.
    #[arg(long = "as", value_name = "USER", value_parser = user)]
    pub user: UserId,
    /// How long it is valid, such as 90s, 30m or 12h.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
}

/// Looks after what Natter keeps in NATS.
#[derive(Debug, Args)]
pub struct NatsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: NatsCommand,
}

/// What to do with NATS.
#[derive(Debug, Subcommand)]
pub enum NatsCommand {
    /// Create or update streams, consumers and buckets; repeating it changes nothing.
    #[command(after_long_help = "\
Examples:
  natter nats apply --set nats.url=nats://nats:4222 --set nats.replicas=3
  natter nats apply --check     only say what differs; exit code 1 when something does

A change that would lose stored messages is refused with exit code 65.")]
    Apply {
        /// Change nothing; exit code 1 when something differs.
        #[arg(long)]
        check: bool,
        /// How long servers may take until they have a leader.
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
        wait: Duration,
    },
    /// Make a user of NATS for each service, with no more rights than it needs.
    #[command(after_long_help = "\
Examples:
  natter nats users --out nats-users
  natter nats users --out nats-users --set nats.partitions=8

Writes one key per user, for `nats.nkey_file`, and `accounts.conf` with `users.conf`, for the servers
to include. Keys that are there stay. The number of partitions must be the one that services run with.")]
    Users {
        /// Folder to write to; it is made when it is missing.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Make a key for leaf nodes too, which may do everything in Natter's account.
        #[arg(long)]
        leaf: bool,
    },
}

/// Copies the archive and the log into a folder, while services go on.
///
/// SQLite is copied by itself, PostgreSQL by pg_dump. Leases and tickets are left out: they are
/// learnt again. A copy that was broken off is no backup, and `natter restore` says so.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  natter backup /backups/monday
  natter backup --postgres-bin /usr/lib/postgresql/16/bin /backups/monday"
)]
pub struct BackupArgs {
    /// Where to copy to; a folder that does not exist, or an empty one.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Folder of PostgreSQL's programs; otherwise they are looked for in PATH.
    #[arg(long, value_name = "DIR", env = "NATTER_POSTGRES_BIN")]
    pub postgres_bin: Option<PathBuf>,
}

/// Makes a log and an archive from different moments one whole again.
///
/// To be run after NATS or the database was put back from a backup, or was lost, and before any
/// service runs again. It creates streams that are missing, archives what only the log holds, and
/// makes every partition's log go on at a number that was never given before: devices with
/// positions from what is lost are then told so. It may be interrupted and run again.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  natter restore --check     only say what was found and would be done
  natter restore
  natter restore --from /backups/monday     put everything back first, where nothing is

It refuses to work while services run, and when log and archive contradict each other
(exit code 65). Nothing that exists is overwritten by a backup."
)]
pub struct RestoreArgs {
    /// Change nothing, only say what would be done.
    #[arg(long)]
    pub check: bool,
    /// First put back what `natter backup` copied into this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    pub from: Option<PathBuf>,
    /// Folder of PostgreSQL's programs; otherwise they are looked for in PATH.
    #[arg(long, value_name = "DIR", env = "NATTER_POSTGRES_BIN")]
    pub postgres_bin: Option<PathBuf>,
}

/// How to print the configuration's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For a terminal.
    Text,
    /// As in docs/configuration.md.
    Markdown,
    /// The JSON Schema of the file.
    Json,
}

/// Prints every key of the configuration, with type, default and meaning.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// In which form.
    #[arg(long, value_enum, default_value_t = TableFormat::Text)]
    pub format: TableFormat,
}

/// Reads a user id.
pub fn user(text: &str) -> Result<UserId, natter_ids::InvalidUserId> {
    UserId::new(text)
}

impl Cli {
    /// What the flags say about the configuration.
    ///
    /// # Errors
    /// [`ConfigError`], when `--set` has no `=`.
    pub fn overrides(&self) -> Result<Overrides, ConfigError> {
        let mut values = Vec::new();
        for setting in &self.common.set {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(ConfigError::key(setting, "`--set` takes section.key=VALUE"));
            };
            values.push((key.trim().to_owned(), value.to_owned()));
        }
        let mut flag = |key: &str, value: &Option<String>| {
            values.extend(value.iter().map(|value| (key.to_owned(), value.clone())));
        };
        flag("data_dir", &self.common.data_dir);
        if let Command::Serve(args) = &self.command {
            flag("nats.url", &args.nats_url);
            flag("storage.url", &args.database_url);
            flag("connection.listen", &args.listen);
            flag("admin.listen", &args.admin_listen);
        }
        Ok(Overrides { file: self.common.config.clone(), values })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
