//! What becomes of messages otherwise than their changes say is found, and marks that go back.

use std::collections::HashSet;

use natter_checker::{Kind, Mismatch, Outcome, Reading, Source, Violation, check};
use natter_ids::ClientId;
use natter_protocol::{Change, Event};
use proptest::{prelude::*, sample::Index};

use crate::{
    is_message, kinds, last_seq,
    model::{Call, Chat, ops, record},
    pick, same_entry,
};

/// A reading that fits, any of them, to break it.
fn a_reading(chat: &mut Chat, which: Index, fits: impl Fn(&Reading) -> bool) -> Option<&mut Reading> {
    let readings = chat.calls.iter_mut().filter_map(|call| match call {
        Call::Reading(reading) => Some(reading),
        _ => None,
    });
    let mut fitting: Vec<_> = readings.filter(|reading| fits(reading)).collect();
    (!fitting.is_empty()).then(|| fitting.swap_remove(which.index(fitting.len())))
}

fn is_history(reading: &Reading) -> bool {
    matches!(reading.source, Source::History(_))
}

fn is_change(event: &Event) -> bool {
    matches!(event.entry.change, Change::Edited { .. } | Change::Deleted { .. } | Change::Reacted { .. })
}

/// What readings are found to say wrongly.
fn mismatches(chat: &Chat) -> HashSet<String> {
    let of = |violation| match violation {
        Violation::Reading { mismatch, .. } => Some(mismatch.to_string()),
        _ => None,
    };
    check(&record(&chat.calls).history()).into_iter().filter_map(of).collect()
}

