//! Where notifications leave for the application.

use std::{collections::VecDeque, sync::Arc};

use natter_ids::Position;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{Notification, shared::Shared};

/// What goes to the handle.
#[derive(Debug)]
pub(crate) enum Told {
    /// For the application.
    Notification(Notification),
    /// Whoever has read what came before has been told of marks up to here.
    MarksReach(Option<Position>),
}

/// A bounded channel, and what did not fit into it: never more than one event, and what one
/// frame or one end of a session brings. Nothing is read from a gateway while something waits.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// `None` when the application wants no notifications.
    sender: Option<mpsc::Sender<Told>>,
    waiting: VecDeque<Told>,
    shared: Arc<Shared>,
}

impl Outlet {
    pub fn new(sender: Option<mpsc::Sender<Told>>, shared: Arc<Shared>) -> Self {
        Self { sender, waiting: VecDeque::new(), shared }
    }

    /// Whether the application has to read first.
    pub fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub fn tell(&mut self, notification: Notification) {
        self.put(Told::Notification(notification));
    }

    /// Says up to where marks were told, once what was told before is read.
    pub fn reach_marks(&mut self, position: Option<Position>) {
        self.put(Told::MarksReach(position));
    }

    fn put(&mut self, told: Told) {
        let Some(sender) = &self.sender else {
            // What an application does not want to see it has seen.
            self.shared.see(&told);
            return;
        };
        if self.waiting.is_empty() {
            match sender.try_send(told) {
                Err(TrySendError::Full(told)) => self.waiting.push_back(told),
                // The handle is gone, and this task soon.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
            }
        } else {
            self.waiting.push_back(told);
        }
    }

    /// Waits until everything told is in the channel. Cancel safe.
    pub async fn drain(&mut self) {
        let Some(sender) = &self.sender else { return };
        while !self.waiting.is_empty() {
            let Ok(room) = sender.reserve().await else {
                self.waiting.clear();
                return;
            };
            if let Some(told) = self.waiting.pop_front() {
                room.send(told);
            }
        }
        // A gateway's answer about many watched users grew it once.
        self.waiting = VecDeque::new();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn delayed(number: u64) -> Notification {
        Notification::ResumeDelayed(number.to_string())
    }

    #[tokio::test]
    async fn what_does_not_fit_waits_in_order() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut outlet = Outlet::new(Some(sender), Arc::default());
        (0..3).for_each(|number| outlet.tell(delayed(number)));
        assert!(outlet.is_blocked());
        let reader = async {
            let mut read = Vec::new();
            while read.len() < 3 {
                match receiver.recv().await.unwrap() {
                    Told::Notification(notification) => read.push(notification),
                    told => panic!("{told:?}"),
                }
            }
            read
        };
        let ((), read) = tokio::join!(outlet.drain(), reader);
        assert_eq!(read, [delayed(0), delayed(1), delayed(2)]);
        assert!(!outlet.is_blocked());
    }

    #[test]
    fn what_is_discarded_moves_the_position() {
        let shared = Arc::new(Shared::default());
        let mut outlet = Outlet::new(None, Arc::clone(&shared));
        let position = Position::from_seqs([4_u64]);
        outlet.tell(Notification::CaughtUp(position.clone()));
        assert_eq!(shared.position(), Some(position));
        assert!(!outlet.is_blocked());
    }
}
