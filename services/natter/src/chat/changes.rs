//! Changes of messages: how they are typed, and which message is meant.

use std::collections::{HashMap, VecDeque};

use natter_client::{Client, RequestError};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, Event, HistoryPage, MessageState};

use super::{
    saying::mentioned,
    style::{Style, clean},
};

/// Most messages that are remembered.
const KEPT: usize = 200;
/// How many `/last` lists.
const LISTED: usize = 10;

/// What is done to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// To a user, in the direct conversation with them; perhaps without telling whose it is.
    Forward(UserId, bool),
    Edit(String),
    Delete,
    React(String),
    Unreact(String),
    Pin,
    Unpin,
}

/// Reads which message is meant, as `#7`, or none for the last one; and what follows.
///
/// # Errors
/// The sentence to show, when it is not understood.
pub fn numbered(argument: &str) -> Result<(Option<Seq>, &str), String> {
    let Some(numbered) = argument.trim().strip_prefix('#') else { return Ok((None, argument.trim())) };
    let (number, rest) = numbered.split_once(char::is_whitespace).unwrap_or((numbered, ""));
    match number.parse() {
        Ok(number) => Ok((Some(number), rest.trim())),
        Err(_) => Err(format!("#{number} is no message; /last lists some")),
    }
}

impl Deed {
    /// Reads what follows a command's name: a message, and what is to be done with it.
    ///
    /// # Errors
    /// The sentence to show, when it is not understood.
    pub fn parse(name: &str, argument: &str) -> Option<Result<(Option<Seq>, Self), String>> {
        let (number, rest) = match numbered(argument) {
            Ok(read) => read,
            Err(sentence) => return Some(Err(sentence)),
        };
        let deed = match name {
            "forward" | "relay" => match UserId::new(rest) {
                Ok(user) => Self::Forward(user, name == "relay"),
                Err(_) => return Some(Err(format!("/{name} needs the name of a user"))),
            },
            "edit" if rest.is_empty() => return Some(Err("/edit needs the new text".to_owned())),
            "edit" => Self::Edit(rest.to_owned()),
            "delete" => Self::Delete,
            "react" | "unreact" if rest.is_empty() => return Some(Err(format!("/{name} needs an emoji"))),
            "react" => Self::React(rest.to_owned()),
            "unreact" => Self::Unreact(rest.to_owned()),
            "pin" => Self::Pin,
            "unpin" => Self::Unpin,
            _ => return None,
        };
        Some(Ok((number, deed)))
    }

    /// Whether it can only be done to a message of one's own, mostly.
    pub fn is_for_own(&self) -> bool {
        matches!(self, Self::Edit(_) | Self::Delete)
    }

    /// Asks the gateway for it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn ask(&self, client: &Client, of: &ConversationId, target: Seq) -> Result<(), RequestError> {
        match self {
            Self::Forward(user, hide_sender) => {
                let to = client.open_direct(user).await?.conversation;
                client.forward((of, target), &to, *hide_sender).await?.seq
            }
            Self::Edit(text) => {
                let mentions = mentioned(client, of, text).await;
                client.edit_mentioning(of, target, text, &mentions).await?
            }
            Self::Delete => client.delete(of, target).await?,
            Self::React(emoji) => client.react(of, target, emoji, true).await?,
            Self::Unreact(emoji) => client.react(of, target, emoji, false).await?,
            Self::Pin => client.pin(of, target).await?,
            Self::Unpin => client.unpin(of, target).await?,
        };
        Ok(())
    }
}

/// The newest messages on the screen, until they disappear.
#[derive(Debug, Default)]
pub struct Recent {
    messages: VecDeque<Kept>,
    /// When messages disappear that are not noted yet, as history tells.
    expected: HashMap<Seq, u64>,
    /// How long messages stay that are said now, in milliseconds; 0: for ever.
    timer: u64,
}

