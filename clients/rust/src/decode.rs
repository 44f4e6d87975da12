//! Reading server frames.

use std::borrow::Cow;

use natter_ids::{ClientId, ConversationId, Position, Seq, UserId};
use natter_protocol::{Change, EVENT_FRAME_PREFIX, Entry, Event, Forwarded, ServerFrame};
use serde::Deserialize;

/// A message event, flat. Nearly every frame is one, and reading it through the general type
/// would buffer it three times (a tagged enum with two flattened levels).
#[derive(Deserialize)]
struct MessageEvent<'a> {
    position: Position,
    conversation: ConversationId,
    seq: Seq,
    prev: Seq,
    sender: UserId,
    #[serde(default)]
    client_id: Option<ClientId>,
    time: u64,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    text: String,
    #[serde(default)]
    reply_to: Option<Seq>,
    #[serde(default)]
    forwarded: Option<Forwarded>,
    #[serde(default)]
    mentions: Vec<UserId>,
}

/// Reads a frame of a gateway. Unknown fields are ignored.
///
/// # Errors
/// Whatever serde says about a frame that this version does not know.
pub fn decode_server_frame(text: &str) -> Result<ServerFrame, serde_json::Error> {
    if text.starts_with(EVENT_FRAME_PREFIX)
        && let Ok(event) = serde_json::from_str::<MessageEvent<'_>>(text)
        && event.kind == "message"
    {
        let MessageEvent { position, conversation, seq, prev, sender, client_id, time, text, .. } = event;
        let (reply_to, forwarded, mentions) = (event.reply_to, event.forwarded, event.mentions);
        let entry = Entry { sender, client_id, time, change: Change::Message { text, reply_to, forwarded, mentions } };
        return Ok(ServerFrame::Event { position, event: Event { conversation, seq, prev, entry } });
    }
    serde_json::from_str(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use natter_protocol::event_frame;
    use proptest::prelude::*;

    fn frame(change: Change) -> String {
        let (alice, bob) = (UserId::new("alice").unwrap(), UserId::new("bob \"b\"").unwrap());
        let entry = Entry { sender: bob.clone(), client_id: Some(ClientId::at(7)), time: 9, change };
        let event = Event { conversation: ConversationId::direct(&alice, &bob), seq: 3, prev: 2, entry };
        event_frame(&Position::from_seqs([3_u64, 1]), &serde_json::to_string(&event).unwrap())
    }

    proptest! {
        #[test]
        fn both_ways_read_the_same(text in ".{0,80}", reply_to in prop::option::of(0_u64..9), count in 0_usize..3) {
            let mentions = vec![UserId::new("carol").unwrap(); count];
            let forwarded = mentions.first().map(|user| Forwarded { sender: Some(user.clone()) });
            let frame = frame(Change::Message { text, reply_to, forwarded, mentions });
            let slow: ServerFrame = serde_json::from_str(&frame).unwrap();
            prop_assert_eq!(decode_server_frame(&frame).unwrap(), slow);
        }

        #[test]
        fn mangled_frames_never_panic(cut in 0_usize..200, junk in ".{0,20}") {
            let frame = frame(Change::message("hello"));
            let cut = cut.min(frame.len());
            let _ = decode_server_frame(&format!("{}{junk}{}", &frame[..cut], &frame[cut..]));
            let _ = decode_server_frame(&format!("{}{junk}", &frame[..cut]));
        }
    }

    #[test]
    fn other_events_and_frames_are_read_too() {
        let left = frame(Change::MemberLeft {});
        assert_eq!(decode_server_frame(&left).unwrap(), serde_json::from_str(&left).unwrap());
        assert_eq!(decode_server_frame(r#"{"type":"pong","id":4,"more":1}"#).unwrap(), ServerFrame::Pong { id: 4 });
        assert!(decode_server_frame(r#"{"type":"of_another_version"}"#).is_err());
    }
}
