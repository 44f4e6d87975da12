//! The page `docs/benchmarks.md`.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use time::OffsetDateTime;

use super::process;

/// How every number is made; the table goes between the two parts.
const BEFORE: &str = include_str!("docs_before.md");
const AFTER: &str = include_str!("docs_after.md");

/// Where it ran, as a list.
///
/// # Errors
/// A binary cannot be asked for its version.
pub fn machine() -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let natter = version(process::natter_binary()?)?;
    let nats = version(natter_testkit::tools::nats_server())?;
    Ok(format!(
        "- {date}, {cores} cores ({model}), Linux {kernel}\n- {natter}, {nats}, async-nats {client}\n",
        date = OffsetDateTime::now_utc().date(),
        kernel = kernel.trim(),
        client = client_version().unwrap_or_default(),
    ))
}

/// The version of async-nats, as locked.
fn client_version() -> Option<String> {
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).ok()?;
    let (_, rest) = lock.split_once("name = \"async-nats\"\nversion = \"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).with_file_name("")
}

fn version(binary: PathBuf) -> Result<String> {
    let output = Command::new(&binary).arg("--version").output();
    let output = output.with_context(|| format!("{} cannot be started", binary.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().replace(": v", " "))
}

/// Writes the page.
///
/// # Errors
/// The file cannot be written.
pub fn write(command: &str, machine: &str, table: &str) -> Result<PathBuf> {
    let path = workspace().join("docs/benchmarks.md");
    let page = format!("{BEFORE}\n```sh\n{command}\n```\n\n{machine}\n{table}\n{AFTER}");
    fs::create_dir_all(path.with_file_name(""))?;
    fs::write(&path, page).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}
