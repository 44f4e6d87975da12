//! What people of a crowd do with messages after they were said.

use natter_client::RequestError;
use natter_ids::Seq;
use natter_protocol::{Change, ErrorCode};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{sync::watch, time::Duration};

use super::{Talk, person::Person, turns::Turns};

const EMOJI: [&str; 4] = ["👍", "❤️", "😂", "🥾"];

/// Changes messages, and says what has been read, here and there until told to stop; the same seed
/// chooses alike. `done` counts what was accepted.
pub(super) async fn make(
    person: &Person,
    talks: &[Talk],
    seed: u64,
    done: impl Fn(),
    (stopped, pause): (watch::Receiver<bool>, Duration),
) -> Result<(), String> {
    let own: Vec<_> = talks.iter().filter(|talk| talk.members.contains(person.user())).collect();
    let mut random = StdRng::seed_from_u64(seed);
    let mut turns = Turns::new(stopped, pause);
    while let Some(number) = turns.next().await {
        let Some(conversation) = own.choose(&mut random).map(|talk| &talk.conversation) else { break };
        let answer = match any(person, &person.recent(conversation), number, &mut random) {
            Some(change) => person.change(conversation, change).await,
            None => person.reads(conversation).await,
        };
        match answer {
            Ok(()) => done(),
            // Somebody else deleted it in this moment.
            Err(RequestError::Refused(error)) if error.code == ErrorCode::MessageDeleted => {}
            // It needs the archive: while that is away, nobody waits for it for ever.
            Err(RequestError::Timeout) => {}
            Err(error) => return Err(format!("{}'s change {number} was not accepted: {error}", person.user())),
        }
    }
    Ok(())
}

/// What to do with one of these messages; none: to read.
fn any(person: &Person, messages: &[(Seq, natter_ids::UserId)], number: u64, random: &mut StdRng) -> Option<Change> {
    let own: Vec<_> = messages.iter().filter(|(_, sender)| sender == person.user()).collect();
    let target = *own.choose(random).map(|(target, _)| target)?;
    match random.random_range(0..10) {
        0..3 => {
            let text = format!("{} says {target} otherwise, by change {number}", person.user());
            Some(Change::Edited { target, text, mentions: Vec::new() })
        }
        3 => Some(Change::Deleted { target }),
        4..7 => {
            let (target, _) = *messages.choose(random)?;
            let emoji = (*EMOJI.choose(random)?).to_owned();
            Some(Change::Reacted { target, emoji, on: random.random_bool(0.7) })
        }
        _ => None,
    }
}