/// The messages of a reading that were edited, and what they said first.
fn edited(chat: &Chat) -> Vec<(Event, Change)> {
    let receipts = chat.receipts();
    let first =
        |now: &Event| receipts.iter().find(|(_, it)| same_entry(&it.event, now)).map(|(_, it)| it.event.clone());
    let shown = chat.calls.iter().filter_map(|call| match call {
        Call::Reading(reading) if is_history(reading) => Some(reading.events.iter().filter(|it| is_message(it))),
        _ => None,
    });
    let with_first = shown.flatten().filter_map(|now| Some((now.clone(), first(now)?.entry.change)));
    with_first.filter(|(now, first)| matches!(first, Change::Message { .. }) && now.entry.change != *first).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_edit_that_came_to_nothing_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let edited = edited(&chat);
        if edited.is_empty() { return Ok(()) }
        let (now, first) = &edited[which.index(edited.len())];
        let shows = |reading: &Reading| is_history(reading) && reading.events.contains(now);
        let reading = a_reading(&mut chat, which, shows).unwrap();
        reading.events.iter_mut().find(|event| *event == now).unwrap().entry.change = first.clone();
        prop_assert_eq!(mismatches(&chat), HashSet::from([Mismatch::OtherText.to_string()]));
    }

    #[test]
    fn a_state_told_wrongly_is_found(ops in ops(), which: Index, how in 0..4) {
        let mut chat = Chat::run(&ops);
        let Some(reading) = a_reading(&mut chat, which, |reading| !reading.states.is_empty()) else { return Ok(()) };
        let place = which.index(reading.states.len());
        let state = &mut reading.states[place];
        match (how, state.reactions.first_mut()) {
            (0, Some(view)) => view.count += 1,
            (1, Some(view)) => view.mine = !view.mine,
            (2, Some(_)) => drop(state.reactions.pop()),
            _ => drop(reading.states.remove(place)),
        }
        prop_assert_eq!(mismatches(&chat), HashSet::from([Mismatch::OtherState.to_string()]));
    }

    #[test]
    fn a_deleted_text_that_is_still_there_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let receipts = chat.receipts();
        let is_erased = |event: &Event| matches!(event.entry.change, Change::Erased { .. });
        let Some(reading) = a_reading(&mut chat, which, |reading| reading.events.iter().any(is_erased)) else {
            return Ok(());
        };
        let erased = reading.events.iter_mut().find(|event| is_erased(event)).unwrap();
        let seen = receipts.iter().find(|(_, it)| same_entry(&it.event, erased) && !is_erased(&it.event));
        let Some((_, seen)) = seen else { return Ok(()) };
        *erased = seen.event.clone();
        // Whoever resumes may not have it either because the message is from before they came.
        let found = mismatches(&chat);
        let [deleted, hidden] = [Mismatch::KeepsDeleted, Mismatch::Leaks].map(|it| HashSet::from([it.to_string()]));
        prop_assert!(found == deleted || found == hidden, "{:?}", found);
    }

    #[test]
    fn what_changes_a_message_from_before_somebody_came_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let receipts = chat.receipts();
        let is_hidden = |event: &Event| {
            matches!(&event.entry.change, Change::Erased { was } if was == "reacted" || was == "deleted")
        };
        let Some(reading) = a_reading(&mut chat, which, |reading| reading.events.iter().any(is_hidden)) else {
            return Ok(());
        };
        let hidden = reading.events.iter_mut().find(|event| is_hidden(event)).unwrap();
        let seen = receipts.iter().find(|(_, it)| same_entry(&it.event, hidden) && is_change(&it.event));
        let Some((_, seen)) = seen else { return Ok(()) };
        *hidden = seen.event.clone();
        prop_assert_eq!(mismatches(&chat), HashSet::from([Mismatch::Leaks.to_string()]));
    }

    #[test]
    fn a_text_lost_without_a_deletion_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some(reading) = a_reading(&mut chat, which, |reading| reading.events.iter().any(is_message)) else {
            return Ok(());
        };
        let message = reading.events.iter_mut().find(|event| is_message(event)).unwrap();
        message.entry.change = Change::Erased { was: "message".to_owned() };
        prop_assert_eq!(mismatches(&chat), HashSet::from([Mismatch::LacksText.to_string()]));
    }

    #[test]
    fn a_change_that_stands_in_history_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((_, change)) = pick(&chat, which, |it| is_change(&it.event)) else { return Ok(()) };
        let conversation = change.event.conversation.clone();
        let of_it = |reading: &Reading| is_history(reading) && reading.conversation == conversation;
        let Some(reading) = a_reading(&mut chat, which, of_it) else { return Ok(()) };
        reading.events.push(change.event);
        prop_assert!(mismatches(&chat).contains(&Mismatch::ShowsChange.to_string()));
    }

    #[test]
    fn a_change_that_happened_twice_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((_, mut again)) = pick(&chat, which, |it| is_change(&it.event)) else { return Ok(()) };
        again.event.seq = last_seq(&chat) + 1;
        chat.calls.push(Call::Received(again));
        prop_assert!(kinds(&chat.calls).contains(&Kind::Duplicated));
    }

    #[test]
    fn a_change_that_nobody_made_is_found(ops in ops(), which: Index, refused: bool) {
        let mut chat = Chat::run(&ops);
        let Some((place, mut forged)) = pick(&chat, which, |it| is_change(&it.event)) else { return Ok(()) };
        let id = forged.event.entry.client_id.unwrap();
        if refused {
            for call in &mut chat.calls {
                match call {
                    Call::Outcome(client_id, outcome) if *client_id == id => *outcome = Outcome::Refused,
                    _ => {}
                }
            }
        } else {
            forged.event.entry.client_id = Some(ClientId::at(1));
            chat.calls[place] = Call::Received(forged);
        }
        prop_assert!(kinds(&chat.calls).contains(&Kind::Phantom));
    }

    #[test]
    fn a_mark_that_goes_back_is_found(ops in ops(), which: Index, read: bool) {
        let mut chat = Chat::run(&ops);
        let marks: Vec<_> = chat.calls.iter().enumerate().filter_map(|(place, call)| match call {
            Call::Mark(mark) if mark.read > 0 => Some((place, mark.clone())),
            _ => None,
        }).collect();
        if marks.is_empty() { return Ok(()) }
        let (place, mut fell) = marks[which.index(marks.len())].clone();
        if read { fell.read -= 1 } else { fell.delivered -= 1 }
        chat.calls.insert(place + 1, Call::Mark(fell.clone()));
        prop_assert_eq!(kinds(&chat.calls), HashSet::from([Kind::Regressed]));
        // Another device that asks must not be told less either.
        (fell.device, fell.asked) = (natter_ids::DeviceId::new("another").unwrap(), true);
        chat.calls[place + 1] = Call::Mark(fell.clone());
        let asked = marks.iter().any(|(before, mark)| *before <= place && mark.asked
            && (&mark.user, &mark.conversation) == (&fell.user, &fell.conversation) && mark.read > fell.read);
        if asked {
            prop_assert_eq!(kinds(&chat.calls), HashSet::from([Kind::Regressed]));
        }
    }

    #[test]
    fn a_mark_beyond_what_was_said_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let marks: Vec<_> = chat.calls.iter().enumerate().filter(|(_, call)| matches!(call, Call::Mark(_))).collect();
        if marks.is_empty() { return Ok(()) }
        let place = marks[which.index(marks.len())].0;
        let beyond = last_seq(&chat) + 1;
        let Call::Mark(mark) = &mut chat.calls[place] else { unreachable!() };
        mark.read = beyond;
        prop_assert!(kinds(&chat.calls).contains(&Kind::Phantom));
    }
}
