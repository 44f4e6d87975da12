//! Live sending to a whole gateway: `gateway.<id>.inbox`.
//!
//! An event of a large conversation goes once to each gateway, with the members who are there and
//! each one's link, instead of once to each member. What a link proves is the same on either way
//! (see [`crate::LiveEvent`]), so an event may take the one or the other.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use natter_ids::{GatewayId, Partition, Seq, UserId};

use crate::{Bus, LiveEvent, spans, subjects};

/// Most bytes of recipients in one message.
const RECIPIENTS_BYTES_MAX: usize = 256 * 1024;
/// Fewest: a few users, also beside an event that fills a message by itself.
const RECIPIENTS_BYTES_MIN: usize = 4 * 1024;
/// What a message has besides the event and its recipients, at most: numbers, and NATS' own header.
const HEAD_BYTES: usize = 1_024;

/// An event and the users at one gateway to whom it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The event.
    pub event: LiveEvent,
    /// For each: its link, the length of the name, the name.
    recipients: Bytes,
}

impl Shipment {
    /// Each user and what the event links to for them: see [`crate::Arrival::link`].
    pub fn recipients(&self) -> impl Iterator<Item = (&str, Seq)> {
        let mut rest = &self.recipients[..];
        std::iter::from_fn(move || {
            let (link, after) = rest.split_first_chunk::<8>()?;
            let (length, after) = after.split_first()?;
            let (name, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            Some((std::str::from_utf8(name).ok()?, Seq::from_be_bytes(*link)))
        })
    }
}

/// How many bytes of recipients a message may hold beside an event, where NATS carries so many in all.
fn room(event: &LiveEvent, payload_max: usize) -> usize {
    payload_max.saturating_sub(event.json.len() + HEAD_BYTES).clamp(RECIPIENTS_BYTES_MIN, RECIPIENTS_BYTES_MAX)
}

/// Recipients of an event, in pieces of at most so many bytes.
fn pieces(recipients: &[(UserId, Seq)], bytes_max: usize) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut piece = BytesMut::new();
    for (user, link) in recipients {
        let name = user.as_str().as_bytes();
        if piece.len() + 9 + name.len() > bytes_max {
            pieces.push(piece.split().freeze());
        }
        piece.put_u64(*link);
        // A user id has at most 128 bytes.
        piece.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        piece.put_slice(name);
    }
    if !piece.is_empty() {
        pieces.push(piece.freeze());
    }
    pieces
}

fn encode(event: &LiveEvent, recipients: &Bytes) -> Bytes {
    let stored_at = event.stored_at.map(|at| format!(" {at}")).unwrap_or_default();
    let head = format!("{} {} {}{stored_at}\n", event.partition, event.seq, recipients.len());
    let mut bytes = BytesMut::with_capacity(head.len() + recipients.len() + event.json.len());
    bytes.put_slice(head.as_bytes());
    bytes.put_slice(recipients);
    bytes.put_slice(&event.json);
    bytes.freeze()
}

fn decode(payload: &Bytes, headers: Option<&async_nats::HeaderMap>) -> Option<Shipment> {
    let end = payload.iter().position(|byte| *byte == b'\n')?;
    let mut words = std::str::from_utf8(&payload[..end]).ok()?.split(' ');
    let (partition, seq, length) = (words.next()?, words.next()?, words.next()?.parse::<usize>().ok()?);
    let rest = payload.slice(end + 1..);
    if length > rest.len() {
        return None;
    }
    let event = LiveEvent {
        partition: Partition(partition.parse().ok()?),
        seq: seq.parse().ok()?,
        json: rest.slice(length..),
        stored_at: words.next().and_then(|at| at.parse().ok()),
        trace: headers.and_then(spans::sent_by),
    };
    Some(Shipment { event, recipients: rest.slice(..length) })
}

/// A gateway's own inbox.
pub struct GatewayInbox(async_nats::Subscriber);

