//! Playing a log: speakers come, say their lines one after the other, go, and meet at the end.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use anyhow::{Context, bail};
use natter_checker::{Attempt, DeviceStart, Outcome, Reading, Source, Span};
use natter_client::SendError;
use natter_ids::{ClientId, Seq, UserId};
use natter_protocol::{Change, Event};
use tokio::time::{Instant, sleep_until};

use super::{
    log::{Act, Log, SpeakerIndex, Step},
    speakers::{Speaker, Surroundings, Tally},
};

/// A line that was accepted, as it should be read later.
#[derive(Debug)]
struct Said {
    sender: UserId,
    client_id: ClientId,
    text: String,
}

/// Everything that takes part.
#[derive(Debug)]
pub(super) struct Stage {
    pub speakers: Vec<Speaker>,
    pub around: Surroundings,
    /// Names the request that creates the group.
    pub request: ClientId,
    /// How long one line, one connection or catching up at the end may take.
    pub patience: Duration,
    /// Lines that were refused, by their number in the log.
    pub refused: Vec<(usize, String)>,
    /// Lines said, times the speakers who were away.
    pub missed: u64,
    /// How many members' reading of history was compared with the log.
    pub compared: usize,
    said: Vec<Said>,
    last: Seq,
}

impl Stage {
    pub fn new(speakers: Vec<Speaker>, around: Surroundings, request: ClientId, patience: Duration) -> Self {
        let (refused, said) = (Vec::new(), Vec::new());
        Self { speakers, around, request, patience, refused, missed: 0, compared: 0, said, last: 0 }
    }

