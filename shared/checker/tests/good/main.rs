//! Good histories pass, and each way of breaking one is found: the checker is only worth what it
//! objects to.
#![allow(clippy::unwrap_used)]

mod changes;
mod model;
mod readings;
mod stuck;

use std::collections::HashSet;

use model::{Call, Chat, ops, record};
use natter_checker::{Attempt, History, Kind, Outcome, Received, Via, Violation, check};
use natter_ids::{ClientId, Seq};
use natter_protocol::{Change, Event};
use proptest::{prelude::*, sample::Index};

fn kinds(calls: &[Call]) -> HashSet<Kind> {
    check(&record(calls).history()).iter().map(Violation::kind).collect()
}

/// A receipt that fits, any of them.
fn pick(chat: &Chat, which: Index, fits: impl Fn(&Received) -> bool) -> Option<(usize, Received)> {
    let candidates: Vec<_> = chat.receipts().into_iter().filter(|(_, received)| fits(received)).collect();
    (!candidates.is_empty()).then(|| candidates[which.index(candidates.len())].clone())
}

fn is_message(event: &Event) -> bool {
    matches!(event.entry.change, Change::Message { .. })
}

/// Whether both are the same entry, before or after it was deleted or edited.
fn same_entry(one: &Event, other: &Event) -> bool {
    (&one.conversation, one.seq) == (&other.conversation, other.seq)
}

fn same_stream(one: &Received, other: &Received) -> bool {
    let of = |it: &Received| (it.device.clone(), it.session, it.via, it.event.conversation.clone());
    of(one) == of(other)
}

/// Changes an entry wherever it was seen.
fn rewrite(calls: &mut [Call], event: &Event, change: impl Fn(&mut Event)) {
    for call in calls {
        match call {
            Call::Received(received) if same_entry(&received.event, event) => change(&mut received.event),
            Call::Reading(reading) => reading.events.iter_mut().filter(|it| same_entry(it, event)).for_each(&change),
            _ => {}
        }
    }
}

/// Whether somebody else, or the same device another time, received the same.
fn witnessed(chat: &Chat, event: &Event) -> bool {
    chat.receipts().iter().filter(|(_, received)| received.event == *event).count() > 1
}

