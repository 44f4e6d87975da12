//! How events look in a terminal.

use std::{fmt::Write, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use natter_ids::{Seq, UserId};
use natter_protocol::{Change, Event};

/// Readable on dark and light backgrounds; red and yellow are left for notices.
const COLOURS: [u8; 8] = [32, 34, 35, 36, 92, 94, 95, 96];

/// How much of a message is quoted, in characters.
const QUOTED: usize = 30;

/// Turns things into lines, with colour or without.
#[derive(Debug, Clone)]
pub struct Style {
    pub colour: bool,
    pub me: UserId,
    pub zone: TimeZone,
}

/// How far a message of one's own has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Not known to be stored.
    Sending,
    /// In the log, for everybody, in this place.
    Stored,
}

impl Style {
    /// An event as one line or several, without the conversation's name; `None`: nothing that people are told.
    pub fn event(&self, event: &Event) -> Option<String> {
        self.event_about(event, None)
    }

    /// Like [`Style::event`], of something that was done to a message that begins so.
    pub fn event_about(&self, event: &Event, quote: Option<&str>) -> Option<String> {
        let (sender, time) = (&event.entry.sender, event.entry.time);
        if let Change::Message { text, reply_to, forwarded, .. } = &event.entry.change {
            let answers = reply_to.map(answers).unwrap_or_default();
            let from = forwarded.as_ref().map(|from| match &from.sender {
                Some(user) => format!("(forwarded from {}) ", self.name(user)),
                None => "(forwarded) ".to_owned(),
            });
            let text = &format!("{answers}{}{text}", from.unwrap_or_default());
            let mark = (*sender == self.me).then_some(Mark::Stored);
            return Some(self.message(time, sender, text, mark));
        }
        let what = self.deed(sender, &event.entry.change, quote)?;
        Some(format!("{} {}", self.dim(&self.time(time)), self.dim(&format!("· {what}"))))
    }

    fn deed(&self, sender: &UserId, change: &Change, quote: Option<&str>) -> Option<String> {
        let who = self.name(sender);
        let message = quote.map_or_else(|| "a message".to_owned(), |text| format!("“{}”", beginning(text)));
        Some(match change {
            Change::DirectOpened { .. } => format!("{who} opened the conversation"),
            Change::GroupCreated { name, members } => {
                let others: Vec<_> = members.iter().filter(|member| *member != sender).map(|m| self.name(m)).collect();
                let with = if others.is_empty() { String::new() } else { format!(" with {}", others.join(", ")) };
                format!("{who} created the group {}{with}", clean(name))
            }
            Change::MemberAdded { user } => format!("{who} added {}", self.name(user)),
            Change::MemberRemoved { user } => format!("{who} removed {}", self.name(user)),
            Change::MemberLeft {} => format!("{who} left"),
            Change::Edited { text, .. } => format!("{who} edited {message}: {}", clean(text)),
            Change::Deleted { .. } => format!("{who} deleted {message}"),
            Change::Reacted { emoji, on: true, .. } => format!("{who} reacted with {} to {message}", clean(emoji)),
            Change::Reacted { emoji, .. } => format!("{who} took {} back from {message}", clean(emoji)),
            Change::Pinned { .. } => format!("{who} pinned {message}"),
            Change::Unpinned { .. } => format!("{who} unpinned {message}"),
            Change::TimerSet { seconds: 0 } => format!("{who} let messages stay"),
            Change::TimerSet { seconds } => {
                let time = humantime::format_duration(Duration::from_secs(u64::from(*seconds)));
                format!("{who} let messages disappear after {time}")
            }
            Change::Erased { was } if was == "message" => format!("a message of {who} was deleted"),
            other => return super::groups::told(self, sender, other),
        })
    }

    /// A message: time, sender, text, and for one's own how far it has come.
    pub fn message(&self, time: u64, sender: &UserId, text: &str, mark: Option<Mark>) -> String {
        let mark = match mark {
            Some(Mark::Stored) => self.paint("32", "✓ "),
            Some(Mark::Sending) => self.dim("… "),
            None => String::new(),
        };
        let text = clean(text).replace('\n', "\n        ");
        format!("{} {mark}{} {text}", self.dim(&self.time(time)), self.bold(sender, ":"))
    }

    /// A line that separates.
    pub fn rule(&self, text: &str) -> String {
        self.dim(&format!("── {text} ──"))
    }

    /// Something to know that nobody said.
    pub fn notice(&self, text: &str) -> String {
        self.paint("33", &format!("* {text}"))
    }

    /// Something that did not work.
    pub fn failure(&self, text: &str) -> String {
        self.paint("31", &format!("! {text}"))
    }

    /// The day of a time, such as `Tuesday 24 November`.
    pub fn day(&self, time_ms: u64) -> String {
        self.at(time_ms, "%A %-d %B")
    }

    /// A moment, such as `Tuesday 24 November, 10:42`.
    pub fn day_and_time(&self, time_ms: u64) -> String {
        self.at(time_ms, "%A %-d %B, %H:%M")
    }

    /// A user's name without what could steer the terminal.
    pub fn name(&self, user: &UserId) -> String {
        if *user == self.me { "you".to_owned() } else { clean(user.as_str()) }
    }

