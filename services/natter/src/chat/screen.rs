//! Putting lines on the screen.

use std::collections::HashMap;

use natter_ids::{ClientId, ConversationId};
use natter_protocol::{Change, ConversationView, Event, HistoryPage};

use super::{
    answers::Answer,
    requests::{self, label},
    session::Session,
    style::clean,
    transcript::Missed,
    writing::LAST_LINE,
};

impl Session {
    pub(super) fn learn_labels(&mut self, missed: &Missed) {
        // In order of each conversation: the last name counts.
        let found: HashMap<_, _> = missed.events().filter_map(|event| self.label_of(event)).collect();
        for (conversation, name) in found {
            self.labels.entry(conversation).or_insert(name);
        }
    }

    /// The name that an entry gives its conversation.
    fn label_of(&self, event: &Event) -> Option<(ConversationId, String)> {
        let name = match &event.entry.change {
            Change::GroupCreated { name, .. } => format!("#{}", clean(name)),
            Change::GroupChanged { patch } => format!("#{}", clean(patch.name.as_ref()?)),
            Change::DirectOpened { peers: [one, other] } => {
                let peer = if *one == self.style.me { other } else { one };
                format!("@{}", clean(peer.as_str()))
            }
            _ => return None,
        };
        Some((event.conversation.clone(), name))
    }

    pub(super) fn show(&mut self, event: &Event) {
        self.show_told(event, event);
    }

    /// Shows a page of history, as far as it is not on the screen.
    pub(super) fn show_page(&mut self, page: &HistoryPage) {
        let events = self.transcript.as_mut().map(|transcript| transcript.expect(page)).unwrap_or_default();
        events.iter().for_each(|(event, told)| self.show_told(event, told));
    }

    fn show_told(&mut self, event: &Event, told: &Event) {
        let id = event.entry.client_id.filter(|_| event.entry.sender == self.style.me);
        let fresh = id.is_none_or(|id| self.outbox.arrived(id));
        let named = self.label_of(event);
        let here = self.transcript.as_ref().is_some_and(|transcript| transcript.conversation == event.conversation);
        if let Some((conversation, label)) = named {
            if here {
                self.input.set_prompt(self.style.prompt(Some(&label)));
            }
            self.labels.insert(conversation, label);
        }
        let Some(transcript) = self.transcript.as_mut().filter(|_| here) else { return self.show_elsewhere(event) };
        // Counted as shown in any case.
        let lines = transcript.show(event, told).unwrap_or_default();
        if matches!(event.entry.change, Change::Message { .. }) {
            self.somebody_said(&event.entry.sender);
        }
        for line in lines.iter().filter(|_| fresh) {
            match id {
                Some(id) => self.print_own(id, line),
                None => self.print(line),
            }
        }
        if id.is_none() {
            self.tell_read();
        }
    }

    fn show_elsewhere(&mut self, event: &Event) {
        let Some(told) = self.style.event(event) else { return };
        let place = match self.labels.get(&event.conversation) {
            Some(label) => label.clone(),
            None => {
                self.ask(|client| async move { Answer::Conversations(requests::conversations(&client).await) });
                "another conversation".to_owned()
            }
        };
        let line = format!("{} {told}", self.style.dim(&format!("[{place}]")));
        self.print(&line);
    }

    pub(super) fn learn_conversations(&mut self, views: &[ConversationView]) {
        self.labels.extend(views.iter().map(|view| (view.conversation.clone(), label(view))));
    }

    /// Prints a message of one's own, over its earlier self when that is the last line.
    pub(super) fn print_own(&mut self, id: ClientId, line: &str) {
        if self.last_line == Some(id) && self.input.is_terminal() {
            self.print(&format!("{LAST_LINE}{line}"));
        } else {
            self.print(line);
        }
    }

    pub(super) fn print(&mut self, line: &str) {
        self.last_line = None;
        if self.writing.is_covered() && self.input.is_terminal() {
            self.input.print(&format!("{LAST_LINE}{line}"));
        } else {
            self.input.print(line);
        }
    }

    pub(super) fn notice(&mut self, text: &str) {
        let line = self.style.notice(text);
        self.print(&line);
    }

    pub(super) fn fail(&mut self, text: &str) {
        let line = self.style.failure(text);
        self.print(&line);
    }

    /// Notes that the last line is this message, still being sent.
    pub(super) fn remember_last_line(&mut self, id: ClientId, line: &str) {
        self.last_line = fits_one_row(line).then_some(id);
    }
}

/// Whether a line surely takes one row of any terminal, colour codes and all.
fn fits_one_row(line: &str) -> bool {
    !line.contains('\n') && line.len() < 78
}
