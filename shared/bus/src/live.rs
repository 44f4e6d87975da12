//! Live sending over core NATS: `user.<id>.inbox`.
//!
//! Core NATS keeps nothing and may drop. What makes that safe: every event carries a link to the
//! one sent to the same user before it, and a marker, sent over the very same subject, tells up
//! to which number the archive must be read.

use async_nats::HeaderMap;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use natter_ids::{GatewayId, Partition, Seq, SessionId, UserId};
use natter_telemetry::Trace;
use serde::{Deserialize, Serialize};

use crate::{Bus, Note, Typing, spans, subjects};

/// An event on its way to a user's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEvent {
    /// The partition of its conversation.
    pub partition: Partition,
    /// Its number.
    pub seq: Seq,
    /// The [`natter_protocol::Event`] as JSON text.
    pub json: Bytes,
    /// When the log stored it, in milliseconds since 1970 UTC, by the server's clock; absent when
    /// it comes from the archive.
    pub stored_at: Option<u64>,
    /// The span that it belongs to, when its way is recorded.
    pub trace: Option<Trace>,
}

/// An event as it arrives in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The event.
    pub event: LiveEvent,
    /// The number of the event sent to this user before it in the same partition, or the number
    /// since which the sender knows of none. An inbox that has not reached it has missed one.
    pub link: Seq,
}

/// How far the owner of a partition has come, as seen by one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Which partition.
    pub partition: Partition,
    /// Whatever is not above this number may be missing in the inbox and is in the log; every
    /// later event of the user comes after the marker, on this subject.
    pub seq: Seq,
    /// What the next event's [`Arrival::link`] will be: an inbox that has reached it misses nothing.
    pub link: Seq,
}

/// An answer to a [`MarkerRequest`], from a replica that owns these partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The session that asked; the inbox is shared by all devices of the user.
    pub session: SessionId,
    /// The request's number.
    pub round: u32,
    /// One for each partition that the sender owns.
    pub reached: Vec<Reached>,
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
    Event(Arrival),
    /// An answer to a marker request of some session of this user.
    Marker(Marker),
    /// Something that is no event: marks, settings.
    Note(Note),
    /// Somebody is writing.
    Typing(Typing),
}

pub(crate) fn encode_event(event: &LiveEvent, link: Seq) -> Bytes {
    let stored_at = event.stored_at.map(|at| format!(" {at}")).unwrap_or_default();
    let head = format!("E {} {} {link}{stored_at}\n", event.partition, event.seq);
    let mut bytes = BytesMut::with_capacity(head.len() + event.json.len());
    bytes.put_slice(head.as_bytes());
    bytes.put_slice(&event.json);
    bytes.freeze()
}

fn decode(payload: &Bytes, headers: Option<&HeaderMap>) -> Option<InboxMessage> {
    let end = payload.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&payload[..end]).ok()?;
    let rest = payload.slice(end + 1..);
    let mut words = head.split(' ');
    match words.next()? {
        "E" => {
            let (partition, seq, link) = (words.next()?, words.next()?, words.next()?);
            let event = LiveEvent {
                partition: Partition(partition.parse().ok()?),
                seq: seq.parse().ok()?,
                json: rest,
                stored_at: words.next().and_then(|at| at.parse().ok()),
                trace: headers.and_then(spans::sent_by),
            };
            Some(InboxMessage::Event(Arrival { event, link: link.parse().ok()? }))
        }
        "M" => serde_json::from_slice(&rest).ok().map(InboxMessage::Marker),
        "N" => serde_json::from_slice(&rest).ok().map(InboxMessage::Note),
        "T" => serde_json::from_slice(&rest).ok().map(InboxMessage::Typing),
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
            match decode(&message.payload, message.headers.as_ref()) {
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
        if !self.is_connected() {
            // It would wait in the client's buffer, with everybody's, and be answered all at once.
            return Err("not connected to NATS".to_owned());
        }
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

    /// Sends an event into a user's inbox, in order with everything this process sent before.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn send_live(&self, user: &UserId, event: &LiveEvent, link: Seq) -> Result<(), String> {
        let (client, inbox, payload) = (&self.shared.client, subjects::inbox(user), encode_event(event, link));
        let sent = match &event.trace {
            Some(trace) => client.publish_with_headers(inbox, spans::header(trace), payload).await,
            None => client.publish(inbox, payload).await,
        };
        sent.map_err(|error| error.to_string())
    }

    pub(crate) async fn publish_json(&self, subject: String, value: &impl Serialize) -> Result<(), String> {
        let bytes = serde_json::to_vec(value).map_err(|error| error.to_string())?;
        self.shared.client.publish(subject, bytes.into()).await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_come_back() {
        let json = Bytes::from_static(b"{\"text\":\"one\\ntwo\"}");
        for stored_at in [None, Some(1_700_000_000_000)] {
            let event = LiveEvent { partition: Partition(3), seq: 9, json: json.clone(), stored_at, trace: None };
            let arrival = Arrival { event: event.clone(), link: 7 };
            assert_eq!(decode(&encode_event(&event, 7), None), Some(InboxMessage::Event(arrival)));
        }
    }

    proptest! {
        #[test]
        fn mangled_messages_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes.into(), None);
        }
    }
}
