//! What others are doing right now, as far as there is room to tell it: of each only the newest, and
//! nothing that is no longer true. It never stands in the way of an event.

use std::time::Duration;

use natter_bus::Typing;
use natter_protocol::ServerFrame;
use tokio::time::Instant;

/// Most that waits; of more, the oldest is dropped.
const WAITING_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Whispers(Vec<(Typing, Instant)>);

impl Whispers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the newest of somebody in a conversation.
    pub(super) fn add(&mut self, typing: Typing) {
        self.0.retain(|(known, _)| (&known.conversation, &known.user) != (&typing.conversation, &typing.user));
        if self.0.len() >= WAITING_MAX {
            self.0.remove(0);
        }
        let until = Instant::now() + Duration::from_millis(typing.expires_in_ms.into());
        self.0.push((typing, until));
    }

    /// What is still true, to be told now.
    pub(super) fn take(&mut self) -> Vec<ServerFrame> {
        let now = Instant::now();
        let frame = |(typing, until): (Typing, Instant)| {
            let left = u32::try_from(until.saturating_duration_since(now).as_millis()).unwrap_or(u32::MAX);
            let Typing { conversation, user, expires_in_ms } = typing;
            let over = expires_in_ms > 0 && left == 0;
            // That somebody has stopped stays true.
            (!over).then_some(ServerFrame::Typing { conversation, user, expires_in_ms: left })
        };
        self.0.drain(..).filter_map(frame).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_ids::{ConversationId, UserId};

    use super::*;

    fn typing(name: &str, expires_in_ms: u32) -> Typing {
        let user = |name| UserId::new(name).unwrap();
        let conversation = ConversationId::direct(&user("alice"), &user("bob"));
        Typing { conversation, user: user(name), expires_in_ms }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_newest_of_each_waits_and_nothing_that_is_over() {
        let mut whispers = Whispers::default();
        for _ in 0..1_000 {
            whispers.add(typing("bob", 6_000));
        }
        assert_eq!(whispers.0.len(), 1);
        whispers.add(typing("bob", 0));
        whispers.add(typing("carol", 500));
        whispers.add(typing("dave", 2_000));
        tokio::time::advance(Duration::from_millis(1_500)).await;
        let told: Vec<_> = whispers
            .take()
            .into_iter()
            .map(|frame| match frame {
                ServerFrame::Typing { user, expires_in_ms, .. } => (user.to_string(), expires_in_ms),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, [("bob".to_owned(), 0), ("dave".to_owned(), 500)]);
        assert!(whispers.is_empty());
        for number in 0..10_000 {
            whispers.add(typing(&number.to_string(), 6_000));
        }
        assert_eq!(whispers.0.len(), WAITING_MAX);
    }
}
