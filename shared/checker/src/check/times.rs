//! When something was broken, and until when something is due.

use std::time::Duration;

use crate::Delay;

#[derive(Default)]
pub(super) struct Times<'a> {
    /// The time of the newest record, in milliseconds.
    pub now: u64,
    pub bound: Option<u64>,
    outages: Vec<Outage<'a>>,
}

struct Outage<'a> {
    what: &'a str,
    from: u64,
    /// Absent: to the end.
    to: Option<u64>,
}

impl<'a> Times<'a> {
    pub fn broken(&mut self, what: &'a str) {
        self.outages.push(Outage { what, from: self.now, to: None });
    }

    pub fn mended(&mut self) {
        let now = self.now;
        self.outages.iter_mut().filter(|outage| outage.to.is_none()).for_each(|outage| outage.to = Some(now));
    }

    /// How late something was that could begin at one time and was done at another; none when it
    /// was in time. What is not done when something breaks has the whole bound again from the
    /// moment on at which that is mended.
    pub fn late(&self, since: u64, done: u64) -> Option<Delay> {
        let bound = self.bound?;
        let (mut start, mut after) = (since, None);
        for Outage { what, from, to } in &self.outages {
            if *from > start + bound {
                break;
            }
            let to = (*to)?;
            if to >= start {
                (start, after) = (to, Some((*what).to_owned()));
            }
        }
        let took = Duration::from_millis(done.saturating_sub(start));
        let bound = Duration::from_millis(bound);
        (took > bound).then_some(Delay { took, bound, after })
    }
}
