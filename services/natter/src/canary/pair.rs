//! The pair, and what it goes through in a round.

use std::time::Duration;

use natter_ids::ConversationId;
use tokio::time::{Instant, timeout};

use super::{
    device::Device,
    stage::{Failure, Outcome, Stage},
};

/// Two users in one conversation.
pub struct Pair {
    devices: [Device; 2],
    conversation: Option<ConversationId>,
    limit: Duration,
    outcomes: Vec<Outcome>,
}

impl Pair {
    pub fn new(devices: [Device; 2], limit: Duration) -> Self {
        Self { devices, conversation: None, limit, outcomes: Vec::new() }
    }

    /// Connects who is away, lets each write to the other, and when asked lets one of them miss a
    /// message and return. Returns how each stage went; what depends on a failed one is left out.
    pub async fn round(&mut self, leaves: Option<usize>) -> Vec<Outcome> {
        if let Err(failure) = self.stages(leaves).await {
            self.outcomes.push(Outcome::Failed(failure));
        }
        for device in &mut self.devices {
            self.outcomes.extend(device.faults().into_iter().map(Outcome::Failed));
        }
        std::mem::take(&mut self.outcomes)
    }

    async fn stages(&mut self, leaves: Option<usize>) -> Result<(), Failure> {
        let [first, second] = &mut self.devices;
        let (one, other) = tokio::join!(first.settle(), second.settle());
        let user = |number: usize| self.devices[number].user.clone();
        let mut failed = None;
        for (number, settled) in [one, other].into_iter().enumerate() {
            match settled {
                Ok(Some(took)) => {
                    self.outcomes.push(Outcome::Passed { stage: Stage::Connect, user: user(number), took });
                }
                Ok(None) => {}
                // Both may have failed: the first goes to the caller, the others are told here.
                Err(failure) => {
                    if let Some(earlier) = failed.replace(failure) {
                        self.outcomes.push(Outcome::Failed(earlier));
                    }
                }
            }
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        let conversation = match &self.conversation {
            Some(conversation) => conversation.clone(),
            None => self.conversation.insert(self.devices[0].open().await?).clone(),
        };
        for from in 0..2 {
            self.pass(from, &conversation).await?;
        }
        match leaves {
            Some(number) => self.miss(number, &conversation).await,
            None => Ok(()),
        }
    }

    /// One message from one device to the other.
    async fn pass(&mut self, from: usize, conversation: &ConversationId) -> Result<(), Failure> {
        let limit = self.limit;
        let (sender, receiver) = both(&mut self.devices, from);
        let number = next_number(receiver).await?;
        let (text, began) = (receiver.ledger.text(number), Instant::now());
        let (accepted, accepted_in, delivered) = {
            let mut say = std::pin::pin!(sender.say(conversation, text));
            let mut hear = std::pin::pin!(receiver.hear(number));
            // Both at once: the message may come before the answer.
            let mut delivered = None;
            let accepted = tokio::select! {
                accepted = &mut say => accepted,
                heard = &mut hear => {
                    delivered = Some(heard.map(|()| began.elapsed()));
                    say.await
                }
            };
            let accepted_in = began.elapsed();
            if delivered.is_none() && accepted.is_ok() {
                let heard = timeout(limit, hear).await;
                delivered = heard.ok().map(|heard| heard.map(|()| began.elapsed()));
            }
            (accepted, accepted_in, delivered)
        };
        if let Err(failure) = accepted {
            receiver.ledger.give_up(number);
            return Err(failure);
        }
        receiver.ledger.accepted(number);
        self.outcomes.push(Outcome::Passed { stage: Stage::Accepted, user: sender.user.clone(), took: accepted_in });
        let took = delivered.unwrap_or_else(|| Err(undelivered(receiver, limit)))?;
        self.outcomes.push(Outcome::Passed { stage: Stage::Delivered, user: receiver.user.clone(), took });
        Ok(())
    }

    /// One leaves, misses a message, and comes back.
    async fn miss(&mut self, who: usize, conversation: &ConversationId) -> Result<(), Failure> {
        let limit = self.limit;
        let (sender, receiver) = both(&mut self.devices, 1 - who);
        let number = next_number(receiver).await?;
        receiver.leave().await;
        let began = Instant::now();
        if let Err(failure) = sender.say(conversation, receiver.ledger.text(number)).await {
            receiver.ledger.give_up(number);
            return Err(failure);
        }
        receiver.ledger.accepted(number);
        let took = began.elapsed();
        self.outcomes.push(Outcome::Passed { stage: Stage::Accepted, user: sender.user.clone(), took });
        let began = Instant::now();
        let connected = receiver.settle().await?;
        let heard = timeout(limit.saturating_sub(began.elapsed()), receiver.hear(number)).await;
        let Ok(heard) = heard else {
            let within = humantime::format_duration(limit);
            return Err(receiver.failure(
                Stage::Resumed,
                format!("{}: the missed message did not come within {within}", receiver.gateway),
            ));
        };
        heard?;
        let (user, took) = (receiver.user.clone(), began.elapsed());
        let connected = connected.map(|took| Outcome::Passed { stage: Stage::Connect, user: user.clone(), took });
        self.outcomes.extend(connected);
        self.outcomes.push(Outcome::Passed { stage: Stage::Resumed, user, took });
        Ok(())
    }

    /// Takes leave of the gateways.
    pub async fn close(&mut self) {
        for device in &mut self.devices {
            device.leave().await;
        }
    }
}

fn undelivered(receiver: &Device, limit: Duration) -> Failure {
    let (gateway, within) = (&receiver.gateway, humantime::format_duration(limit));
    let missing = receiver.ledger.missing();
    receiver.failure(
        Stage::Delivered,
        format!("{gateway} did not bring an accepted message within {within}; {missing} are missing"),
    )
}

/// The one that sends, and the other.
fn both(devices: &mut [Device; 2], from: usize) -> (&Device, &mut Device) {
    let [first, second] = devices;
    if from == 0 { (first, second) } else { (second, first) }
}

/// When very many are missing, no more are sent before a new session has brought them.
async fn next_number(receiver: &mut Device) -> Result<u64, Failure> {
    receiver.catch_up();
    if let Some(number) = receiver.ledger.next() {
        return Ok(number);
    }
    receiver.leave().await;
    let (missing, gateway) = (receiver.ledger.missing(), receiver.gateway.clone());
    let settled = receiver.settle().await;
    if let Some(number) = receiver.ledger.next() {
        return Ok(number);
    }
    if let Err(failure) = settled {
        let said =
            format!("{gateway}: {missing} accepted messages are missing, and no more are sent: {}", failure.said);
        return Err(receiver.failure(Stage::Delivered, said));
    }
    let lost = receiver.ledger.forget();
    Err(receiver.failure(Stage::Lost, format!("{gateway}: a new session did not bring {lost} accepted messages")))
}
