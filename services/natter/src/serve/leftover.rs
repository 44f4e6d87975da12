//! The nats-server of a `natter serve` that was killed lives on; two servers on one store would
//! destroy it.

use anyhow::bail;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::embedded::{Files, STOP_TIMEOUT};

/// Stops the server that the last `natter serve` left behind, if it did. The caller holds the
/// data directory's lock, so that no other process owns the server.
///
/// # Errors
/// A sentence, when it does not stop.
pub(super) async fn stop(files: &Files) -> anyhow::Result<()> {
    let Ok(text) = std::fs::read_to_string(files.pid()) else { return Ok(()) };
    let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) else { return Ok(()) };
    if !is_ours(pid, files).await {
        return Ok(());
    }
    tracing::warn!(pid = pid.as_raw_nonzero(), "an earlier `natter serve` was killed; its nats-server is stopped");
    for signal in [Signal::TERM, Signal::KILL] {
        let _ = kill_process(pid, signal);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if !is_ours(pid, files).await {
                return Ok(());
            }
            sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    bail!("the nats-server of an earlier run, process {}, does not stop", pid.as_raw_nonzero())
}

/// Whether the process is a nats-server with our configuration file: the number may be another
/// process's by now.
async fn is_ours(pid: Pid, files: &Files) -> bool {
    let config = files.config().display().to_string();
    let number = pid.as_raw_nonzero().to_string();
    match std::fs::read(format!("/proc/{number}/cmdline")) {
        Ok(bytes) => bytes.split(|byte| *byte == 0).any(|argument| argument == config.as_bytes()),
        Err(_) if cfg!(target_os = "linux") => false,
        Err(_) => match Command::new("ps").args(["-o", "command=", "-p", &number]).output().await {
            Ok(output) => String::from_utf8_lossy(&output.stdout).contains(&config),
            Err(_) => false,
        },
    }
}
