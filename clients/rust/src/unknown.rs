//! Frames of a later version, read as far as they concern this one.

use std::borrow::Cow;

use natter_ids::{ConversationId, Position, Seq};
use natter_protocol::{ErrorBody, ErrorCode, RequestId};
use serde::Deserialize;

/// What a frame that cannot be read means all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// An event whose fields have another form. It is a link of its conversation's chain like any
    /// other: without it, the next event would look as if something were missing.
    Event { position: Position, conversation: ConversationId, seq: Seq, prev: Seq },
    /// A refusal with another code.
    Refusal { id: RequestId, error: ErrorBody },
    /// Some answer.
    Answer(RequestId),
    /// Nothing that concerns this version.
    Other,
}

#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: Option<RequestId>,
    position: Option<Position>,
    conversation: Option<ConversationId>,
    seq: Option<Seq>,
    prev: Option<Seq>,
    message: Option<String>,
    retry_after_ms: Option<u32>,
    limit: Option<String>,
}

/// Reads the outline of a frame.
pub(crate) fn outline(text: &str) -> Unknown {
    match serde_json::from_str(text) {
        Ok(Outline {
            kind: Cow::Borrowed("event"),
            position: Some(position),
            conversation: Some(conversation),
            seq: Some(seq),
            prev: Some(prev),
            ..
        }) => Unknown::Event { position, conversation, seq, prev },
        Ok(Outline { kind: Cow::Borrowed("error"), id: Some(id), message, retry_after_ms, limit, .. }) => {
            // Every version says by the wait whether repeating a request is of use.
            let code = if retry_after_ms.is_some() { ErrorCode::Unavailable } else { ErrorCode::Malformed };
            let message = message.unwrap_or_else(|| code.sentence().to_owned());
            Unknown::Refusal { id, error: ErrorBody { code, message, retry_after_ms, limit } }
        }
        Ok(Outline { id: Some(id), .. }) => Unknown::Answer(id),
        Ok(_) | Err(_) => Unknown::Other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::decode_server_frame;
    use natter_ids::UserId;

    fn read(text: &str) -> Unknown {
        assert!(decode_server_frame(text).is_err(), "{text} is known");
        outline(text)
    }

    #[test]
    fn an_event_that_cannot_be_read_is_a_link() {
        let bob = UserId::new("bob").unwrap();
        let (conversation, position) = (ConversationId::direct(&bob, &bob), Position::from_seqs([7_u64]));
        let text = format!(
            r#"{{"type":"event","position":"{position}","conversation":"{conversation}","seq":7,"prev":5,"sender":"bob","time":1,"kind":"message","text":["of","parts"]}}"#
        );
        assert_eq!(read(&text), Unknown::Event { position, conversation, seq: 7, prev: 5 });
    }

    #[test]
    fn a_refusal_with_another_code_is_a_refusal() {
        let passing = read(r#"{"type":"error","id":3,"code":"tired","message":"Later.","retry_after_ms":70}"#);
        let Unknown::Refusal { id: 3, error } = passing else { panic!("{passing:?}") };
        assert!(error.code.is_retryable());
        assert_eq!((error.message.as_str(), error.retry_after_ms), ("Later.", Some(70)));
        let lasting = read(r#"{"type":"error","id":4,"code":"forbidden_word","message":"No."}"#);
        let Unknown::Refusal { id: 4, error } = lasting else { panic!("{lasting:?}") };
        assert!(!error.code.is_retryable());
    }

    #[test]
    fn other_frames_are_answers_or_nothing() {
        assert_eq!(read(r#"{"type":"applauded","id":9}"#), Unknown::Answer(9));
        for nothing in [r#"{"type":"news"}"#, r#"{"type":"error","code":"tired"}"#, r#"{"type":"event"}"#, "[]", "x"] {
            assert_eq!(read(nothing), Unknown::Other, "{nothing}");
        }
    }
}
