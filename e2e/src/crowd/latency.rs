//! From the call of the sender to the notification of each receiver.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use natter_ids::ClientId;

/// Messages whose receipts are waited for; older ones count no more.
const REMEMBERED: usize = 10_000;

/// What took longer counts as this.
const LONGEST_MICROS: u64 = 60_000_000;

/// Measured since it was last taken.
pub(crate) struct Latency(Mutex<State>);

struct State {
    said: HashMap<ClientId, Instant>,
    /// In microseconds.
    heard: Histogram<u64>,
}

impl Latency {
    pub fn new() -> Self {
        let heard = Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("bounds that are possible");
        Self(Mutex::new(State { said: HashMap::new(), heard }))
    }

    pub fn said(&self, client_id: ClientId) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.said.len() >= REMEMBERED {
            state.said.clear();
        }
        state.said.insert(client_id, Instant::now());
    }

    pub fn heard(&self, client_id: ClientId) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(said) = state.said.get(&client_id) {
            let micros = u64::try_from(said.elapsed().as_micros()).unwrap_or(u64::MAX);
            state.heard.saturating_record(micros);
        }
    }

    /// The 99th percentile, and a new beginning.
    pub fn take_p99(&self) -> Duration {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of nothing there is none: whoever asks must have let people talk.
        assert!(!state.heard.is_empty() || state.said.is_empty(), "people talked, and nobody heard anything");
        let p99 = Duration::from_micros(state.heard.value_at_quantile(0.99));
        state.said.clear();
        state.heard.reset();
        p99
    }
}
