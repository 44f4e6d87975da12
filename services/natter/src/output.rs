//! Writing to standard output and standard error.
//!
//! A reader that has gone away is no error of ours: what cannot be written is dropped.

use std::io::{IsTerminal, Write};

/// Writes one line to standard output, at once.
pub fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Writes one line to standard error.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether people read standard output and want colour (<https://no-color.org>).
pub fn in_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