    /// The prompt, plain and in colour.
    pub fn prompt(&self, label: Option<&str>) -> (String, String) {
        let me = clean(self.me.as_str());
        let plain = label.map_or_else(|| format!("{me} > "), |label| format!("{me} {label} > "));
        let coloured = self.dim(&plain);
        (plain, coloured)
    }

    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn bold(&self, user: &UserId, after: &str) -> String {
        let hash = user.as_str().bytes().fold(7_usize, |hash, byte| hash.wrapping_mul(31) ^ usize::from(byte));
        let colour = COLOURS[hash % COLOURS.len()];
        format!("{}{after}", self.paint(&format!("1;{colour}"), &clean(user.as_str())))
    }

    fn time(&self, time_ms: u64) -> String {
        self.at(time_ms, "%H:%M")
    }

    fn at(&self, time_ms: u64, format: &str) -> String {
        let time = i64::try_from(time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
        time.to_zoned(self.zone.clone()).strftime(format).to_string()
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The time now, in milliseconds since 1970 UTC.
pub fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

/// What a message begins with that answers another.
pub fn answers(target: Seq) -> String {
    format!("(to #{target}) ")
}

/// The beginning of a text, on one line.
fn beginning(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let short: String = first.chars().take(QUOTED).collect();
    let more = if short.len() < text.trim_end().len() { "…" } else { "" };
    format!("{}{more}", clean(&short))
}

/// Texts of others must not steer the terminal: control characters, escape sequences and marks
/// that turn the direction of writing become visible.
pub fn clean(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "{}", c.escape_default());
            }
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_ids::ConversationId;
    use natter_protocol::Entry;

    use super::*;

    fn style() -> Style {
        Style { colour: false, me: UserId::new("alice").unwrap(), zone: TimeZone::UTC }
    }

    fn event(sender: &str, change: Change) -> Event {
        let user = |text| UserId::new(text).unwrap();
        let entry = Entry { sender: user(sender), client_id: None, time: 1_700_000_000_000, change };
        Event { conversation: ConversationId::direct(&user("alice"), &user("bob")), seq: 3, prev: 2, entry }
    }

    #[test]
    fn messages_carry_time_sender_and_mark() {
        let said = |sender| style().event(&event(sender, Change::message("hi\nthere"))).unwrap();
        assert_eq!(said("bob"), "22:13 bob: hi\n        there");
        assert_eq!(said("alice"), "22:13 ✓ alice: hi\n        there");
    }

    #[test]
    fn changes_are_sentences() {
        let user = |text| UserId::new(text).unwrap();
        let shown = |change| style().event(&event("bob", change)).unwrap();
        assert_eq!(shown(Change::MemberAdded { user: user("alice") }), "22:13 · bob added you");
        assert_eq!(shown(Change::MemberLeft {}), "22:13 · bob left");
        let members = vec![user("bob"), user("alice"), user("carol")];
        assert_eq!(
            shown(Change::GroupCreated { name: "lunch".into(), members }),
            "22:13 · bob created the group lunch with you, carol"
        );
    }

    #[test]
    fn what_is_done_to_a_message_says_to_which() {
        let told = |change, quote| style().event_about(&event("bob", change), quote).unwrap();
        let reacted = || Change::Reacted { target: 2, emoji: "👍".into(), on: true };
        assert_eq!(told(reacted(), Some("well done")), "22:13 · bob reacted with 👍 to “well done”");
        assert_eq!(told(reacted(), None), "22:13 · bob reacted with 👍 to a message");
        let edited = Change::Edited { target: 2, text: "the".into(), mentions: Vec::new() };
        assert_eq!(told(edited, Some("teh\nend")), "22:13 · bob edited “teh…”: the");
        let long = "a text that is too long to be quoted";
        let deleted = told(Change::Deleted { target: 2 }, Some(long));
        assert_eq!(deleted, "22:13 · bob deleted “a text that is too long to be …”");
        assert_eq!(told(Change::Pinned { target: 2 }, Some("\x1b[2J")), "22:13 · bob pinned “\\u{1b}[2J”");
    }

    #[test]
    fn what_tells_people_nothing_is_not_shown() {
        let invite = natter_ids::InviteId::new("abc").unwrap();
        let used = Change::InviteUsed { invite, expires_at: None, uses_max: None, uses: 1 };
        let later: Change = serde_json::from_str(r#"{"kind":"applauded"}"#).unwrap();
        let patch = Change::GroupChanged { patch: natter_protocol::GroupPatch::default() };
        for change in [used, Change::Erased { was: "edited".into() }, later, patch] {
            assert_eq!(style().event(&event("bob", change.clone())), None, "{change:?}");
        }
        assert!(style().event(&event("bob", Change::Erased { was: "message".into() })).is_some());
    }

    #[test]
    fn nobody_steers_the_terminal_of_others() {
        assert_eq!(clean("a\x1b[2Jb\rc\u{202e}d\te\u{7}"), "a\\u{1b}[2Jb\\rc\u{fffd}d    e\\u{7}");
    }
}
