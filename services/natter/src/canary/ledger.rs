//! What one of the pair was sent and has heard: finds what is lost, doubled or out of order.

use std::collections::BTreeMap;

use super::stage::Stage;

/// Messages that may be on their way at once; with that many missing no more are sent.
pub const OUTSTANDING_MAX: usize = 16;
/// Numbers of messages behind the last one heard that are remembered.
const BEHIND_MAX: usize = 64;

/// Why a message behind the last one heard has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// The log has it; it was passed over.
    LeftOut,
    /// Nobody knows whether the log has it: it may come at any time, or never.
    GivenUp,
}

/// The messages of one direction, numbered from 1.
#[derive(Debug)]
pub struct Ledger {
    /// Tells this process's messages from those of earlier ones.
    run: String,
    last_sent: u64,
    last_heard: u64,
    /// Not heard yet; whether the log is known to have them.
    outstanding: BTreeMap<u64, bool>,
    behind: BTreeMap<u64, Behind>,
}

impl Ledger {
    pub fn new(run: String) -> Self {
        Self { run, last_sent: 0, last_heard: 0, outstanding: BTreeMap::new(), behind: BTreeMap::new() }
    }

    /// The number of the next message; `None` when too many are missing.
    pub fn next(&mut self) -> Option<u64> {
        if self.outstanding.len() >= OUTSTANDING_MAX {
            return None;
        }
        self.last_sent += 1;
        self.outstanding.insert(self.last_sent, false);
        Some(self.last_sent)
    }

    pub fn text(&self, number: u64) -> String {
        format!("natter canary {} {number}", self.run)
    }

    /// The log has it.
    pub fn accepted(&mut self, number: u64) {
        if let Some(stored) = self.outstanding.get_mut(&number) {
            *stored = true;
        }
    }

    /// Nobody knows whether the log has it, and it is not waited for.
    pub fn give_up(&mut self, number: u64) {
        if self.outstanding.remove(&number).is_some() {
            self.keep_behind(number, Behind::GivenUp);
        }
    }

    pub fn has_heard(&self, number: u64) -> bool {
        self.last_heard >= number
    }

    /// How many the log has that were not heard yet.
    pub fn missing(&self) -> usize {
        self.outstanding.values().filter(|stored| **stored).count()
    }

    /// A message came. Texts of others are not looked at.
    pub fn hears(&mut self, text: &str) -> Vec<(Stage, u64)> {
        let ours = text.strip_prefix("natter canary ").and_then(|rest| rest.strip_prefix(&self.run));
        let Some(number) = ours.and_then(|rest| rest.trim().parse::<u64>().ok()) else { return Vec::new() };
        let behind = self.behind.remove(&number);
        if number <= self.last_heard {
            return match behind {
                Some(Behind::GivenUp) => Vec::new(),
                Some(Behind::LeftOut) => vec![(Stage::Order, number)],
                None => vec![(Stage::Double, number)],
            };
        }
        self.last_heard = number;
        let later = self.outstanding.split_off(&(number + 1));
        let passed_over = std::mem::replace(&mut self.outstanding, later);
        let mut faults = Vec::new();
        for (skipped, stored) in passed_over.into_iter().filter(|(other, _)| *other != number) {
            // One that was never accepted need not exist.
            if stored {
                faults.push((Stage::Lost, skipped));
            }
            self.keep_behind(skipped, if stored { Behind::LeftOut } else { Behind::GivenUp });
        }
        faults
    }

    fn keep_behind(&mut self, number: u64, why: Behind) {
        self.behind.insert(number, why);
        while self.behind.len() > BEHIND_MAX {
            self.behind.pop_first();
        }
    }

    /// What is on its way will never come; returns how many that are.
    pub fn forget(&mut self) -> usize {
        let missing = self.missing();
        for (number, _) in std::mem::take(&mut self.outstanding) {
            self.keep_behind(number, Behind::GivenUp);
        }
        missing
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sent(count: u64) -> Ledger {
        let mut ledger = Ledger::new("abc".to_owned());
        for _ in 0..count {
            let number = ledger.next().unwrap();
            ledger.accepted(number);
        }
        ledger
    }

    fn hear(ledger: &mut Ledger, number: u64) -> Vec<(Stage, u64)> {
        ledger.hears(&ledger.text(number))
    }

    #[test]
    fn everything_once_and_in_order_is_no_fault() {
        let mut ledger = sent(3);
        for number in 1..=3 {
            assert_eq!(hear(&mut ledger, number), []);
        }
        assert_eq!(ledger.missing(), 0);
        assert!(ledger.has_heard(3));
    }

    #[test]
    fn what_is_left_out_is_lost_and_out_of_order_when_it_comes_after_all() {
        let mut ledger = sent(3);
        assert_eq!(hear(&mut ledger, 3), [(Stage::Lost, 1), (Stage::Lost, 2)]);
        assert_eq!(hear(&mut ledger, 2), [(Stage::Order, 2)]);
        assert_eq!(hear(&mut ledger, 2), [(Stage::Double, 2)]);
        assert_eq!(hear(&mut ledger, 3), [(Stage::Double, 3)]);
    }

    #[test]
    fn what_was_never_accepted_may_be_missing() {
        let mut ledger = sent(1);
        ledger.next().unwrap();
        let third = ledger.next().unwrap();
        assert_eq!(hear(&mut ledger, 1), []);
        ledger.give_up(2);
        assert_eq!(hear(&mut ledger, third), []);
        assert_eq!(hear(&mut ledger, 2), [], "given up is not promised to stay away");
        assert_eq!(hear(&mut ledger, 2), [(Stage::Double, 2)]);
    }

    #[test]
    fn messages_of_others_are_not_looked_at() {
        let mut ledger = sent(1);
        for text in ["hello", "natter canary other 7", "natter canary abc", "natter canary abc x"] {
            assert_eq!(ledger.hears(text), [], "{text}");
        }
        assert_eq!(ledger.missing(), 1);
    }

    #[test]
    fn only_so_many_are_on_their_way() {
        let mut ledger = sent(OUTSTANDING_MAX as u64);
        assert_eq!(ledger.next(), None);
        assert_eq!(hear(&mut ledger, 1), []);
        assert!(ledger.next().is_some());
        assert_eq!(ledger.forget(), OUTSTANDING_MAX - 1);
        assert_eq!(ledger.missing(), 0);
        assert!(ledger.next().is_some());
    }
}