#[derive(Debug)]
struct Kept {
    seq: Seq,
    sender: UserId,
    text: String,
    expires_at: Option<u64>,
}

impl Recent {
    /// Takes in what became of messages that are noted next.
    pub fn expect(&mut self, states: &[MessageState]) {
        let expiring = states.iter().filter_map(|state| Some((state.seq, state.expires_at?)));
        self.expected.extend(expiring);
    }

    /// Takes an event in, in order.
    pub fn note(&mut self, event: &Event) {
        let Event { seq, entry, .. } = event;
        match &entry.change {
            Change::Message { text, .. } => {
                if self.messages.len() == KEPT {
                    self.messages.pop_front();
                }
                if let Some(expires_at) = self.expected.remove(seq) {
                    // The timer may have been set before anything on the screen.
                    self.timer = expires_at.saturating_sub(entry.time);
                }
                let expires_at = (self.timer > 0).then(|| entry.time.saturating_add(self.timer));
                let (sender, text) = (entry.sender.clone(), text.clone());
                self.messages.push_back(Kept { seq: *seq, sender, text, expires_at });
            }
            Change::Edited { target, text, .. } => {
                if let Some(message) = self.messages.iter_mut().find(|message| message.seq == *target) {
                    message.text.clone_from(text);
                }
            }
            Change::Deleted { target } => self.messages.retain(|message| message.seq != *target),
            Change::TimerSet { seconds } => self.timer = u64::from(*seconds) * 1_000,
            _ => {}
        }
    }

    /// Forgets what has disappeared by now.
    pub fn forget_expired(&mut self, now_ms: u64) {
        self.messages.retain(|message| message.expires_at.is_none_or(|at| at > now_ms));
    }

    /// The last message, of a user's own or of anybody.
    pub fn last(&self, of: Option<&UserId>) -> Option<Seq> {
        let last = self.messages.iter().rev().find(|message| of.is_none_or(|of| *of == message.sender));
        last.map(|message| message.seq)
    }

    /// The text of a message, when it is known.
    pub fn text(&self, seq: Seq) -> Option<&str> {
        self.messages.iter().find(|message| message.seq == seq).map(|message| message.text.as_str())
    }

    /// The last messages with their numbers.
    pub fn lines(&self, style: &Style) -> Vec<String> {
        let first = self.messages.len().saturating_sub(LISTED);
        let line = |Kept { seq, sender, text, .. }: &Kept| {
            let text = clean(text).replace('\n', " ");
            format!("  #{seq} {}: {text}", style.name(sender))
        };
        self.messages.iter().skip(first).map(line).collect()
    }
}

/// The events of a page; messages tell in their text what became of them.
pub fn told_in_full(mut page: HistoryPage) -> HistoryPage {
    for state in &page.states {
        if let Some(event) = page.events.iter_mut().find(|event| event.seq == state.seq)
            && let Change::Message { text, .. } = &mut event.entry.change
        {
            text.push_str(&told(state));
        }
    }
    page
}