impl GatewayInbox {
    /// What comes next; `None` when the connection to NATS was closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<Shipment> {
        loop {
            let message = self.0.next().await?;
            match decode(&message.payload, message.headers.as_ref()) {
                Some(shipment) => return Some(shipment),
                None => tracing::warn!("a live message for many could not be read"),
            }
        }
    }
}

impl Bus {
    /// Subscribes to this gateway's own inbox.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn open_gateway_inbox(&self) -> Result<GatewayInbox, String> {
        let subscribed = self.shared.client.subscribe(subjects::gateway_inbox(self.instance())).await;
        subscribed.map(GatewayInbox).map_err(|error| error.to_string())
    }

    /// Sends an event to users at one gateway, in order with everything this process sent before;
    /// returns in how many messages.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn ship(
        &self,
        gateway: &GatewayId,
        event: &LiveEvent,
        recipients: &[(UserId, Seq)],
    ) -> Result<u64, String> {
        let mut sent = 0;
        let room = room(event, self.shared.client.server_info().max_payload);
        for piece in pieces(recipients, room) {
            let (subject, payload) = (subjects::gateway_inbox(gateway), encode(event, &piece));
            let published = match &event.trace {
                Some(trace) => self.shared.client.publish_with_headers(subject, spans::header(trace), payload).await,
                None => self.shared.client.publish(subject, payload).await,
            };
            published.map_err(|error| error.to_string())?;
            sent += 1;
        }
        Ok(sent)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event() -> LiveEvent {
        let json = Bytes::from_static(b"{\"text\":\"one\\ntwo\"}");
        LiveEvent { partition: Partition(3), seq: 9, json, stored_at: Some(5), trace: None }
    }

    #[test]
    fn events_and_recipients_come_back() {
        let users = [("a", 1), ("two words", 7), ("ü", 0)];
        let recipients: Vec<_> = users.iter().map(|(name, link)| (UserId::new(name).unwrap(), *link)).collect();
        let pieces = pieces(&recipients, RECIPIENTS_BYTES_MAX);
        assert_eq!(pieces.len(), 1);
        let shipment = decode(&encode(&event(), &pieces[0]), None).unwrap();
        assert_eq!(shipment.event, event());
        assert_eq!(shipment.recipients().collect::<Vec<_>>(), users);
    }

    #[test]
    fn many_go_in_pieces_that_nats_carries() {
        let name = |number: u64| UserId::new(format!("{number:0>128}")).unwrap();
        let recipients: Vec<_> = (0..5_000).map(|number| (name(number), number)).collect();
        let pieces = pieces(&recipients, RECIPIENTS_BYTES_MAX);
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() <= RECIPIENTS_BYTES_MAX));
        let shipments = pieces.iter().map(|piece| decode(&encode(&event(), piece), None).unwrap());
        let links: Vec<_> = shipments.flat_map(|s| s.recipients().map(|(_, link)| link).collect::<Vec<_>>()).collect();
        assert_eq!(links, (0..5_000).collect::<Vec<_>>());
    }

    #[test]
    fn recipients_leave_room_for_the_event() {
        let of = |bytes| LiveEvent { json: vec![b'x'; bytes].into(), ..event() };
        let max = 1024 * 1024;
        assert_eq!(room(&of(100), max), RECIPIENTS_BYTES_MAX);
        for bytes in [800 * 1024, 1_000 * 1024] {
            let large = of(bytes);
            let piece = vec![0; room(&large, max)].into();
            assert!(encode(&large, &piece).len() <= max, "{bytes}");
        }
        assert_eq!(room(&of(max), max), RECIPIENTS_BYTES_MIN, "that no log holds");
    }

    proptest! {
        #[test]
        fn mangled_messages_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), head in "[0-9]{1,3} [0-9]{1,3} [0-9]{1,3}\n") {
            let whole: Vec<u8> = head.into_bytes().into_iter().chain(bytes.clone()).collect();
            for bytes in [bytes, whole] {
                if let Some(shipment) = decode(&bytes.into(), None) {
                    let _ = shipment.recipients().count();
                }
            }
        }
    }
}