fn last_seq(chat: &Chat) -> Seq {
    chat.receipts().iter().map(|(_, received)| received.event.seq).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn good_histories_pass(ops in ops()) {
        let history = record(&Chat::run(&ops).calls).history();
        prop_assert_eq!(check(&history), []);
        let lines: Vec<_> = history.lines().collect();
        let read = History::from_lines(&lines).unwrap();
        prop_assert_eq!(read, history);
    }

    #[test]
    fn a_lost_entry_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((_, gone)) = pick(&chat, which, |it| it.via == Via::Session) else { return Ok(()) };
        let is_it = |it: &Received| it.device == gone.device && it.via == Via::Session && same_entry(&it.event, &gone.event);
        chat.calls.retain(|call| !matches!(call, Call::Received(received) if is_it(received)));
        // A device that receives nothing at all is known from its start.
        prop_assert!(kinds(&chat.calls).contains(&Kind::Lost));
    }

    #[test]
    fn an_accepted_message_that_nobody_gets_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let accepted: HashSet<_> = chat.calls.iter().filter_map(|call| match call {
            Call::Outcome(id, Outcome::Accepted { .. }) => Some(*id),
            _ => None,
        }).collect();
        let known = |it: &Received| it.event.entry.client_id.is_some_and(|id| accepted.contains(&id));
        let Some((_, gone)) = pick(&chat, which, |it| it.via == Via::Session && known(it)) else { return Ok(()) };
        let is_it = |it: &Received| same_entry(&it.event, &gone.event);
        chat.calls.retain(|call| !matches!(call, Call::Received(received) if is_it(received)));
        prop_assert!(kinds(&chat.calls).contains(&Kind::Lost));
    }

    #[test]
    fn a_repeat_in_a_session_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, again)) = pick(&chat, which, |it| it.via == Via::Session) else { return Ok(()) };
        chat.calls.insert(place + 1, Call::Received(again));
        prop_assert_eq!(kinds(&chat.calls), HashSet::from([Kind::Duplicated]));
    }

    #[test]
    fn a_message_under_two_numbers_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let fits = |it: &Received| it.via == Via::Session && is_message(&it.event);
        let Some((_, mut again)) = pick(&chat, which, fits) else { return Ok(()) };
        again.event.seq = last_seq(&chat) + 1;
        chat.calls.push(Call::Received(again));
        prop_assert!(kinds(&chat.calls).contains(&Kind::Duplicated));
    }

    #[test]
    fn two_swapped_entries_are_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let receipts = chat.receipts();
        let follower = |one: &(usize, Received)| {
            let mut later = receipts.iter().filter(|(place, it)| *place > one.0 && same_stream(it, &one.1));
            later.next().cloned()
        };
        let pairs: Vec<_> = receipts.iter().filter(|(_, it)| it.via == Via::Session)
            .filter_map(|one| Some((one.clone(), follower(one)?))).collect();
        if pairs.is_empty() { return Ok(()) }
        let (one, other) = pairs[which.index(pairs.len())].clone();
        chat.calls[one.0] = Call::Received(other.1);
        chat.calls[other.0] = Call::Received(one.1);
        prop_assert_eq!(kinds(&chat.calls), HashSet::from([Kind::Reordered]));
    }

    #[test]
    fn a_forged_message_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let fits = |it: &Received| it.via == Via::Session && is_message(&it.event);
        let Some((_, mut forged)) = pick(&chat, which, fits) else { return Ok(()) };
        forged.event.seq = last_seq(&chat) + 1;
        forged.event.entry.client_id = Some(ClientId::at(1));
        chat.calls.push(Call::Received(forged));
        prop_assert!(kinds(&chat.calls).contains(&Kind::Phantom));
    }

    #[test]
    fn a_message_in_anothers_name_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, mut forged)) = pick(&chat, which, |it| is_message(&it.event)) else { return Ok(()) };
        forged.event.entry.sender = natter_ids::UserId::new("mallory").unwrap();
        chat.calls[place] = Call::Received(forged);
        prop_assert!(kinds(&chat.calls).contains(&Kind::Phantom));
    }

    #[test]
    fn a_refused_message_that_appears_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((_, refused)) = pick(&chat, which, |it| is_message(&it.event)) else { return Ok(()) };
        let id = refused.event.entry.client_id.unwrap();
        for call in &mut chat.calls {
            match call {
                Call::Outcome(client_id, outcome) if *client_id == id => *outcome = Outcome::Refused,
                _ => {}
            }
        }
        prop_assert!(kinds(&chat.calls).contains(&Kind::Phantom));
    }

    #[test]
    fn an_altered_text_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, mut altered)) = pick(&chat, which, |it| is_message(&it.event)) else { return Ok(()) };
        let witnessed = witnessed(&chat, &altered.event);
        if let Change::Message { text, .. } = &mut altered.event.entry.change {
            text.push(' ');
        }
        chat.calls[place] = Call::Received(altered);
        let found = kinds(&chat.calls);
        prop_assert!(found.contains(&Kind::Phantom));
        prop_assert!(!witnessed || found.contains(&Kind::Divergent));
    }

    #[test]
    fn an_altered_time_or_link_is_found(ops in ops(), which: Index, link: bool) {
        let mut chat = Chat::run(&ops);
        let receipts = chat.receipts();
        let twice = |it: &Received| receipts.iter().filter(|(_, other)| other.event == it.event).count() > 1;
        let Some((place, mut altered)) = pick(&chat, which, twice) else { return Ok(()) };
        if link { altered.event.prev += 1 } else { altered.event.entry.time += 1 }
        chat.calls[place] = Call::Received(altered);
        prop_assert!(kinds(&chat.calls).contains(&Kind::Divergent));
    }

    #[test]
    fn a_leak_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        // The fourth user joins no room by himself.
        let outsider = pick(&chat, which, |it| it.user.as_str() == "user 3");
        let (_, mut leaked) = pick(&chat, which, |it| it.user.as_str() != "user 3").unwrap();
        let user = natter_ids::UserId::new("user 3").unwrap();
        let member = chat.calls.iter().any(|call| matches!(call, Call::Member(span)
            if span.user == user && span.conversation == leaked.event.conversation));
        if member { return Ok(()) }
        (leaked.user, leaked.device) = outsider.map_or((user, leaked.device), |(_, it)| (it.user, it.device));
        leaked.session = 99;
        chat.calls.push(Call::Received(leaked));
        prop_assert!(kinds(&chat.calls).contains(&Kind::Leaked));
    }

    #[test]
    fn a_broken_link_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((_, linked)) = pick(&chat, which, |it| it.event.prev > 0) else { return Ok(()) };
        rewrite(&mut chat.calls, &linked.event, |event| event.prev = 0);
        prop_assert!(kinds(&chat.calls).contains(&Kind::Unlinked));
    }

    #[test]
    fn a_message_accepted_under_anothers_number_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((_, other)) = pick(&chat, which, |it| it.event.prev == 0) else { return Ok(()) };
        let sender = other.user.clone();
        let (client_id, conversation) = (ClientId::at(5), other.event.conversation.clone());
        chat.calls.push(Call::Attempt(Attempt { sender, conversation, client_id, change: Change::message("x") }));
        chat.calls.push(Call::Outcome(client_id, Outcome::Accepted { seq: other.event.seq }));
        prop_assert!(kinds(&chat.calls).contains(&Kind::Divergent));
    }
}
