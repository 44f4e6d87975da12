//! Writing client frames.

use std::io::Write;

use natter_protocol::{ClientFrame, Hello, Request, RequestId};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The text of a request's frame. Puts the id in front of the request's own JSON, which saves
/// the copy of the request, and the detour of a flattened type, that [`ClientFrame`] would need.
pub(crate) fn request(id: RequestId, request: &Request) -> Utf8Bytes {
    let size = match request {
        Request::Send { text, .. } => 192 + text.len(),
        _ => 256,
    };
    let mut frame = Vec::with_capacity(size);
    let _ = write!(frame, "{{\"id\":{id}");
    let joint = frame.len();
    let written = serde_json::to_writer(&mut frame, request);
    debug_assert!(written.is_ok(), "texts, numbers and lists of them are always JSON");
    // Every request is an object with at least its `type`.
    if let Some(brace) = frame.get_mut(joint) {
        *brace = b',';
    }
    Utf8Bytes::try_from(frame).unwrap_or_default()
}

/// The text of `hello`.
pub(crate) fn hello(hello: Hello) -> Utf8Bytes {
    frame(&ClientFrame::Hello(hello))
}

/// The text of a `ping`.
pub(crate) fn ping(id: RequestId) -> Utf8Bytes {
    frame(&ClientFrame::Ping { id })
}

/// The text of any frame that is no request.
pub(crate) fn frame(frame: &ClientFrame) -> Utf8Bytes {
    let json = serde_json::to_string(frame);
    debug_assert!(json.is_ok(), "texts, numbers and lists of them are always JSON");
    json.unwrap_or_default().into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use natter_ids::{ClientId, ConversationId, DeviceId, Position, UserId};
    use natter_protocol::decode_client_frame;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gateways_read_what_is_written(id: u64, text in ".{0,80}", name in "[^\u{0}]{1,20}") {
            let alice = UserId::new("alice").unwrap();
            let conversation = ConversationId::direct(&alice, &alice);
            let requests = [
                Request::send(conversation.clone(), ClientId::at(7), text),
                Request::CreateGroup { client_id: ClientId::at(8), name, members: vec![alice] },
                Request::Conversations { after: None, limit: None },
                Request::Leave { conversation, client_id: None },
            ];
            for sent in requests {
                let read = decode_client_frame(&request(id, &sent)).unwrap();
                prop_assert_eq!(read, ClientFrame::Request { id, traceparent: None, request: sent });
            }
        }
    }

    #[test]
    fn hello_and_ping_are_read_too() {
        let position = Some(Position::from_seqs([3_u64]));
        let sent = Hello { device: DeviceId::random(), name: None, position, token: None };
        assert_eq!(decode_client_frame(&hello(sent.clone())).unwrap(), ClientFrame::Hello(sent));
        assert_eq!(decode_client_frame(&ping(5)).unwrap(), ClientFrame::Ping { id: 5 });
    }
}
