//! Ends a server when the test process is gone.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::Context;

/// Reads lines until the pipe closes: `watch PID SIGNAL` names the process to end, `forget` says
/// that it was ended. The kernel closes the pipe when the test process is gone, killed or not;
/// then the server is ended and its folder removed. A process that nobody reaps stays visible, so
/// the wait for its end is bounded.
const SCRIPT: &str = r#"
    pid=
    while read -r word first second; do
        case $word in
        watch) pid=$first signal=$second ;;
        forget) pid= ;;
        esac
    done
    if [ -n "$pid" ]; then
        kill -s "$signal" "$pid"
        tries=0
        while kill -0 "$pid" && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    fi
    [ -z "$1" ] || rm -rf "$1"
"#;

/// A shell that holds the other end of a pipe of this process. It works wherever there is a
/// POSIX shell, and unlike a signal on the parent's death it does not depend on the thread that
/// started it.
pub struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Starts watching; `folder` is removed when the test process ends before this value.
    pub fn start(folder: Option<&Path>) -> anyhow::Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(folder.unwrap_or_else(|| Path::new("")))
            .current_dir("/")
            // Ctrl-C in the terminal goes to the group of the tests; the shell has to clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("`/bin/sh` watches over the servers of tests")?;
        Ok(Self { shell })
    }

    /// Ends the process with `signal` (as `kill -s` knows it) when the test process is gone.
    pub fn watch(&mut self, process: &Child, signal: &str) {
        self.tell(&format!("watch {} {signal}\n", process.id()));
    }

    /// The process has ended, and its number may soon belong to another one.
    pub fn forget(&mut self) {
        self.tell("forget\n");
    }

    fn tell(&mut self, line: &str) {
        if let Some(pipe) = &mut self.shell.stdin {
            // A shell that somebody killed watches no more; the test itself is not affected.
            let _ = pipe.write_all(line.as_bytes());
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
