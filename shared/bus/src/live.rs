//! Live sending over core NATS: `user.<id>.inbox`.
//!
//! Core NATS keeps nothing and may drop. What makes that safe: every event carries the link to
//! the one before it in its conversation, and a marker, sent over the very same subject, tells up
//! to which number the archive must be read.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use natter_ids::{ConversationId, GatewayId, Partition, Position, Seq, SessionId, UserId};
use serde::{Deserialize, Serialize};

use crate::{Bus, subjects};

/// An event on its way to a user's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEvent {
    /// The partition of its conversation.
    pub partition: Partition,
    /// Its number.
    pub seq: Seq,
    /// The number of the entry before it in the conversation; 0 where this user's chain begins.
    pub link: Seq,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The [`natter_protocol::Event`] as JSON text.
    pub json: Bytes,
}

/// An answer to a [`MarkerRequest`]: the sender owns these partitions, has sent every event up to
/// these numbers before this marker, and sends every later one after it, on this subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The session that asked; the inbox is shared by all devices of the user.
    pub session: SessionId,
    /// The request's number.
    pub round: u32,
    /// Partition and number.
    pub reached: Vec<(Partition, Seq)>,
}

/// A session's wish for markers. Every delivery replica receives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerRequest {
    /// Whose inbox.
    pub user: UserId,
    /// Which session.
    pub session: SessionId,
    /// Distinguishes repeated requests of a session.
    pub round: u32,
    /// The gateway that asks.
    pub gateway: GatewayId,
    /// The number of the gateway's presence report that holds this user: a replica answers only
    /// once it knows that the user is online.
    pub reported: u64,
}

/// What arrives in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxMessage {
    /// Something happened in a conversation.
    Event(LiveEvent),
    /// An answer to a marker request of some session of this user.
    Marker(Marker),
}

/// Encodes an event once for every recipient whose chain does not begin with it.
pub(crate) fn encode_event(event: &LiveEvent) -> Bytes {
    let mut bytes = BytesMut::with_capacity(64 + event.json.len());
    let head = format!("E {} {} {} {}\n", event.partition, event.seq, event.link, event.conversation);
    bytes.put_slice(head.as_bytes());
    bytes.put_slice(&event.json);
    bytes.freeze()
}

fn decode(payload: &Bytes) -> Option<InboxMessage> {
    let end = payload.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&payload[..end]).ok()?;
    let rest = payload.slice(end + 1..);
    let mut words = head.split(' ');
    match words.next()? {
        "E" => Some(InboxMessage::Event(LiveEvent {
            partition: Partition(words.next()?.parse().ok()?),
            seq: words.next()?.parse().ok()?,
            link: words.next()?.parse().ok()?,
            conversation: ConversationId::parse(words.next()?).ok()?,
            json: rest,
        })),
        "M" => serde_json::from_slice(&rest).ok().map(InboxMessage::Marker),
        _ => None,
    }
}

/// A subscription to a user's inbox.
pub struct Inbox(async_nats::Subscriber);

impl Inbox {
    /// The next message; `None` when the connection to NATS was closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<InboxMessage> {
        loop {
            let message = self.0.next().await?;
            match decode(&message.payload) {
                Some(decoded) => return Some(decoded),
                None => tracing::warn!(subject = %message.subject, "a live message could not be read"),
            }
        }
    }
}

/// The marker requests of all gateways.
pub struct MarkerRequests(async_nats::Subscriber);

impl MarkerRequests {
    /// The next request; `None` when the connection to NATS was closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<MarkerRequest> {
        loop {
            let message = self.0.next().await?;
            if let Ok(request) = serde_json::from_slice(&message.payload) {
                return Some(request);
            }
            tracing::warn!("a marker request could not be read");
        }
    }
}

impl Bus {
    /// Subscribes to a user's inbox.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn open_inbox(&self, user: &UserId) -> Result<Inbox, String> {
        self.shared.client.subscribe(subjects::inbox(user)).await.map(Inbox).map_err(|error| error.to_string())
    }

    /// Asks every delivery replica for markers. Answers arrive in the inbox.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn request_markers(&self, request: &MarkerRequest) -> Result<(), String> {
        self.publish_json(subjects::MARKER_REQUEST.to_owned(), request).await
    }

    /// Subscribes to the marker requests of all gateways.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn marker_requests(&self) -> Result<MarkerRequests, String> {
        let subscription = self.shared.client.subscribe(subjects::MARKER_REQUEST).await;
        subscription.map(MarkerRequests).map_err(|error| error.to_string())
    }

    /// Sends a marker into a user's inbox.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn send_marker(&self, user: &UserId, marker: &Marker) -> Result<(), String> {
        let mut bytes = b"M\n".to_vec();
        serde_json::to_writer(&mut bytes, marker).map_err(|error| error.to_string())?;
        let sent = self.shared.client.publish(subjects::inbox(user), bytes.into()).await;
        sent.map_err(|error| error.to_string())
    }

    /// Sends an event into the inboxes of users, in order with everything this process sent
    /// before. `joining` are those whose chain begins with it.
    ///
    /// # Errors
    /// A sentence, when the connection is closed; some may have been sent.
    pub async fn send_live<'a>(
        &self,
        event: &LiveEvent,
        users: impl Iterator<Item = (&'a UserId, bool)> + Send,
    ) -> Result<(), String> {
        let linked = encode_event(event);
        for (user, joining) in users {
            let payload = if joining { encode_event(&LiveEvent { link: 0, ..event.clone() }) } else { linked.clone() };
            let sent = self.shared.client.publish(subjects::inbox(user), payload).await;
            sent.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    pub(crate) async fn publish_json(&self, subject: String, value: &impl Serialize) -> Result<(), String> {
        let bytes = serde_json::to_vec(value).map_err(|error| error.to_string())?;
        self.shared.client.publish(subject, bytes.into()).await.map_err(|error| error.to_string())
    }
}

impl Marker {
    /// The marker's numbers as a position over `partitions`, 0 where it says nothing.
    pub fn position(&self, partitions: u16) -> Position {
        let mut position = Position::start(partitions);
        for (partition, seq) in &self.reached {
            position.advance(*partition, *seq);
        }
        position
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_come_back() {
        let user = |name| UserId::new(name).unwrap();
        let event = LiveEvent {
            partition: Partition(3),
            seq: 9,
            link: 7,
            conversation: ConversationId::direct(&user("a"), &user("b")),
            json: Bytes::from_static(b"{\"text\":\"one\\ntwo\"}"),
        };
        assert_eq!(decode(&encode_event(&event)), Some(InboxMessage::Event(event)));
    }

    proptest! {
        #[test]
        fn mangled_messages_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes.into());
        }
    }
}
