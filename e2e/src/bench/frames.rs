//! Frames as cheaply as a load generator needs them: it shares the machine with what it measures.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use natter_ids::{ClientId, ConversationId};
use natter_protocol::EVENT_FRAME_PREFIX;

/// Bytes of a text.
pub(crate) const TEXT: usize = 200;
/// A text begins with its sender and the moment it was due.
const HEAD: usize = 5 + 1 + 20 + 1;

/// What a gateway's frame means to a load generator.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// A message of this load.
    Message {
        /// The number of the user who sent it.
        sender: u32,
        /// When it was due, in nanoseconds of the run's clock.
        due: u64,
    },
    /// One of this user's messages is stored.
    Accepted,
    /// One of this user's messages is not.
    Refused(&'a str),
    /// Anything else.
    Other,
}

/// Reads a frame without parsing what does not matter.
pub(crate) fn read(frame: &str) -> Seen<'_> {
    if frame.starts_with(EVENT_FRAME_PREFIX) {
        return message(frame).unwrap_or(Seen::Other);
    }
    match frame.strip_prefix("{\"type\":\"") {
        Some(rest) if rest.starts_with("accepted\"") => Seen::Accepted,
        Some(rest) if rest.starts_with("error\"") => Seen::Refused(frame),
        _ => Seen::Other,
    }
}

fn message(frame: &str) -> Option<Seen<'static>> {
    static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"text\":\""));
    let begin = TEXT.find(frame.as_bytes())? + TEXT.needle().len();
    let head = frame.get(begin..begin + HEAD)?;
    Some(Seen::Message { sender: head.get(..5)?.parse().ok()?, due: head.get(6..26)?.parse().ok()? })
}

/// A `send` with a text of [`TEXT`] bytes.
pub(crate) fn send(id: u64, conversation: &ConversationId, sender: u32, due: u64) -> String {
    let client_id = ClientId::now();
    format!(
        "{{\"type\":\"send\",\"id\":{id},\"conversation\":\"{conversation}\",\"client_id\":\"{client_id}\",\
         \"text\":\"{sender:05} {due:020} {:x<pad$}\"}}",
        "",
        pad = TEXT - HEAD
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use natter_ids::{Position, UserId};
    use natter_protocol::{
        Change, Entry, ErrorBody, ErrorCode, Event, Request, ServerFrame, decode_client_frame, event_frame,
    };

    use super::*;

    fn conversation() -> ConversationId {
        ConversationId::direct(&UserId::new("a").unwrap(), &UserId::new("b").unwrap())
    }

    #[test]
    fn a_send_is_what_the_protocol_says() {
        let frame = send(7, &conversation(), 42, 123_456);
        let decoded = decode_client_frame(&frame).unwrap();
        let natter_protocol::ClientFrame::Request { id: 7, traceparent: None, request: Request::Send { text, .. } } =
            decoded
        else {
            panic!("{decoded:?}")
        };
        assert_eq!(text.len(), TEXT);
        let entry =
            Entry { sender: UserId::new("a").unwrap(), client_id: None, time: 1, change: Change::message(text) };
        let event = Event { conversation: conversation(), seq: 2, prev: 1, entry };
        let frame = event_frame(&Position::start(4), &serde_json::to_string(&event).unwrap());
        assert_eq!(read(&frame), Seen::Message { sender: 42, due: 123_456 });
    }

    #[test]
    fn answers_are_told_apart() {
        let accepted = ServerFrame::Accepted { id: 1, conversation: conversation(), client_id: None, seq: 1, time: 1 };
        assert_eq!(read(&serde_json::to_string(&accepted).unwrap()), Seen::Accepted);
        let error = ServerFrame::Error { id: Some(1), error: ErrorBody::new(ErrorCode::RateLimited) };
        let error = serde_json::to_string(&error).unwrap();
        assert_eq!(read(&error), Seen::Refused(&error));
        assert_eq!(read("{\"type\":\"pong\",\"id\":1}"), Seen::Other);
        assert_eq!(read(&format!("{EVENT_FRAME_PREFIX}1.AA\",\"text\":\"short\"}}")), Seen::Other);
    }
}
