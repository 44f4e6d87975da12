//! What of a conversation is on the screen: every entry once, in the log's order.

use std::collections::{HashMap, VecDeque};

use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, Event, HistoryPage};

use super::{
    changes::{Recent, told_in_full},
    style::Style,
};

/// Most missed entries of one conversation that are kept to be shown; older ones are in the history.
const MISSED_KEPT: usize = 200;

/// What a visit begins with: everything that came before the device was caught up.
#[derive(Debug, Default)]
pub struct Missed(HashMap<ConversationId, MissedHere>);

#[derive(Debug, Default)]
struct MissedHere {
    /// Messages of others.
    messages: usize,
    newest: VecDeque<Event>,
}

impl Missed {
    /// Notes an event that the device had missed.
    pub fn note(&mut self, event: Event, me: &UserId) {
        let here = self.0.entry(event.conversation.clone()).or_default();
        here.messages += usize::from(is_message_of_others(&event, me));
        if here.newest.len() == MISSED_KEPT {
            here.newest.pop_front();
        }
        here.newest.push_back(event);
    }

    /// How many messages of others were missed in each conversation but one.
    pub fn elsewhere(&self, here: Option<&ConversationId>) -> Vec<(&ConversationId, usize)> {
        let mut counts: Vec<_> = self.0.iter().map(|(conversation, missed)| (conversation, missed.messages)).collect();
        counts.retain(|(conversation, count)| Some(*conversation) != here && *count > 0);
        counts.sort();
        counts
    }

    /// Every missed event that was kept.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.0.values().flat_map(|here| &here.newest)
    }
}

fn is_message_of_others(event: &Event, me: &UserId) -> bool {
    matches!(event.entry.change, Change::Message { .. }) && event.entry.sender != *me
}

/// The open conversation on the screen.
#[derive(Debug)]
pub struct Transcript {
    pub conversation: ConversationId,
    style: Style,
    /// Smallest and largest number shown; equal and 0: none.
    oldest: Seq,
    newest: Seq,
    /// The largest number of a message of one's own.
    newest_own: Seq,
    day: String,
    pub recent: Recent,
}

impl Transcript {
    /// Opens a conversation: its latest history, and behind a line what was missed.
    pub fn enter(
        style: Style,
        conversation: ConversationId,
        history: HistoryPage,
        missed: &mut Missed,
    ) -> (Self, Vec<String>) {
        let (day, recent) = (String::new(), Recent::default());
        let mut transcript = Self { conversation, style, oldest: 0, newest: 0, newest_own: 0, day, recent };
        let here = missed.0.remove(&transcript.conversation).unwrap_or_default();
        let mut lines = Vec::new();
        let first_missed = here.newest.front().map(|event| event.seq);
        let mut events = transcript.expect(&history);
        let known: Vec<Seq> = history.events.iter().map(|event| event.seq).collect();
        let missed = here.newest.into_iter().filter(|event| !known.contains(&event.seq));
        events.extend(missed.map(|event| (event.clone(), event)));
        events.sort_by_key(|(event, _)| event.seq);
        let mut rule = first_missed.filter(|_| here.messages > 0);
        for (event, told) in &events {
            if rule.is_some_and(|first| event.seq >= first) {
                rule = None;
                let plural = if here.messages == 1 { "message" } else { "messages" };
                lines.push(transcript.style.rule(&format!("{} {plural} while you were away", here.messages)));
            }
            lines.extend(transcript.show(event, told).unwrap_or_default());
        }
        (transcript, lines)
    }

    /// A page of history that is shown next: its events, and how they are told.
    pub fn expect(&mut self, page: &HistoryPage) -> Vec<(Event, Event)> {
        self.recent.expect(&page.states);
        page.events.iter().cloned().zip(told_in_full(page.clone()).events).collect()
    }

    /// The lines of a new event, told with what became of it; nothing when it is on the screen already.
    pub fn show(&mut self, event: &Event, told: &Event) -> Option<Vec<String>> {
        if event.seq <= self.newest {
            return None;
        }
        self.newest = event.seq;
        let quote = event.entry.change.target().and_then(|target| self.recent.text(target));
        let line = self.style.event_about(told, quote);
        self.recent.note(event);
        if event.entry.sender == self.style.me && matches!(event.entry.change, Change::Message { .. }) {
            self.newest_own = event.seq;
        }
        if self.oldest == 0 {
            self.oldest = event.seq;
        }
        let Some(line) = line else { return Some(Vec::new()) };
        let day = self.style.day(event.entry.time);
        let mut lines = Vec::new();
        if day != self.day {
            lines.push(self.style.rule(&day));
            self.day = day;
        }
        lines.push(line);
        Some(lines)
    }

    /// The log was restored from a backup and ends with this page: what comes next may have smaller numbers than
    /// what is on the screen.
    pub fn ends_with(&mut self, page: &HistoryPage) {
        if let Some(last) = page.events.last() {
            self.newest = self.newest.min(last.seq);
        }
    }

    /// The largest number shown.
    pub fn newest(&self) -> Option<Seq> {
        (self.newest > 0).then_some(self.newest)
    }

