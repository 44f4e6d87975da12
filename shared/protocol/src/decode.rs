//! Reading client frames, with an exact refusal for what cannot be read.

use std::borrow::Cow;

use natter_ids::{ConversationId, Position};
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
    "typing",
    "send",
    "forward",
    "open_direct",
    "create_group",
    "add_member",
    "remove_member",
    "leave",
    "change_group",
    "change_role",
    "ban_member",
    "unban_member",
    "create_invite",
    "revoke_invite",
    "invites",
    "join",
    "conversations",
    "members",
    "history",
    "edit",
    "delete",
    "react",
    "pin",
    "unpin",
    "set_timer",
    "pinned",
    "reactors",
    "presence",
    "watch_presence",
    "set_away",
    "blocks",
    "block",
    "unblock",
    "privacy",
    "set_privacy",
    "devices",
    "revoke_device",
    "refresh_token",
    "mark",
    "marks",
    "receipts",
    "overview",
    "arrange",
    "change_settings",
];

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    id: Option<serde_json::Value>,
    traceparent: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Ping {
    #[serde(default)]
    id: RequestId,
}

#[derive(Deserialize)]
struct Typing {
    conversation: ConversationId,
    #[serde(default)]
    stopped: bool,
}

impl Typing {
    fn frame(self) -> ClientFrame {
        ClientFrame::Typing { conversation: self.conversation, stopped: self.stopped }
    }
}

/// Reads a client frame. Unknown fields are ignored.
///
/// # Errors
/// [`Undecodable`] with `malformed`, `unknown_type`, or `invalid_position` for a `hello` with a
/// position that was never handed out; never panics, whatever the text.
pub fn decode_client_frame(text: &str) -> Result<ClientFrame, Undecodable> {
    let refuse = |id, code, message: String| Undecodable { id, error: ErrorBody::new(code).because(message) };
    let not_an_object = |why: &str| refuse(None, ErrorCode::Malformed, format!("The frame is not a JSON object{why}."));
    // A struct may be read from an array too: `["ping",1]` is no frame all the same.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(not_an_object(""));
    }
    let envelope = serde_json::from_str::<Envelope<'_>>(text).map_err(|e| not_an_object(&format!(": {e}")))?;
    let id = envelope.id.as_ref().and_then(serde_json::Value::as_u64);
    let Some(kind) = envelope.kind else {
        return Err(refuse(id, ErrorCode::Malformed, "The frame has no `type`.".to_owned()));
    };
    let malformed = |e: serde_json::Error| refuse(id, ErrorCode::Malformed, format!("The `{kind}` frame: {e}."));
    match (kind.as_ref(), id) {
        ("hello", _) => serde_json::from_str(text).map(ClientFrame::Hello).map_err(|error| {
            if has_invalid_position(text) {
                refuse(id, ErrorCode::InvalidPosition, ErrorCode::InvalidPosition.sentence().to_owned())
            } else {
                malformed(error)
            }
        }),
        ("ping", _) => serde_json::from_str(text).map(|Ping { id }| ClientFrame::Ping { id }).map_err(malformed),
        ("typing", _) => serde_json::from_str(text).map(Typing::frame).map_err(malformed),
        (kind, _) if !CLIENT_FRAME_TYPES.contains(&kind) => {
            Err(Undecodable { id, error: ErrorBody::new(ErrorCode::UnknownType) })
        }
        (kind, None) => {
            Err(refuse(None, ErrorCode::Malformed, format!("A `{kind}` frame needs an `id`, a whole number.")))
        }
        (_, Some(id)) => {
            let traceparent = envelope.traceparent.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned);
            let read = serde_json::from_str(text);
            read.map(|request| ClientFrame::Request { id, traceparent, request }).map_err(malformed)
        }
    }
}

/// Whether this is a `hello` whose position is a text that Natter never handed out: the device
/// has to start anew, which `malformed` would not tell.
fn has_invalid_position(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Presented<'a> {
        #[serde(borrow)]
        position: Cow<'a, str>,
    }
    serde_json::from_str::<Presented<'_>>(text).is_ok_and(|hello| Position::parse(&hello.position).is_err())
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
        assert!(matches!(frame, ClientFrame::Request { id: 7, request: Request::Leave { .. }, .. }), "{frame:?}");
        assert_eq!(decode_client_frame(r#"{"type":"ping"}"#).unwrap(), ClientFrame::Ping { id: 0 });
        // A trace is no reason to refuse anything.
        for (said, read) in [(r#""00-a-b-01""#, Some("00-a-b-01")), ("17", None), ("null", None), ("{}", None)] {
            let text = format!(r#"{{"type":"presence","id":7,"users":[],"traceparent":{said}}}"#);
            let frame = decode_client_frame(&text).unwrap();
            assert!(
                matches!(frame, ClientFrame::Request { traceparent, .. } if traceparent.as_deref() == read),
                "{text}"
            );
        }
    }

    /// A type missing in the list would be answered as unknown, one too many as malformed.
    #[test]
    fn the_list_of_types_is_that_of_the_enum() {
        let schema = serde_json::to_value(schemars::schema_for!(ClientFrame)).unwrap();
        let mut of_the_enum = Vec::new();
        tags_into(&schema, &mut of_the_enum);
        of_the_enum.sort_unstable();
        let mut listed = CLIENT_FRAME_TYPES.to_vec();
        listed.sort_unstable();
        assert_eq!(of_the_enum, listed);
    }

    /// The values of `type` that the alternatives of a schema ask for.
    fn tags_into<'a>(schema: &'a serde_json::Value, tags: &mut Vec<&'a str>) {
        tags.extend(schema.pointer("/properties/type/const").and_then(serde_json::Value::as_str));
        for alternatives in ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array()) {
            alternatives.iter().for_each(|alternative| tags_into(alternative, tags));
        }
    }

    #[test]
    fn refusals_name_the_reason_and_the_request() {
        let cases = [
            ("nonsense", None, ErrorCode::Malformed, "not a JSON object"),
            ("[]", None, ErrorCode::Malformed, "not a JSON object"),
            (r#"["ping",1]"#, None, ErrorCode::Malformed, "not a JSON object"),
            (r#"{"id":3}"#, Some(3), ErrorCode::Malformed, "no `type`"),
            (r#"{"type":"dance","id":4}"#, Some(4), ErrorCode::UnknownType, "type"),
            (r#"{"type":"send","id":5}"#, Some(5), ErrorCode::Malformed, "conversation"),
            (r#"{"type":"leave","conversation":"gAAAAAAAAAAAAAAAAAAAAAA"}"#, None, ErrorCode::Malformed, "`id`"),
            (r#"{"type":"hello"}"#, None, ErrorCode::Malformed, "device"),
            (r#"{"type":"hello","device":"d","position":"1.=="}"#, None, ErrorCode::InvalidPosition, "position"),
            (r#"{"type":"hello","device":"d","position":5}"#, None, ErrorCode::Malformed, "expected a string"),
            (r#"{"type":"ping","id":-1}"#, None, ErrorCode::Malformed, "expected u64"),
        ];
        for (text, id, code, word) in cases {
            let refused = decode_client_frame(text).unwrap_err();
            assert_eq!((refused.id, refused.error.code), (id, code), "{text}");
            assert!(refused.error.message.contains(word), "{text}: {}", refused.error.message);
        }
    }
}
