//! A device of a user, as tests tell its story.

use std::time::Duration;

use natter_client::{Accepted, Client, ClientBuilder, DisconnectReason, Notification};
use natter_ids::{ClientId, ConversationId, Position, UserId};
use natter_protocol::{Change, Event, PresenceView};
use tokio::time::timeout;

use crate::people::user;

/// How long anything may take to reach a device. Generous: a takeover and a busy machine are in it.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// A device with a client. Methods panic where a test would.
pub struct Device {
    client: Client,
    name: String,
}

impl Device {
    /// Starts a client of the user; it connects in the background.
    ///
    /// # Panics
    /// When the settings cannot work.
    pub fn connect(name: &str, builder: ClientBuilder) -> Self {
        let client = builder.connect().expect("settings of a client");
        Self { client, name: name.to_owned() }
    }

    /// The client itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whose device.
    pub fn user(&self) -> UserId {
        user(&self.name)
    }

    /// Opens, or finds, the direct conversation with somebody.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn direct(&self, peer: &str) -> ConversationId {
        let opened = self.client.open_direct(&user(peer)).await;
        opened.unwrap_or_else(|error| panic!("{} opens a conversation with {peer}: {error}", self.name)).conversation
    }

    /// Creates a group with these members.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn group(&self, name: &str, members: &[&str]) -> ConversationId {
        let members: Vec<_> = members.iter().map(|name| user(name)).collect();
        let created = self.client.create_group(name, &members).await;
        created.unwrap_or_else(|error| panic!("{} creates {name}: {error}", self.name)).conversation
    }

    /// Says something and waits until it is accepted.
    ///
    /// # Panics
    /// When it is not accepted in time.
    pub async fn say(&self, to: &ConversationId, text: &str) -> Accepted {
        self.say_as(to, self.client.new_client_id(), text).await
    }

    /// Like [`Device::say`], under a given id.
    ///
    /// # Panics
    /// When it is not accepted in time.
    pub async fn say_as(&self, to: &ConversationId, id: ClientId, text: &str) -> Accepted {
        let sent = timeout(PATIENCE, self.client.send_with_id(to.clone(), id, text)).await;
        let sent = sent.unwrap_or_else(|_| panic!("{} was not answered in {PATIENCE:?}", self.name));
        sent.unwrap_or_else(|error| panic!("{}'s message was not accepted: {error}", self.name))
    }

    /// The next thing that the client tells.
    ///
    /// # Panics
    /// When nothing comes in time, or the client gave up.
    pub async fn next(&self) -> Notification {
        let next = timeout(PATIENCE, self.client.next_event()).await;
        let next = next.unwrap_or_else(|_| panic!("{} waited {PATIENCE:?} in vain", self.name));
        match next {
            Some(Notification::Fatal(fatal)) => panic!("{}'s client gave up: {fatal}", self.name),
            Some(next) => next,
            None => panic!("{}'s client is closed", self.name),
        }
    }

    /// The first thing that `wanted` takes; the rest before it is passed over, events too.
    ///
    /// # Panics
    /// As [`Device::next`].
    pub async fn find<T>(&self, mut wanted: impl FnMut(Notification) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    /// Waits until everything missed has come.
    ///
    /// # Panics
    /// As [`Device::next`], and when an event comes before.
    pub async fn caught_up(&self) -> Position {
        self.find(|next| match next {
            Notification::CaughtUp(position) => Some(position),
            Notification::Event(event, _) => panic!("{} has missed nothing, but got {event:?}", self.name),
            _ => None,
        })
        .await
    }

    /// Waits until the session has ended, and says why.
    ///
    /// # Panics
    /// As [`Device::next`].
    pub async fn disconnected(&self) -> DisconnectReason {
        let ended = |next| match next {
            Notification::Disconnected { reason, .. } => Some(reason),
            _ => None,
        };
        self.find(ended).await
    }

    /// The next event.
    ///
    /// # Panics
    /// As [`Device::next`].
    pub async fn event(&self) -> Event {
        let event = |next| match next {
            Notification::Event(event, _) => Some(*event),
            _ => None,
        };
        self.find(event).await
    }

    /// The next message; other events are passed over.
    ///
    /// # Panics
    /// As [`Device::next`].
    pub async fn message(&self) -> (Event, String) {
        loop {
            let event = self.event().await;
            if let Change::Message { text, .. } = &event.entry.change {
                let text = text.clone();
                return (event, text);
            }
        }
    }

    /// Asserts that exactly these messages come next.
    ///
    /// # Panics
    /// When another message comes, or none in time.
    pub async fn hears(&self, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        for text in texts {
            let (_, heard) = self.message().await;
            assert_eq!(heard, text.as_ref(), "{} hears something else", self.name);
        }
    }

    /// Waits until a watched user is seen online or offline.
    ///
    /// # Panics
    /// As [`Device::next`].
    pub async fn sees(&self, who: &str, online: bool) -> PresenceView {
        self.find(|next| match next {
            Notification::PresenceChanged(view) if view.user.as_str() == who && view.online == online => Some(view),
            _ => None,
        })
        .await
    }

    /// Takes leave; returns where the device stopped.
    ///
    /// # Panics
    /// When it had no position yet.
    pub async fn leave(self) -> Position {
        self.client.close().await;
        self.client.position().expect("the device has caught up once")
    }
}
