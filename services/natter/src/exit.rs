//! Exit codes, after sysexits.h where it has one.

use std::process::ExitCode;

use natter_bus::definitions::ApplyError;
use natter_config::ConfigError;
use natter_storage::RestoreError;

use crate::{
    output,
    recovery::{Occupied, Running},
};

/// Wrong usage or configuration: nothing was done.
pub const USAGE: u8 = 64;
/// Doing it would lose data: nothing was done.
pub const DATA: u8 = 65;
/// A part that must not end has ended.
pub const VITAL: u8 = 70;

/// Says what is wrong with the command line, or prints the help that was asked for.
pub fn of_usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is the reader's wish.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Says what went wrong, in one line, and which code goes with it.
pub fn of_error(error: &anyhow::Error) -> ExitCode {
    if error.is::<ConfigError>() {
        output::complain(&format!("{error:#}"));
        return ExitCode::from(USAGE);
    }
    output::complain(&format!("natter: {error:#}"));
    let destructive = error.chain().any(|cause| {
        cause.downcast_ref::<ApplyError>().is_some_and(|error| matches!(error, ApplyError::Destructive { .. }))
            || cause.downcast_ref::<RestoreError>().is_some_and(|error| matches!(error, RestoreError::Divergent { .. }))
            || cause.is::<Running>()
            || cause.is::<Occupied>()
    });
    ExitCode::from(if destructive { DATA } else { 1 })
}
