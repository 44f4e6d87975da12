//! Who is writing in the open conversation: shown for as long as it is true.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use natter_ids::{ConversationId, UserId};

use super::{
    session::{Session, Step},
    style::Style,
};

/// Most people who are remembered to write.
const WRITING_MAX: usize = 32;
/// So many are named.
const NAMED: usize = 3;

/// Who writes, and until when that is believed.
#[derive(Debug, Default)]
pub struct Writing {
    until: BTreeMap<UserId, Instant>,
    /// What the screen says of it.
    shown: Option<String>,
}

/// What to do with the screen.
#[derive(Debug, PartialEq, Eq)]
pub enum Status {
    /// It is right.
    Stays,
    Says(String),
    /// Nobody writes any more.
    Ends,
}

impl Writing {
    /// Somebody writes for so long, unless it is said again; zero: they have stopped.
    fn tell(&mut self, user: &UserId, expires_in: Duration, now: Instant) {
        if expires_in.is_zero() {
            self.until.remove(user);
        } else if self.until.len() < WRITING_MAX || self.until.contains_key(user) {
            self.until.insert(user.clone(), now + expires_in);
        }
    }

    /// What somebody was writing has come.
    pub fn said(&mut self, user: &UserId) {
        self.until.remove(user);
    }

    /// Something else stands where it stood.
    pub fn is_covered(&mut self) -> bool {
        self.shown.take().is_some()
    }

    /// Nobody writes any more, and what they said tells so.
    fn is_over(&mut self) -> bool {
        self.until.is_empty() && self.shown.take().is_some()
    }

    fn due(&mut self, style: &Style, now: Instant) -> Status {
        self.until.retain(|_, until| *until > now);
        let names: Vec<_> = self.until.keys().take(NAMED).map(|user| style.name(user)).collect();
        let says = match (names.len(), self.until.len()) {
            (0, _) => None,
            (_, more) if more > NAMED => Some(format!("{more} people are writing")),
            (1, _) => Some(format!("{} is writing", names.join(""))),
            _ => Some(format!("{} are writing", names.join(", "))),
        };
        let before = std::mem::replace(&mut self.shown, says.clone());
        match says {
            says if says == before => Status::Stays,
            Some(says) => Status::Says(says),
            None => Status::Ends,
        }
    }
}

impl Session {
    /// Tells the others of the open conversation that the user writes, or has stopped.
    ///
    /// # Errors
    /// None; the type is that of the other steps.
    pub fn writes(&self, writes: bool) -> anyhow::Result<Step> {
        if let Some(transcript) = &self.transcript {
            self.client.typing(&transcript.conversation, !writes);
        }
        Ok(Step::GoOn)
    }

    /// Notes that somebody writes in the open conversation, or has stopped.
    pub(super) fn somebody_writes(&mut self, conversation: &ConversationId, user: &UserId, expires_in: Duration) {
        if self.transcript.as_ref().is_some_and(|transcript| transcript.conversation == *conversation) {
            self.writing.tell(user, expires_in, Instant::now());
        }
    }

    /// Notes that somebody has said what they wrote. A pipe keeps its lines, and the message tells enough.
    pub(super) fn somebody_said(&mut self, user: &UserId) {
        self.writing.said(user);
        if !self.input.is_terminal() {
            self.writing.is_over();
        }
    }

    /// Brings the line about who writes up to date. It is the last one above the prompt; a pipe keeps what it was
    /// told, so it is told the end as well.
    pub(super) fn show_writing(&mut self) {
        let (terminal, stood) = (self.input.is_terminal(), self.writing.shown.is_some());
        match self.writing.due(&self.style, Instant::now()) {
            Status::Stays => {}
            Status::Says(says) => {
                let line = self.style.notice(&says);
                self.last_line = None;
                self.input.print(&if terminal && stood { format!("{LAST_LINE}{line}") } else { line });
            }
            // Printing ends the line: the one above it.
            Status::Ends if terminal => self.input.print(&format!("{LAST_LINE}\x1b[1A")),
            Status::Ends => self.notice("nobody is writing any more"),
        }
    }
}

/// Goes to the last line above the prompt, and wipes it.
pub const LAST_LINE: &str = "\x1b[1A\r\x1b[2K";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    const LONG: Duration = Duration::from_secs(6);

    #[test]
    fn it_is_shown_for_as_long_as_it_is_true() {
        let user = |name: &str| UserId::new(name).unwrap();
        let style = Style { colour: false, me: user("alice"), zone: TimeZone::UTC };
        let (mut writing, now) = (Writing::default(), Instant::now());
        let says = |text: &str| Status::Says(text.to_owned());
        assert_eq!(writing.due(&style, now), Status::Stays);
        writing.tell(&user("bob"), LONG, now);
        assert_eq!(writing.due(&style, now), says("bob is writing"));
        writing.tell(&user("bob"), LONG, now + LONG / 2);
        assert_eq!(writing.due(&style, now + LONG), Status::Stays, "said again");
        writing.tell(&user("carol"), LONG, now + LONG);
        assert_eq!(writing.due(&style, now + LONG), says("bob, carol are writing"));
        writing.tell(&user("bob"), Duration::ZERO, now + LONG);
        assert_eq!(writing.due(&style, now + LONG), says("carol is writing"), "bob has stopped");
        assert!(writing.is_covered());
        assert_eq!(writing.due(&style, now + LONG), says("carol is writing"), "below what came over it");
        assert_eq!(writing.due(&style, now + LONG * 2), Status::Ends, "nothing more was heard of it");
        assert_eq!(writing.due(&style, now + LONG * 2), Status::Stays);
        for name in ["bob", "carol", "dave", "eve"] {
            writing.tell(&user(name), LONG, now);
        }
        assert_eq!(writing.due(&style, now), says("4 people are writing"));
        ["bob", "carol", "dave", "eve"].iter().for_each(|name| writing.said(&user(name)));
        assert!(writing.is_over());
        assert_eq!(writing.due(&style, now), Status::Stays, "what they said tells enough");
    }
}
