//! Processor time and memory of a process, from Linux's `/proc` (see `man 5 proc`).

use std::{fs, ops::Sub};

use anyhow::{Context, Result, ensure};

/// `/proc` counts processor time in hundredths of a second on every architecture that Rust's
/// Linux targets run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that a process has used so far, user and system, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Cpu(pub f64);

impl Sub for Cpu {
    type Output = f64;
    fn sub(self, earlier: Self) -> f64 {
        self.0 - earlier.0
    }
}

/// Processor time of a process and its threads.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn cpu(pid: u32) -> Result<Cpu> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read: the bench needs Linux"))?;
    parse_cpu(&stat).with_context(|| format!("{path} has an unknown form"))
}

fn parse_cpu(stat: &str) -> Option<Cpu> {
    // The second field is the name in brackets and may hold anything; utime and stime are the
    // 14th and 15th.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some(Cpu((ticks()? + ticks()?) / TICKS_PER_SECOND))
}

/// Memory that a process has resident, in bytes.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read: the bench needs Linux"))?;
    parse_resident(&status).with_context(|| format!("{path} has an unknown form"))
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Allows this process and those it starts to hold many sockets.
///
/// # Errors
/// The system's hard limit is lower than `files`.
pub fn allow_open_files(files: u64) -> Result<()> {
    let (_, hard) = rlimit::Resource::NOFILE.get().context("the limit of open files cannot be read")?;
    ensure!(hard >= files, "the bench needs {files} open files but the hard limit is {hard}: see `ulimit -Hn`");
    rlimit::Resource::NOFILE.set(hard, hard).context("the limit of open files cannot be raised")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_an_odd_name() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 3 0 100 1000 10 18446744073709551615";
        assert_eq!(parse_cpu(stat), Some(Cpu(4.0)));
        assert_eq!(parse_cpu("42 (a"), None);
        assert_eq!(parse_cpu(""), None);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(parse_resident("Name:\tx\nVmRSS:\t    2048 kB\nThreads: 1\n"), Some(2 * 1024 * 1024));
        assert_eq!(parse_resident("Name:\tx\n"), None);
    }
}
