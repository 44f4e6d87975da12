//! Reading client frames, with an exact refusal for what cannot be read.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{ClientFrame, ErrorBody, ErrorCode, RequestId};

/// Why a frame was refused, and the request it belongs to if that much could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// The id of the request, when it could be read.
    pub id: Option<RequestId>,
    /// The refusal.
    pub error: ErrorBody,
}

/// Every `type` that [`ClientFrame`] knows; checked against the enum by a test.
pub(crate) const CLIENT_FRAME_TYPES: &[&str] = &[
    "hello",
    "ping",
    "send",
    "open_direct",
    "create_group",
    "add_member",
    "remove_member",
    "leave",
    "conversations",
    "members",
    "history",
    "presence",
    "watch_presence",
    "refresh_token",
];

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    id: Option<serde_json::Value>,
}

/// Reads a client frame. Unknown fields are ignored.
///
/// # Errors
/// [`Undecodable`] with `malformed` or `unknown_type`; never panics, whatever the text.
pub fn decode_client_frame(text: &str) -> Result<ClientFrame, Undecodable> {
    let refuse = |id, code, message: String| Undecodable { id, error: ErrorBody::new(code).because(message) };
    let envelope = serde_json::from_str::<Envelope<'_>>(text)
        .map_err(|e| refuse(None, ErrorCode::Malformed, format!("The frame is not a JSON object: {e}.")))?;
    let id = envelope.id.as_ref().and_then(serde_json::Value::as_u64);
    let Some(kind) = envelope.kind else {
        return Err(refuse(id, ErrorCode::Malformed, "The frame has no `type`.".to_owned()));
    };
    let malformed = |e: serde_json::Error| refuse(id, ErrorCode::Malformed, format!("The `{kind}` frame: {e}."));
    match (kind.as_ref(), id) {
        ("hello", _) => serde_json::from_str(text).map(ClientFrame::Hello).map_err(malformed),
        ("ping", _) => Ok(ClientFrame::Ping { id: id.unwrap_or_default() }),
        (kind, _) if !CLIENT_FRAME_TYPES.contains(&kind) => {
            Err(Undecodable { id, error: ErrorBody::new(ErrorCode::UnknownType) })
        }
        (kind, None) => {
            Err(refuse(None, ErrorCode::Malformed, format!("A `{kind}` frame needs an `id`, a whole number.")))
        }
        (_, Some(id)) => {
            serde_json::from_str(text).map(|request| ClientFrame::Request { id, request }).map_err(malformed)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Request;

    #[test]
    fn frames_are_read_and_unknown_fields_ignored() {
        let frame =
            decode_client_frame(r#"{"type":"leave","id":7,"conversation":"gAAAAAAAAAAAAAAAAAAAAAA","later":1}"#)
                .unwrap();
        assert!(matches!(frame, ClientFrame::Request { id: 7, request: Request::Leave { .. } }), "{frame:?}");
        assert_eq!(decode_client_frame(r#"{"type":"ping"}"#).unwrap(), ClientFrame::Ping { id: 0 });
    }

    #[test]
    fn refusals_name_the_reason_and_the_request() {
        let cases = [
            ("nonsense", None, ErrorCode::Malformed, "not a JSON object"),
            ("[]", None, ErrorCode::Malformed, "not a JSON object"),
            (r#"{"id":3}"#, Some(3), ErrorCode::Malformed, "no `type`"),
            (r#"{"type":"dance","id":4}"#, Some(4), ErrorCode::UnknownType, "type"),
            (r#"{"type":"send","id":5}"#, Some(5), ErrorCode::Malformed, "conversation"),
            (r#"{"type":"leave","conversation":"gAAAAAAAAAAAAAAAAAAAAAA"}"#, None, ErrorCode::Malformed, "`id`"),
            (r#"{"type":"hello"}"#, None, ErrorCode::Malformed, "device"),
        ];
        for (text, id, code, word) in cases {
            let refused = decode_client_frame(text).unwrap_err();
            assert_eq!((refused.id, refused.error.code), (id, code), "{text}");
            assert!(refused.error.message.contains(word), "{text}: {}", refused.error.message);
        }
    }
}
