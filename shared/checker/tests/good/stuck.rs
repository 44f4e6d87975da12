//! What takes longer than it may is found, unless something was broken meanwhile.

use std::{collections::HashSet, time::Duration};

use natter_checker::{Kind, Received, Violation, check};
use proptest::{prelude::*, sample::Index};

use crate::{
    kinds,
    model::{Call, Chat, ops, record},
};

const BOUND: Duration = Duration::from_secs(1);
const TOO_LONG: Duration = Duration::from_millis(1_001);
const WHAT: &str = "a gateway";

/// The calls of a chat with a bound, and the place of a receipt of an entry that is new to a device and
/// not to everybody: whatever is put there delays it.
fn bounded(ops: &[crate::model::Op], which: Index) -> Option<(Vec<Call>, usize)> {
    let chat = Chat::run(ops);
    let (mut known, mut had) = (HashSet::new(), HashSet::new());
    let mut is_later = |it: &Received| {
        let entry = (it.event.conversation.clone(), it.event.seq);
        let first_of_all = known.insert(entry.clone());
        had.insert((it.device.clone(), entry)) && !first_of_all
    };
    let later: Vec<_> = chat.receipts().iter().filter(|(_, it)| is_later(it)).map(|(place, _)| *place).collect();
    let place = (!later.is_empty()).then(|| later[which.index(later.len())])?;
    let calls = std::iter::once(Call::Bound(BOUND)).chain(chat.calls).collect();
    Some((calls, place + 1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_late_entry_is_found(ops in ops(), which: Index) {
        let Some((mut calls, place)) = bounded(&ops, which) else { return Ok(()) };
        calls.insert(place, Call::Wait(BOUND));
        prop_assert_eq!(kinds(&calls), HashSet::new());
        calls[place] = Call::Wait(TOO_LONG);
        prop_assert_eq!(kinds(&calls), HashSet::from([Kind::Stuck]));
    }

    #[test]
    fn what_is_broken_excuses_what_is_late(ops in ops(), which: Index) {
        let Some((mut calls, place)) = bounded(&ops, which) else { return Ok(()) };
        let outage = [Call::Wait(BOUND), Call::Broken(WHAT), Call::Wait(TOO_LONG), Call::Mended, Call::Wait(BOUND)];
        calls.splice(place..place, outage);
        prop_assert_eq!(kinds(&calls), HashSet::new());
    }

    #[test]
    fn an_outage_that_comes_too_late_excuses_nothing(ops in ops(), which: Index) {
        let Some((mut calls, place)) = bounded(&ops, which) else { return Ok(()) };
        calls.splice(place..place, [Call::Wait(TOO_LONG), Call::Broken(WHAT), Call::Mended]);
        prop_assert_eq!(kinds(&calls), HashSet::from([Kind::Stuck]));
    }

    #[test]
    fn what_is_late_after_mending_is_found(ops in ops(), which: Index) {
        let Some((mut calls, place)) = bounded(&ops, which) else { return Ok(()) };
        calls.splice(place..place, [Call::Broken(WHAT), Call::Wait(BOUND), Call::Mended, Call::Wait(TOO_LONG)]);
        let found = check(&record(&calls).history());
        prop_assert!(!found.is_empty());
        for violation in found {
            let (Violation::Stuck { delay, .. } | Violation::StuckMessage { delay, .. }) = violation else {
                return Err(TestCaseError::fail(violation.to_string()));
            };
            prop_assert_eq!((delay.took, delay.after.as_deref()), (TOO_LONG, Some(WHAT)));
        }
    }
}
