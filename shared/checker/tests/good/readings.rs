//! What history, a new device or the archive shows otherwise than devices received it is found.

use std::collections::HashSet;

use natter_checker::{Kind, Mismatch, Outcome, Reading, Received, Source, Violation, check};
use natter_ids::ClientId;
use natter_protocol::{Change, Event};
use proptest::{prelude::*, sample::Index};

use crate::{
    is_message, kinds, last_seq,
    model::{Call, Chat, ops, record},
    pick, same_entry,
};

/// An entry that fits of a reading, any of them: the place of the reading among the calls, and of
/// the entry in it.
fn pick_read(chat: &Chat, which: Index, fits: impl Fn(&Event) -> bool) -> Option<(usize, usize)> {
    let readings = chat.calls.iter().enumerate().filter_map(|(place, call)| match call {
        Call::Reading(reading) => Some((place, reading)),
        _ => None,
    });
    let entries = readings.flat_map(|(place, reading)| reading.events.iter().enumerate().map(move |it| (place, it)));
    let fitting: Vec<_> = entries.filter(|(_, (_, event))| fits(event)).map(|(place, (at, _))| (place, at)).collect();
    (!fitting.is_empty()).then(|| fitting[which.index(fitting.len())])
}

fn reading(chat: &mut Chat, place: usize) -> &mut Reading {
    let Call::Reading(reading) = &mut chat.calls[place] else { panic!("call {place} is no reading") };
    reading
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_hole_in_a_reading_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, entry)) = pick_read(&chat, which, |_| true) else { return Ok(()) };
        reading(&mut chat, place).events.remove(entry);
        prop_assert_eq!(kinds(&chat.calls), HashSet::from([Kind::Divergent]));
    }

    #[test]
    fn a_reading_cut_short_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, entry)) = pick_read(&chat, which, |_| true) else { return Ok(()) };
        reading(&mut chat, place).events.truncate(entry);
        prop_assert_eq!(kinds(&chat.calls), HashSet::from([Kind::Divergent]));
    }

    #[test]
    fn two_swapped_entries_of_a_reading_are_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, entry)) = pick_read(&chat, which, |_| true) else { return Ok(()) };
        let events = &mut reading(&mut chat, place).events;
        if entry + 1 == events.len() { return Ok(()) }
        events.swap(entry, entry + 1);
        prop_assert_eq!(kinds(&chat.calls), HashSet::from([Kind::Divergent]));
    }

    #[test]
    fn two_entries_of_a_reading_under_each_others_number_are_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, entry)) = pick_read(&chat, which, |_| true) else { return Ok(()) };
        let events = &mut reading(&mut chat, place).events;
        if entry + 1 == events.len() { return Ok(()) }
        let (one, other) = (events[entry].entry.clone(), events[entry + 1].entry.clone());
        (events[entry].entry, events[entry + 1].entry) = (other, one);
        prop_assert!(kinds(&chat.calls).contains(&Kind::Divergent));
    }

    #[test]
    fn a_repeat_in_a_reading_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, entry)) = pick_read(&chat, which, |_| true) else { return Ok(()) };
        let events = &mut reading(&mut chat, place).events;
        events.insert(entry, events[entry].clone());
        prop_assert_eq!(kinds(&chat.calls), HashSet::from([Kind::Divergent]));
    }

    #[test]
    fn an_altered_text_in_a_reading_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, entry)) = pick_read(&chat, which, is_message) else { return Ok(()) };
        if let Change::Message { text, .. } = &mut reading(&mut chat, place).events[entry].entry.change {
            text.push(' ');
        }
        let found = kinds(&chat.calls);
        prop_assert!(found.contains(&Kind::Phantom) && found.contains(&Kind::Divergent));
    }

    #[test]
    fn a_forged_message_in_a_reading_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, entry)) = pick_read(&chat, which, is_message) else { return Ok(()) };
        let seq = last_seq(&chat) + 1;
        let events = &mut reading(&mut chat, place).events;
        let mut forged = events[entry].clone();
        (forged.seq, forged.entry.client_id) = (seq, Some(ClientId::at(1)));
        events.push(forged);
        prop_assert!(kinds(&chat.calls).contains(&Kind::Phantom));
    }

    #[test]
    fn what_stands_in_one_reading_alone_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let Some((place, entry)) = pick_read(&chat, which, |_| true) else { return Ok(()) };
        let seq = last_seq(&chat) + 1;
        let events = &mut reading(&mut chat, place).events;
        let mut extra = events[entry].clone();
        extra.prev = events.last().map_or(0, |event| event.seq);
        (extra.seq, extra.entry.change) = (seq, Change::MemberLeft {});
        events.push(extra);
        prop_assert!(!kinds(&chat.calls).is_empty());
    }

    #[test]
    fn a_leak_in_a_reading_is_found(ops in ops(), which: Index, other: Index) {
        let mut chat = Chat::run(&ops);
        let receipts = chat.receipts();
        let Some((place, _)) = pick_read(&chat, which, |_| true) else { return Ok(()) };
        let foreign = receipts[other.index(receipts.len())].1.event.clone();
        let reading = reading(&mut chat, place);
        if foreign.conversation == reading.conversation { return Ok(()) }
        reading.events.insert(0, foreign);
        prop_assert!(kinds(&chat.calls).contains(&Kind::Leaked));
    }

    #[test]
    fn an_accepted_message_that_stands_nowhere_is_found(ops in ops(), which: Index) {
        let mut chat = Chat::run(&ops);
        let accepted: HashSet<_> = chat.calls.iter().filter_map(|call| match call {
            Call::Outcome(id, Outcome::Accepted { .. }) => Some(*id),
            _ => None,
        }).collect();
        let known = |it: &Received| it.event.entry.client_id.is_some_and(|id| accepted.contains(&id));
        let Some((_, gone)) = pick(&chat, which, known) else { return Ok(()) };
        let is_it = |event: &Event| same_entry(event, &gone.event);
        chat.calls.retain(|call| !matches!(call, Call::Received(received) if is_it(&received.event)));
        for call in &mut chat.calls {
            if let Call::Reading(reading) = call {
                reading.events.retain(|event| !is_it(event));
            }
        }
        let conversation = &gone.event.conversation;
        let lost = |violation: &Violation| matches!(violation, Violation::Reading {
            place: Source::Archive, conversation: of, mismatch: Mismatch::LacksLikeAll, ..
        } if of == conversation);
        prop_assert!(check(&record(&chat.calls).history()).iter().any(lost));
    }
}
