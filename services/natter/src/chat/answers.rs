//! What is typed, and what comes back from requests.

use std::time::Instant;

use natter_client::{Accepted, DisconnectReason, RequestError, SendError};
use natter_ids::{ClientId, ConversationId, Seq};
use natter_protocol::{ConversationView, HistoryPage, OverviewPage, PresenceView};

use super::{
    changes::Deed,
    command::{HELP, Line},
    groups,
    requests::{self, Opened},
    seen,
    session::{Session, Step},
};

/// What a request beside the screen came to.
#[derive(Debug)]
pub enum Answer {
    Opened(Result<Box<Option<Opened>>, RequestError>),
    Conversations(Result<Vec<ConversationView>, RequestError>),
    /// What the start screen shows.
    Overview(Result<OverviewPage, RequestError>),
    /// What may have been missed, in answer to this question.
    Filled(u64, Result<HistoryPage, RequestError>),
    Older(Result<HistoryPage, RequestError>),
    Lines(Result<Vec<String>, RequestError>),
    /// Who is watched, as they are now.
    Seen(Result<Vec<PresenceView>, RequestError>),
    /// The group was left.
    Left(Result<(), RequestError>),
    /// A change was made whose event tells about it.
    Changed(Result<(), RequestError>),
    Sent(ClientId, Result<Accepted, SendError>),
}

/// Why the connection ended, for a person.
pub fn reason(reason: &DisconnectReason) -> String {
    match reason {
        DisconnectReason::Closed(code) => format!("the gateway said: {}", code.reason()),
        DisconnectReason::GoingAway => "the gateway restarts".to_owned(),
        DisconnectReason::Silent => "the gateway is silent".to_owned(),
        DisconnectReason::Hole => "something was missed and is read again".to_owned(),
        DisconnectReason::Refused(error) => error.to_string(),
        DisconnectReason::Lost(text) | DisconnectReason::Unreachable(text) | DisconnectReason::NoToken(text) => {
            super::style::clean(text)
        }
    }
}

impl Session {
    /// Handles what a request came to.
    ///
    /// # Errors
    /// A sentence, when there is nothing to talk in.
    pub fn answered(&mut self, answer: Option<Answer>) -> anyhow::Result<Step> {
        // What is sent waits in a queue of its own.
        if !matches!(answer, Some(Answer::Sent(..)) | None) {
            self.unanswered -= 1;
        }
        match answer {
            Some(Answer::Opened(opened)) => self.opened(opened)?,
            Some(Answer::Conversations(Ok(views))) => self.learn_conversations(&views),
            Some(Answer::Overview(Ok(page))) => self.list(&page),
            Some(Answer::Filled(number, read)) => self.filled(number, read),
            Some(Answer::Older(Ok(page))) => {
                let lines = self.transcript.as_mut().map(|transcript| transcript.older(page));
                lines.into_iter().flatten().for_each(|line| self.print(&line));
            }
            Some(Answer::Lines(Ok(lines))) => lines.iter().for_each(|line| self.print(line)),
            Some(Answer::Seen(Ok(views))) => views.iter().for_each(|view| self.somebody_came_or_went(view)),
            Some(Answer::Left(Ok(()))) => return Ok(self.begin_to_end()),
            Some(Answer::Sent(id, Ok(accepted))) => self.outbox.accepted(id, accepted.time, Instant::now()),
            Some(Answer::Sent(id, Err(error))) => {
                if let Some(text) = self.outbox.refused(id) {
                    self.fail(&format!("not sent: {error}: {}", super::style::clean(&text)));
                }
            }
            Some(
                Answer::Conversations(Err(error))
                | Answer::Overview(Err(error))
                | Answer::Older(Err(error))
                | Answer::Lines(Err(error))
                | Answer::Seen(Err(error))
                | Answer::Left(Err(error))
                | Answer::Changed(Err(error)),
            ) => self.fail(&error.to_string()),
            Some(Answer::Changed(Ok(()))) | None => {}
        }
        Ok(Step::GoOn)
    }

    /// Shows what there is to talk in.
    fn list(&mut self, page: &OverviewPage) {
        let views: Vec<_> = page.conversations.iter().map(|item| item.view.clone()).collect();
        self.learn_conversations(&views);
        if views.is_empty() {
            return self.notice("you are in no conversation; begin one with --to USER or --room NAME");
        }
        let line = self.style.rule("your conversations");
        self.print(&line);
        for item in &page.conversations {
            let line = seen::line(item, &self.style);
            self.print(&line);
        }
        if page.next.is_some() {
            self.notice("there are more; /list shows all");
        }
    }