fn told(state: &MessageState) -> String {
    let edited = state.edited_at.map(|_| " (edited)".to_owned());
    let pinned = state.pinned.then(|| " (pinned)".to_owned());
    let reactions = state.reactions.iter().map(|view| format!(" [{} {}]", view.emoji, view.count));
    edited.into_iter().chain(pinned).chain(reactions).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::tz::TimeZone;
    use natter_protocol::{Entry, ReactionView};

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn event(seq: Seq, sender: &str, change: Change) -> Event {
        let entry = Entry { sender: user(sender), client_id: None, time: 0, change };
        Event { conversation: ConversationId::direct(&user("alice"), &user("bob")), seq, prev: 0, entry }
    }

    fn said(seq: Seq, sender: &str, text: &str) -> Event {
        event(seq, sender, Change::message(text))
    }

    #[test]
    fn deeds_are_understood() {
        let good = |name, argument| Deed::parse(name, argument).unwrap().unwrap();
        assert_eq!(good("edit", " two words "), (None, Deed::Edit("two words".into())));
        assert_eq!(good("edit", "#7 two words"), (Some(7), Deed::Edit("two words".into())));
        assert_eq!(good("delete", ""), (None, Deed::Delete));
        assert_eq!(good("react", "#12 👍"), (Some(12), Deed::React("👍".into())));
        assert_eq!(good("forward", "carol"), (None, Deed::Forward(user("carol"), false)));
        assert_eq!(good("relay", "#7 carol"), (Some(7), Deed::Forward(user("carol"), true)));
        assert_eq!(good("unpin", "#1"), (Some(1), Deed::Unpin));
        for (name, argument) in [("edit", ""), ("edit", "#7"), ("forward", "#7"), ("react", "#7 "), ("pin", "#x")] {
            assert!(Deed::parse(name, argument).unwrap().is_err(), "/{name} {argument}");
        }
        assert_eq!(Deed::parse("dance", ""), None);
    }

    #[test]
    fn the_last_message_is_known() {
        let mut recent = Recent::default();
        assert_eq!(recent.last(None), None);
        for event in [said(3, "alice", "one"), said(5, "bob", "two"), said(7, "bob", "three")] {
            recent.note(&event);
        }
        assert_eq!((recent.last(None), recent.last(Some(&user("alice")))), (Some(7), Some(3)));
        recent.note(&event(8, "bob", Change::Edited { target: 5, text: "2\n".into(), mentions: Vec::new() }));
        recent.note(&event(9, "bob", Change::Deleted { target: 7 }));
        assert_eq!(recent.last(None), Some(5));
        let style = Style { colour: false, me: user("alice"), zone: TimeZone::UTC };
        assert_eq!(recent.lines(&style), ["  #3 you: one", "  #5 bob: 2 "]);
    }

    #[test]
    fn what_has_disappeared_is_not_repeated() {
        let style = Style { colour: false, me: user("alice"), zone: TimeZone::UTC };
        let (mut recent, told) = (Recent::default(), |recent: &Recent| recent.lines(&style).join("|"));
        // History tells of the first two; the timer was set before them.
        let stays = |seq, expires_at| MessageState { seq, expires_at: Some(expires_at), ..MessageState::default() };
        recent.expect(&[stays(3, 5_000), stays(4, 5_000)]);
        recent.note(&said(3, "bob", "one"));
        recent.note(&said(4, "bob", "two"));
        recent.note(&said(5, "bob", "three"));
        recent.note(&event(6, "bob", Change::TimerSet { seconds: 60 }));
        recent.note(&said(7, "bob", "four"));
        recent.note(&event(8, "bob", Change::TimerSet { seconds: 0 }));
        recent.note(&said(9, "bob", "five"));
        recent.forget_expired(4_999);
        assert_eq!(recent.messages.len(), 5);
        recent.forget_expired(5_000);
        assert_eq!(told(&recent), "  #7 bob: four|  #9 bob: five");
        assert_eq!((recent.text(5), recent.text(7)), (None, Some("four")));
        recent.forget_expired(u64::MAX);
        assert_eq!(told(&recent), "  #9 bob: five");
    }

    #[test]
    fn what_became_of_a_message_is_told() {
        let reactions = vec![ReactionView { emoji: "👍".into(), count: 2, mine: true }];
        let states = vec![MessageState { seq: 5, edited_at: Some(1), expires_at: None, reactions, pinned: true }];
        let page = HistoryPage { events: vec![said(3, "a", "one"), said(5, "a", "two")], states, more: false };
        let texts: Vec<_> = told_in_full(page).events.into_iter().map(|event| event.entry.change).collect();
        let text = |text: &str| Change::message(text);
        assert_eq!(texts, [text("one"), text("two (edited) (pinned) [👍 2]")]);
    }
}
