//! One visit: what is told, answered and typed, and what that puts on the screen.

use std::{collections::HashMap, sync::Arc, time::Instant};

use anyhow::bail;
use natter_client::{Client, Notification, RequestError};
use natter_ids::{ClientId, ConversationId};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    LAST_SENDS,
    answers::Answer,
    gap::Gap,
    input::Input,
    outbox::{Outbox, Shown},
    place::Place,
    requests::{self, Opened, Target, label},
    saying::{Draft, send_all},
    seen::Seen,
    style::{Mark, Style, now_ms},
    transcript::{Missed, Transcript},
    writing::Writing,
};

/// Answers that wait to be shown; more make their tasks wait.
const ANSWERS: usize = 32;
/// Messages that wait to be sent; the outbox has a smaller limit.
const DRAFTS: usize = 128;

/// Whether the visit goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    GoOn,
    End,
}

/// How the connection is, as far as the person was told.
#[derive(Debug, PartialEq, Eq)]
enum Link {
    Connecting,
    Up,
    Down,
}

/// Everything that one visit knows.
pub struct Session {
    pub(super) client: Arc<Client>,
    pub(super) style: Style,
    pub input: Input,
    pub(super) place: Place,
    pub(super) transcript: Option<Transcript>,
    pub(super) seen: Seen,
    opened: Option<Option<Opened>>,
    caught_up: bool,
    pub(super) entered: bool,
    pub(super) missed: Missed,
    pub(super) gap: Gap,
    pub(super) labels: HashMap<ConversationId, String>,
    pub(super) outbox: Outbox,
    pub(super) drafts: mpsc::Sender<Draft>,
    tasks: JoinSet<()>,
    /// Requests beside the screen that are not answered.
    pub(super) unanswered: usize,
    answer: mpsc::Sender<Answer>,
    pub answers: mpsc::Receiver<Answer>,
    link: Link,
    /// Since the input has ended: when to stop waiting for the last messages and answers.
    ending: Option<Instant>,
    /// Whether the last line on the screen is this message, still being sent.
    pub(super) last_line: Option<ClientId>,
    pub(super) writing: Writing,
    /// How the other one of a direct conversation was seen last.
    pub(super) presence: Option<String>,
    /// Whether the user has said that they are away.
    pub(super) away: bool,
}

impl Session {
    pub fn new(
        client: Arc<Client>,
        style: Style,
        input: Input,
        place: Place,
        target: Target,
        gateways: &[String],
    ) -> Self {
        let (answer, answers) = mpsc::channel(ANSWERS);
        let (drafts, queue) = mpsc::channel(DRAFTS);
        let mut tasks = JoinSet::new();
        tasks.spawn(send_all(Arc::clone(&client), queue, answer.clone()));
        let gap = Gap::new(place.position().is_none());
        let mut session = Self {
            client,
            style,
            input,
            place,
            transcript: None,
            seen: Seen::default(),
            opened: None,
            caught_up: false,
            entered: false,
            missed: Missed::default(),
            gap,
            labels: HashMap::new(),
            outbox: Outbox::default(),
            drafts,
            tasks,
            unanswered: 0,
            answer,
            answers,
            link: Link::Connecting,
            ending: None,
            last_line: None,
            writing: Writing::default(),
            presence: None,
            away: false,
        };
        if !session.place.is_kept() {
            session.notice("another chat of yours runs on this machine; this one is a second device");
        }
        session.notice(&format!("connecting to {}", gateways.join(", ")));
        let listing = matches!(target, Target::Everything);
        session.ask(|client| async move { Answer::Opened(requests::open(&client, &target).await.map(Box::new)) });
        if listing {
            session.ask(|client| async move { Answer::Overview(client.overview_page(None, None, None).await) });
        } else {
            session.ask(|client| async move { Answer::Conversations(requests::conversations(&client).await) });
        }
        session
    }

