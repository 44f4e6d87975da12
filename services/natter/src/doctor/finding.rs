//! What a check found.

use serde::Serialize;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It could not be looked at, because something else is in the way or it is not there.
    Skip,
    Ok,
    /// It works, and should be seen to.
    Warn,
    /// It does not work.
    Fail,
}

/// What a check found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub status: Status,
    pub said: String,
    pub next: Option<String>,
}

impl Finding {
    pub fn ok(said: impl Into<String>) -> Self {
        Self { status: Status::Ok, said: said.into(), next: None }
    }

    pub fn skip(said: impl Into<String>) -> Self {
        Self { status: Status::Skip, said: said.into(), next: None }
    }

    pub fn warn(said: impl Into<String>, next: impl Into<String>) -> Self {
        Self { status: Status::Warn, said: said.into(), next: Some(next.into()) }
    }

    pub fn fail(said: impl Into<String>, next: impl Into<String>) -> Self {
        Self { status: Status::Fail, said: said.into(), next: Some(next.into()) }
    }

    /// `self`, unless the list has entries.
    pub fn unless(self, faults: &[String], otherwise: impl Fn(String) -> Self) -> Self {
        if faults.is_empty() { self } else { otherwise(faults.join("; ")) }
    }
}
