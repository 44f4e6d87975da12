//! Who did what: one JSON line for each action of an operator, also when it failed.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Context;
use natter_config::Config;
use serde_json::{Map, Value, json};

use crate::{
    hidden::{Secrets, place},
    output,
};

/// Where lines go when the file is called `-`.
const STANDARD_ERROR: &str = "-";

/// Where lines of one process go, and what they have in common.
pub struct Audit {
    target: Option<Target>,
    secrets: Secrets,
    nats: Option<String>,
    storage: Option<String>,
}

enum Target {
    StandardError,
    File(File),
}

impl Audit {
    /// Opens `audit.file`: nothing is done that cannot be written down.
    ///
    /// # Errors
    /// A sentence with the path, when it cannot be written to.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let target = match &config.audit.file {
            None => None,
            Some(path) if path == Path::new(STANDARD_ERROR) => Some(Target::StandardError),
            Some(path) => {
                let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
                Some(Target::File(opened.with_context(|| {
                    format!("audit.file: {} cannot be written to, so nothing was done", path.display())
                })?))
            }
        };
        let shown = |url: &Option<String>| url.as_deref().map(place);
        Ok(Self {
            target,
            secrets: Secrets::of(config),
            nats: shown(&config.nats.url),
            storage: shown(&config.storage.url),
        })
    }

    /// Writes one line. `outcome` is what went wrong, if anything did.
    pub fn record(&self, action: &str, parameters: Value, outcome: Result<(), String>) {
        let line = self.line(action, parameters, outcome);
        match &self.target {
            // Where there is a log, it stands there.
            None => tracing::info!(target: "natter::audit", "{line}"),
            Some(Target::StandardError) => output::complain(&line),
            // One write, so that lines of several processes do not mix.
            Some(Target::File(file)) => {
                let mut file = file;
                let written = file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_data());
                if let Err(error) = written {
                    output::complain(&format!("natter: audit.file: a line could not be written: {error}: {line}"));
                }
            }
        }
    }

    /// The same, for what a command returned.
    pub fn record_result<T>(&self, action: &str, parameters: Value, result: &anyhow::Result<T>) {
        self.record(action, parameters, result.as_ref().map(drop).map_err(|error| format!("{error:#}")));
    }

    fn line(&self, action: &str, parameters: Value, outcome: Result<(), String>) -> String {
        let mut line = Map::new();
        let mut add = |key: &str, value: Option<Value>| drop(value.map(|value| line.insert(key.to_owned(), value)));
        add("time", Some(jiff::Timestamp::now().to_string().into()));
        add("action", Some(action.into()));
        add("who", Some(who()));
        add("nats", self.nats.clone().map(Value::from));
        add("storage", self.storage.clone().map(Value::from));
        add("parameters", Some(parameters));
        add("outcome", Some(if outcome.is_ok() { "done" } else { "failed" }.into()));
        add("error", outcome.err().map(Value::from));
        self.secrets.remove(&Value::Object(line).to_string())
    }
}

/// The user and the machine, and in Kubernetes the pod.
fn who() -> Value {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut who = json!({ "uid": rustix::process::getuid().as_raw(), "host": host });
    let user = variable("SUDO_USER").or_else(|| variable("USER"));
    for (key, value) in [("user", user), ("pod", variable("POD_NAME")), ("namespace", variable("POD_NAMESPACE"))] {
        if let Some(value) = value {
            who[key] = value.into();
        }
    }
    who
}