    /// Handles a typed line, or the end of the input.
    ///
    /// # Errors
    /// None; the type is that of the other steps.
    pub fn typed(&mut self, line: Option<String>) -> anyhow::Result<Step> {
        let Some(line) = line else { return Ok(self.begin_to_end()) };
        let step = match Line::parse(&line) {
            Line::Quit => return Ok(self.begin_to_end()),
            Line::Empty => Step::GoOn,
            Line::Help => {
                self.print(HELP);
                self.print(groups::HELP);
                Step::GoOn
            }
            Line::Wrong(sentence) => {
                self.fail(&sentence);
                Step::GoOn
            }
            line if self.act_anywhere(&line) => Step::GoOn,
            line if line.is_of_the_account() => {
                self.account(line);
                Step::GoOn
            }
            line => {
                match self.transcript.as_ref().map(|transcript| transcript.conversation.clone()) {
                    Some(conversation) => self.act(line, conversation),
                    None => {
                        self.fail("this lists all conversations; to talk in one, start with --to USER or --room NAME")
                    }
                }
                Step::GoOn
            }
        };
        self.input.go_on();
        Ok(step)
    }

    fn act(&mut self, line: Line, here: ConversationId) {
        match line {
            Line::Say(text) => self.say(text, None, here),
            Line::Reply(number, text) => {
                if let Some(target) = self.meant(number, false) {
                    self.say(text, Some(target), here);
                }
            }
            Line::Who | Line::Members => {
                let (style, only_online) = (self.style.clone(), line == Line::Who);
                self.ask(|client| async move {
                    Answer::Lines(requests::members(&client, &here, &style, only_online).await)
                });
            }
            Line::Add(user) => {
                self.ask(|client| async move { Answer::Changed(client.add_member(&here, &user).await.map(drop)) })
            }
            Line::Remove(user) => {
                self.ask(|client| async move { Answer::Changed(client.remove_member(&here, &user).await.map(drop)) })
            }
            Line::Group(line) => {
                let style = self.style.clone();
                self.ask(|client| async move { Answer::Lines(line.carry_out(&client, &here, &style).await) });
            }
            Line::Leave => self.ask(|client| async move { Answer::Left(client.leave(&here).await.map(drop)) }),
            Line::History => {
                let before = self.transcript.as_ref().and_then(super::transcript::Transcript::oldest);
                self.ask(|client| async move { Answer::Older(requests::history(&client, &here, before).await) });
            }
            Line::Change(number, deed) => self.change(number, deed, here),
            Line::Timer(seconds) => {
                self.ask(|client| async move { Answer::Changed(client.set_timer(&here, seconds).await.map(drop)) });
            }
            Line::Pinned => {
                let style = self.style.clone();
                self.ask(|client| async move { Answer::Lines(requests::pinned(&client, &here, &style).await) });
            }
            line @ (Line::Reactions(_) | Line::Edits(_)) => self.ask_about(line, here),
            Line::Last => {
                let lines = self.transcript.as_ref().map(|transcript| transcript.recent.lines(&self.style));
                lines.into_iter().flatten().for_each(|line| self.print(&line));
            }
            Line::Seen => self.ask_seen(),
            line @ (Line::Top(_) | Line::Mute(_) | Line::Archive(_) | Line::Accept) => {
                if let Some(draft) = seen::draft(&line) {
                    self.arrange(here, draft);
                }
            }
            // The rest is about no conversation.
            _ => {}
        }
    }

    /// The message that is meant: the last one on the screen, of one's own or of anybody, when none is named.
    fn meant(&mut self, number: Option<Seq>, own: bool) -> Option<Seq> {
        let of = own.then_some(&self.style.me);
        let last = || self.transcript.as_ref().and_then(|transcript| transcript.recent.last(of));
        let target = number.or_else(last);
        if target.is_none() {
            self.fail("there is no such message on the screen");
        }
        target
    }

    fn change(&mut self, number: Option<Seq>, deed: Deed, here: ConversationId) {
        if let Some(target) = self.meant(number, deed.is_for_own()) {
            self.ask(|client| async move { Answer::Changed(deed.ask(&client, &here, target).await) });
        }
    }

    fn ask_about(&mut self, line: Line, here: ConversationId) {
        let (Line::Reactions(number) | Line::Edits(number)) = line else { return };
        let Some(target) = self.meant(number, false) else { return };
        let (style, edits) = (self.style.clone(), matches!(line, Line::Edits(_)));
        self.ask(|client| async move {
            Answer::Lines(match edits {
                true => requests::edits(&client, &here, target, &style).await,
                false => requests::reactors(&client, &here, target, &style).await,
            })
        });
    }
}
