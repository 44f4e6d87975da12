//! Messages as their senders know them: sent, accepted, once, in the order sent.

use std::collections::BTreeMap;

use natter_ids::{ClientId, ConversationId, Seq, UserId};

use super::index::Index;
use crate::{Violation, check::tries::Try};

/// A message, whatever its text.
type Identity<'i> = (&'i ConversationId, &'i UserId, ClientId);

/// The numbers of every message, in the order in which they became known.
type Numbers<'i> = BTreeMap<Identity<'i>, Vec<Seq>>;

pub(super) fn check(index: &Index<'_>, violations: &mut Vec<Violation>) {
    twice(&numbers(index), violations);
    for tried in index.tries.iter() {
        violations.extend(displaced(index, tried));
    }
    real_time(index, violations);
}

fn identity<'i>(tried: &'i Try<'_>) -> Identity<'i> {
    (&tried.attempt.conversation, &tried.attempt.sender, tried.attempt.client_id)
}

fn numbers<'i>(index: &'i Index<'_>) -> Numbers<'i> {
    let mut numbers = Numbers::new();
    let mut add = |identity: Identity<'i>, seq: Seq| {
        let seqs = numbers.entry(identity).or_default();
        if !seqs.contains(&seq) {
            seqs.push(seq);
        }
    };
    for tried in index.tries.iter() {
        let seqs = tried.accepted.iter().map(|(_, seq)| seq).chain(&tried.accepted_again);
        seqs.for_each(|seq| add(identity(tried), *seq));
    }
    for version in index.rooms.values().flat_map(|room| room.versions.values().flatten()) {
        let event = version.event;
        if let Some(client_id) = event.entry.client_id {
            add((&event.conversation, &event.entry.sender, client_id), event.seq);
        }
    }
    numbers
}

fn twice(numbers: &Numbers<'_>, violations: &mut Vec<Violation>) {
    for ((conversation, sender, client_id), seqs) in numbers {
        let mut rest = seqs.clone();
        rest.sort_unstable();
        violations.extend(rest.windows(2).map(|pair| Violation::DuplicatedMessage {
            sender: (*sender).clone(),
            client_id: *client_id,
            conversation: (*conversation).clone(),
            first: pair[0],
            second: pair[1],
        }));
    }
}

/// A message whose number holds something else.
fn displaced(index: &Index<'_>, tried: &Try<'_>) -> Option<Violation> {
    let (_, seq) = tried.accepted?;
    let (conversation, sender, client_id) = identity(tried);
    let versions = index.rooms.get(conversation)?.versions.get(&seq)?;
    let same = |entry: &natter_protocol::Entry| entry.sender == *sender && entry.client_id == Some(client_id);
    (!versions.iter().any(|version| same(&version.event.entry))).then(|| Violation::DivergentMessage {
        sender: sender.clone(),
        client_id,
        conversation: conversation.clone(),
        seq,
    })
}

/// A message that is sent once another is accepted follows it in the log, whoever sent the two.
fn real_time(index: &Index<'_>, violations: &mut Vec<Violation>) {
    let mut rooms: BTreeMap<&ConversationId, Vec<Accepted<'_>>> = BTreeMap::new();
    for tried in index.tries.iter() {
        if let Some((at, seq)) = tried.accepted {
            rooms.entry(&tried.attempt.conversation).or_default().push(Accepted { tried, at, seq });
        }
    }
    for by_attempt in rooms.values() {
        let mut by_acceptance: Vec<_> = by_attempt.iter().map(|message| (message.at, message.seq)).collect();
        by_acceptance.sort_unstable();
        let mut before = by_acceptance.into_iter().peekable();
        let mut newest = 0;
        for Accepted { tried, seq, .. } in by_attempt {
            while let Some((_, seq)) = before.next_if(|(at, _)| *at < tried.tried_at) {
                newest = newest.max(seq);
            }
            if *seq < newest {
                violations.push(Violation::ReorderedMessage {
                    sender: tried.attempt.sender.clone(),
                    client_id: tried.attempt.client_id,
                    conversation: tried.attempt.conversation.clone(),
                    seq: *seq,
                    after: newest,
                });
            }
        }
    }
}

/// A message that was accepted. The tries, and so these, are in the order of first attempts.
struct Accepted<'i> {
    tried: &'i Try<'i>,
    at: usize,
    seq: Seq,
}
