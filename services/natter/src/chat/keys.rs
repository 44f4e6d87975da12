//! Telling, key by key, that somebody is writing something to say.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use rustyline::{Context, Helper, completion::Completer, highlight::Highlighter, hint::Hinter, validate::Validator};
use tokio::sync::mpsc;

use super::command::Line;

/// After how long it is told again; others are shown it for twice as long.
const AGAIN: Duration = Duration::from_secs(3);

/// Looks at the line after each key: the editor asks it for a hint, and gets none.
pub struct Keys {
    tell: mpsc::Sender<bool>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    line: String,
    told: Option<Instant>,
}

impl Keys {
    pub fn new(tell: mpsc::Sender<bool>) -> Self {
        Self { tell, state: RefCell::default() }
    }

    /// The line goes off: what is said tells by itself that nobody writes it any more.
    pub fn line_ends(&self) {
        *self.state.borrow_mut() = State::default();
    }
}

impl State {
    /// What to tell now that the line looks like this. The editor also asks when it draws a line anew
    /// that nobody has touched.
    fn see(&mut self, line: &str, now: Instant) -> Option<bool> {
        if self.line == line {
            return None;
        }
        line.clone_into(&mut self.line);
        if !matches!(Line::parse(line), Line::Say(_)) {
            return self.told.take().map(|_| false);
        }
        let due = self.told.is_none_or(|told| now.duration_since(told) >= AGAIN);
        due.then(|| self.told = Some(now)).map(|()| true)
    }
}

impl Hinter for Keys {
    type Hint = String;

    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        if let Some(writes) = self.state.borrow_mut().see(line, Instant::now()) {
            // Whoever does not come to read it has more important things to do.
            let _ = self.tell.try_send(writes);
        }
        None
    }
}

impl Completer for Keys {
    type Candidate = String;
}

impl Highlighter for Keys {}
impl Validator for Keys {}
impl Helper for Keys {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_first_and_then_now_and_again() {
        let (mut state, now) = (State::default(), Instant::now());
        assert_eq!(state.see("", now), None);
        assert_eq!(state.see("h", now), Some(true));
        assert_eq!(state.see("he", now + AGAIN / 2), None);
        assert_eq!(state.see("he", now + AGAIN), None, "drawn anew");
        assert_eq!(state.see("hel", now + AGAIN), Some(true));
        assert_eq!(state.see("", now + AGAIN), Some(false), "taken back");
        assert_eq!(state.see("x", now + AGAIN), Some(true));
    }

    #[test]
    fn of_a_command_nothing_is_told() {
        let (mut state, now) = (State::default(), Instant::now());
        let told: Vec<_> = ["/", "/w", "/who", "", " "].iter().filter_map(|line| state.see(line, now)).collect();
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(state.see("//who", now), Some(true), "it says `/who`");
    }
}