    /// The largest number of a message of one's own; 0: none.
    pub fn newest_own(&self) -> Seq {
        self.newest_own
    }

    /// Before which number older history is asked for.
    pub fn oldest(&self) -> Option<Seq> {
        (self.oldest > 0).then_some(self.oldest)
    }

    /// The lines of older history, which come below what is on the screen.
    pub fn older(&mut self, page: HistoryPage) -> Vec<String> {
        let HistoryPage { events, more, .. } = told_in_full(page);
        let Some(first) = events.first() else { return vec![self.style.notice("there is nothing older")] };
        self.oldest = first.seq;
        let mut lines = vec![self.style.rule(&format!("earlier, {}", self.style.day(first.entry.time)))];
        lines.extend(events.iter().filter_map(|event| self.style.event(event)));
        lines.push(self.style.rule(if more { "end of earlier; /history shows more" } else { "end of earlier" }));
        lines
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::tz::TimeZone;
    use natter_protocol::Entry;

    use super::*;

    fn user(text: &str) -> UserId {
        UserId::new(text).unwrap()
    }

    fn conversation(peer: &str) -> ConversationId {
        ConversationId::direct(&user("alice"), &user(peer))
    }

    fn event(seq: Seq, sender: &str) -> Event {
        let change = Change::message(format!("text {seq}"));
        let entry = Entry { sender: user(sender), client_id: None, time: 1_700_000_000_000, change };
        Event { conversation: conversation("bob"), seq, prev: seq - 1, entry }
    }

    fn enter(history: Vec<Event>, missed: &mut Missed) -> (Transcript, Vec<String>) {
        let style = Style { colour: false, me: user("alice"), zone: TimeZone::UTC };
        let page = HistoryPage { events: history, states: Vec::new(), more: false };
        Transcript::enter(style, conversation("bob"), page, missed)
    }

    #[test]
    fn what_was_missed_stands_behind_a_line_each_entry_once() {
        let mut missed = Missed::default();
        for event in [event(3, "alice"), event(4, "bob"), event(5, "bob")] {
            missed.note(event, &user("alice"));
        }
        // History was read later, and has one more.
        let history = (2..=6).map(|seq| event(seq, "bob")).collect();
        let (mut transcript, lines) = enter(history, &mut missed);
        let texts: Vec<_> = lines.iter().map(|line| line.rsplit(": ").next().unwrap()).collect();
        assert_eq!(
            texts,
            [
                "── Tuesday 14 November ──",
                "text 2",
                "── 2 messages while you were away ──",
                "text 3",
                "text 4",
                "text 5",
                "text 6"
            ]
        );
        assert_eq!(transcript.show(&event(6, "bob"), &event(6, "bob")), None);
        assert_eq!(transcript.show(&event(7, "bob"), &event(7, "bob")), Some(vec!["22:13 bob: text 7".to_owned()]));
        assert_eq!(transcript.oldest(), Some(2));
    }

    #[test]
    fn a_first_visit_has_missed_nothing() {
        let (_, lines) = enter(vec![event(1, "bob")], &mut Missed::default());
        assert_eq!(lines.len(), 2);
        let (transcript, lines) = enter(Vec::new(), &mut Missed::default());
        assert_eq!((transcript.oldest(), lines.len()), (None, 0));
    }

    #[test]
    fn what_is_done_to_a_message_quotes_it_as_it_was() {
        let (mut transcript, _) = enter(vec![event(2, "bob")], &mut Missed::default());
        let mut shows = |seq, change| {
            let mut event = event(seq, "bob");
            event.entry.change = change;
            transcript.show(&event, &event).unwrap()
        };
        let edited = Change::Edited { target: 2, text: "better".into(), mentions: Vec::new() };
        assert_eq!(shows(3, edited), ["22:13 · bob edited “text 2”: better"]);
        assert_eq!(shows(4, Change::Erased { was: "edited".into() }), [""; 0], "nothing, not an empty line");
        assert_eq!(shows(5, Change::Deleted { target: 2 }), ["22:13 · bob deleted “better”"]);
        assert_eq!(shows(6, Change::Pinned { target: 2 }), ["22:13 · bob pinned a message"]);
    }

    #[test]
    fn a_restored_log_goes_on_with_smaller_numbers() {
        let (mut transcript, _) = enter(vec![event(2, "bob"), event(9, "bob")], &mut Missed::default());
        assert_eq!(transcript.show(&event(7, "bob"), &event(7, "bob")), None);
        transcript.ends_with(&HistoryPage { events: vec![event(6, "bob")], states: Vec::new(), more: false });
        assert!(transcript.show(&event(7, "bob"), &event(7, "bob")).is_some());
    }

    #[test]
    fn other_conversations_are_counted() {
        let mut missed = Missed::default();
        for seq in 1..=500 {
            missed.note(event(seq, "bob"), &user("alice"));
        }
        assert_eq!(missed.elsewhere(None), [(&conversation("bob"), 500)]);
        assert_eq!(missed.elsewhere(Some(&conversation("bob"))), []);
        assert_eq!(missed.events().count(), MISSED_KEPT);
    }
}