    /// What all speakers' devices have been through. Of those who are here, only former visits.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.speakers.iter().for_each(|speaker| sum += speaker.tally);
        sum
    }

    /// Lines that were accepted.
    pub fn lines_said(&self) -> usize {
        self.said.len()
    }

    /// Everybody comes, so that every device has a position from before the group, and the first
    /// speaker creates it. Then those go who come later in the log.
    pub async fn open(&mut self, name: &str, log: &Log) -> anyhow::Result<()> {
        self.gather(0).await?;
        let users: Vec<_> = self.speakers.iter().map(|speaker| speaker.user.clone()).collect();
        let (creator, members) = users.split_first().context("nobody says anything in this log")?;
        let client = self.speakers[0].client().context("the first speaker is not here")?;
        let view = client.create_group_with_id(self.request, name, members).await;
        let view = view.with_context(|| format!("{creator:?} cannot create the group"))?;
        if view.conversation != self.around.group {
            bail!("the gateway made {} where {} was expected", view.conversation, self.around.group);
        }
        self.last = view.last_seq;
        for speaker in &self.speakers {
            let (user, conversation, from) = (speaker.user.clone(), self.around.group.clone(), view.last_seq);
            self.around.recorder.member(Span {
                user: user.clone(),
                conversation: conversation.clone(),
                from,
                to: None,
            });
            self.around.recorder.start(DeviceStart { user, device: speaker.device.clone(), conversation, from });
        }
        for index in log.absent_at_start() {
            self.speakers[index].disconnect(&self.around).await?;
        }
        Ok(())
    }

    /// Plays all steps, each line only once the one before it is accepted. With a speed, no
    /// earlier than the log's time divided by it.
    pub async fn play(&mut self, log: &Log, speed: Option<f64>) -> anyhow::Result<()> {
        let begin = Instant::now();
        for step in &log.steps {
            if let Some(speed) = speed {
                sleep_until(begin + step.at.div_f64(speed)).await;
            }
            let speaker = &mut self.speakers[step.speaker];
            match &step.act {
                Act::Join => speaker.connect(&self.around)?,
                Act::Leave => speaker.disconnect(&self.around).await?,
                Act::Say(text) => self.say(step, text).await?,
            }
        }
        Ok(())
    }

    async fn say(&mut self, step: &Step, text: &str) -> anyhow::Result<()> {
        let speaker = &mut self.speakers[step.speaker];
        speaker.connect(&self.around)?;
        let client = speaker.client().context("a speaker is not here")?;
        let client_id = client.new_client_id();
        let (sender, text, conversation) = (speaker.user.clone(), text.to_owned(), self.around.group.clone());
        let change = Change::message(text.clone());
        let attempt = Attempt { sender: sender.clone(), conversation: conversation.clone(), client_id, change };
        self.around.recorder.attempt(attempt);
        let sending = client.send_with_id(conversation, client_id, text.clone());
        // Dropping a send gives up: like no answer, it may or may not be stored.
        let answer = tokio::time::timeout(self.patience, sending).await.unwrap_or(Err(SendError::Deadline(client_id)));
        match answer {
            Ok(accepted) => {
                self.around.recorder.outcome(client_id, Outcome::Accepted { seq: accepted.seq });
                self.last = accepted.seq;
                self.said.push(Said { sender, client_id, text });
                self.around.progress.said.fetch_add(1, Relaxed);
                self.missed += self.speakers.iter().filter(|speaker| speaker.client().is_none()).count() as u64;
            }
            Err(SendError::Refused(error)) => {
                self.around.recorder.outcome(client_id, Outcome::Refused);
                self.refused.push((step.line, error.to_string()));
            }
            Err(error) => {
                self.around.recorder.outcome(client_id, Outcome::Unknown);
                bail!("line {} was not accepted: {error}", step.line);
            }
        }
        Ok(())
    }

    /// Everybody goes, comes back with their position, and receives all that they miss.
    pub async fn catch_up(&mut self) -> anyhow::Result<()> {
        self.dismiss().await?;
        self.gather(self.last).await
    }

    async fn gather(&mut self, seq: Seq) -> anyhow::Result<()> {
        for speaker in &mut self.speakers {
            speaker.connect(&self.around)?;
        }
        let deadline = Instant::now() + self.patience;
        for speaker in &self.speakers {
            speaker.reach(seq, deadline).await?;
        }
        Ok(())
    }

    /// Everybody goes.
    pub async fn dismiss(&mut self) -> anyhow::Result<()> {
        for speaker in &mut self.speakers {
            speaker.disconnect(&self.around).await?;
        }
        Ok(())
    }

    /// Reads the whole history as each of `count` members spread over all, and compares it with
    /// the lines said. What was read is recorded too.
    pub async fn read_history(&mut self, count: usize) -> anyhow::Result<()> {
        let step = self.speakers.len().div_ceil(count.max(1)).max(1);
        for index in (0..self.speakers.len()).step_by(step).take(count) {
            let events = self.history_of(index).await?;
            self.compare(index, &events)?;
            self.compared += 1;
        }
        Ok(())
    }

    async fn history_of(&self, index: SpeakerIndex) -> anyhow::Result<Vec<Event>> {
        let speaker = &self.speakers[index];
        let client = speaker.client().context("a speaker is not here")?;
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.seq);
            let page = client.history(&self.around.group, None, Some(after), None).await;
            let page = page.with_context(|| format!("{:?} cannot read the history", speaker.user))?;
            let end = page.events.is_empty() || !page.more;
            events.extend(page.events);
            if end {
                let source = Source::History(speaker.user.clone());
                let conversation = self.around.group.clone();
                self.around.recorder.reading(Reading {
                    source,
                    conversation,
                    events: events.clone(),
                    states: Vec::new(),
                });
                return Ok(events);
            }
        }
    }

    fn compare(&self, index: SpeakerIndex, events: &[Event]) -> anyhow::Result<()> {
        let reader = &self.speakers[index].user;
        let messages = events.iter().filter_map(|event| match &event.entry.change {
            Change::Message { text, .. } => Some((event, text)),
            _ => None,
        });
        let mut expected = self.said.iter();
        for (event, text) in messages {
            let Some(said) = expected.next() else {
                bail!("{reader:?} reads more than was said, from entry {}", event.seq)
            };
            let same = event.entry.sender == said.sender && event.entry.client_id == Some(said.client_id);
            if !same || *text != said.text {
                bail!("{reader:?} reads something else than was said at entry {}", event.seq);
            }
        }
        match expected.count() {
            0 => Ok(()),
            missing => bail!("{reader:?} reads {missing} lines less than were said"),
        }
    }
}