    /// Runs a request beside the screen; its answer comes back to [`Session::answered`].
    pub(super) fn ask<F>(&mut self, request: impl FnOnce(Arc<Client>) -> F)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (request, answer) = (request(Arc::clone(&self.client)), self.answer.clone());
        self.unanswered += 1;
        self.tasks.spawn(async move {
            // Nobody listens once the visit has ended.
            let _ = answer.send(request.await).await;
        });
        while self.tasks.try_join_next().is_some() {}
    }

    /// Whether lines are taken now: not before there is a place to say them.
    pub fn takes_input(&self) -> bool {
        self.entered && self.ending.is_none()
    }

    /// The input has ended: the last messages may still be on their way, and so may answers.
    pub(super) fn begin_to_end(&mut self) -> Step {
        if self.nothing_is_due() {
            return Step::End;
        }
        self.ending = Some(Instant::now() + LAST_SENDS);
        Step::GoOn
    }

    /// Whether a visit whose input has ended can end. A person who leaves waits for no answer; who feeds a pipe
    /// wants all that was asked for, and its start.
    fn nothing_is_due(&self) -> bool {
        self.outbox.unconfirmed() == 0 && (self.unanswered == 0 || self.input.is_terminal())
    }

    /// Shows what has become due.
    ///
    /// # Errors
    /// None; the type is that of the other steps.
    pub fn tick(&mut self) -> anyhow::Result<Step> {
        for due in self.outbox.due(Instant::now()) {
            let (Shown::Sending(id, text) | Shown::Stored(id, text, _)) = &due;
            let (mark, time) = match &due {
                Shown::Sending(..) => (Mark::Sending, now_ms()),
                Shown::Stored(_, _, time) => (Mark::Stored, *time),
            };
            // A pipe has no use for what is only on its way.
            if mark == Mark::Sending && !self.input.is_terminal() {
                continue;
            }
            let line = self.style.message(time, &self.style.me, text, Some(mark));
            self.print_own(*id, &line);
            if mark == Mark::Sending {
                self.remember_last_line(*id, &line);
            }
        }
        if let Some(transcript) = &mut self.transcript {
            transcript.recent.forget_expired(now_ms());
        }
        self.show_writing();
        self.keep_place();
        let over = self.ending.is_some_and(|deadline| self.nothing_is_due() || Instant::now() >= deadline);
        Ok(if over { Step::End } else { Step::GoOn })
    }

    /// Handles what the client tells.
    ///
    /// # Errors
    /// A sentence, when the client gave up.
    pub fn told(&mut self, told: Option<Notification>) -> anyhow::Result<Step> {
        match told {
            Some(Notification::Event(event, _)) => self.heard(*event),
            Some(Notification::CaughtUp(_)) => {
                self.gap.caught_up();
                self.caught_up();
            }
            Some(Notification::ResumeDelayed(part)) => {
                self.notice(&format!("{part} cannot be reached; what you missed comes later"));
                self.caught_up();
            }
            Some(Notification::Connected(_)) => {
                if self.link == Link::Down {
                    self.notice("connected again");
                }
                self.link = Link::Up;
                self.still_away();
            }
            Some(Notification::Disconnected { reason, .. }) => {
                if self.link != Link::Down {
                    self.notice(&format!("not connected ({}); trying again", super::answers::reason(&reason)));
                }
                self.link = Link::Down;
            }
            Some(Notification::PositionRefused) => {
                self.gap.refused();
                self.notice(
                    "Natter does not know how far you had read: it was restored from a backup; what was said since \
                     then may be gone, and /history shows what there is",
                );
            }
            Some(Notification::MarksChanged(marks)) => self.marks_changed(&marks),
            Some(Notification::ArrangementChanged(_) | Notification::SettingsChanged(_)) => {}
            Some(Notification::Typing { conversation, user, expires_in }) => {
                self.somebody_writes(&conversation, &user, expires_in);
            }
            Some(Notification::Unblocked { user, conversation, after }) => self.unblocked(user, conversation, after),
            Some(Notification::PresenceChanged(view)) => self.somebody_came_or_went(&view),
            Some(Notification::Fatal(fatal)) => bail!("{fatal}"),
            None => match self.client.fatal() {
                Some(fatal) => bail!("{fatal}"),
                None => return Ok(Step::End),
            },
        }
        Ok(Step::GoOn)
    }

    fn caught_up(&mut self) {
        self.caught_up = true;
        self.enter();
        self.read_gap();
    }

    pub(super) fn opened(&mut self, opened: Result<Box<Option<Opened>>, RequestError>) -> anyhow::Result<()> {
        match opened {
            Ok(opened) => self.opened = Some(*opened),
            Err(error) => bail!("the conversation cannot be opened: {error}"),
        }
        self.enter();
        self.read_gap();
        Ok(())
    }

    /// Begins to show things, once what was missed and where to talk are both known.
    fn enter(&mut self) {
        let (true, Some(_)) = (self.caught_up, &self.opened) else { return };
        let Some(opened) = self.opened.take() else { return };
        let mut lines = Vec::new();
        let mut missed = std::mem::take(&mut self.missed);
        let peer = opened.as_ref().and_then(|opened| opened.view.peer.clone());
        if let Some(Opened { view, history }) = opened {
            let title = format!("{}, /help for help", label(&view));
            self.labels.insert(view.conversation.clone(), label(&view));
            lines.push(self.style.rule(&title));
            self.input.set_prompt(self.style.prompt(Some(&label(&view))));
            let (transcript, shown) = Transcript::enter(self.style.clone(), view.conversation, history, &mut missed);
            self.transcript = Some(transcript);
            lines.extend(shown);
        }
        if let Some(peer) = peer {
            self.watch(&peer);
        }
        self.learn_labels(&missed);
        let here = self.transcript.as_ref().map(|transcript| &transcript.conversation);
        for (conversation, count) in missed.elsewhere(here) {
            let plural = if count == 1 { "message" } else { "messages" };
            let place = self.labels.get(conversation).map_or("another conversation", String::as_str);
            lines.push(self.style.notice(&format!("{count} {plural} in {place} while you were away")));
        }
        self.entered = true;
        for line in lines {
            self.print(&line);
        }
        self.tell_read();
        self.ask_seen();
        self.keep_place();
    }
}
