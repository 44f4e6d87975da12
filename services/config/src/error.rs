//! What is wrong with the configuration, in one sentence that names the key.

use std::{fmt, path::Path};

use figment::error::{Actual, Kind};

/// Keys whose values are never shown: they are, or may hold, passwords.
const HIDDEN: [&str; 3] = ["auth.hs256_secret", "nats.url", "storage.url"];

/// The configuration cannot work. One sentence that begins with the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// One line, whatever a key or a value holds: it goes to a terminal or a log.
    fn sentence(text: &str) -> Self {
        let visible =
            |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.into() };
        Self(text.chars().map(visible).collect())
    }

    /// A key whose value cannot work.
    pub fn key(key: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::sentence(&format!("{key}: {reason}"))
    }

    /// A value that came from somewhere in particular.
    pub(crate) fn from_source(key: &str, reason: &str, source: &str) -> Self {
        Self::sentence(&format!("{key}: {reason} (from {source})"))
    }

    pub(crate) fn file(path: &Path, source: &std::io::Error) -> Self {
        Self::sentence(&format!("--config {}: cannot be read: {source}", path.display()))
    }

    pub(crate) fn unknown(key: &str, source: &str) -> Self {
        Self::from_source(key, "there is no such key; `natter config` lists all", source)
    }

    /// Puts the first of the library's errors into a sentence.
    pub(crate) fn of_figment(error: figment::Error, file: Option<&Path>) -> Self {
        let source = match (&error.metadata, file) {
            (Some(metadata), Some(path)) if metadata.name.contains("TOML") => path.display().to_string(),
            (Some(metadata), _) => metadata.name.to_string(),
            // Only the file can be unreadable as a whole.
            (None, Some(path)) => path.display().to_string(),
            (None, None) => "the defaults".to_owned(),
        };
        let mut path = error.path.clone();
        if let Kind::UnknownField(field, _) = &error.kind {
            if path.last() != Some(field) {
                path.push(field.clone());
            }
            return Self::unknown(&path.join("."), &source);
        }
        let key = path.join(".");
        if key.is_empty() {
            let said = error.kind.to_string();
            let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            return Self::sentence(&format!("{source}: {}", lines.join(" ")));
        }
        Self::from_source(&key, &reason(&error.kind, HIDDEN.contains(&key.as_str())), &source)
    }
}

fn reason(kind: &Kind, hidden: bool) -> String {
    match kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if hidden => {
            format!("must be {}", wanted(expected))
        }
        _ if hidden => "has a value of the wrong form".to_owned(),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("must be {}, not {}", wanted(expected), shown(actual))
        }
        Kind::UnknownVariant(found, known) => {
            let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("must be {}, not `{found}`", known.join(" or "))
        }
        Kind::ISizeOutOfRange(found) => format!("{found} is out of range"),
        Kind::USizeOutOfRange(found) => format!("{found} is out of range"),
        Kind::Message(text) => text.clone(),
        other => other.to_string(),
    }
}

fn wanted(expected: &str) -> String {
    match expected {
        "a string" | "a path string" => "text".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "a sequence" => "a list".to_owned(),
        other => other.to_owned(),
    }
}

fn shown(actual: &Actual) -> String {
    match actual {
        Actual::Str(text) => format!("`{text}`"),
        Actual::Unsigned(number) => format!("`{number}`"),
        Actual::Signed(number) => format!("`{number}`"),
        Actual::Float(number) => format!("`{number}`"),
        Actual::Bool(value) => format!("`{value}`"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}
