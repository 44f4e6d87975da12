//! Changes of messages over HTTP, as data.

use natter_protocol::{AcceptedView, ChangeDraft, EditDraft, ErrorCode, ForwardDraft, ReactionDraft, TimerDraft};
use serde_json::json;

use crate::{
    examples,
    http_api::{Body, Operation, Parameter, body, conversation, limit, query, reference, seq},
};

const ERRORS: &[ErrorCode] = &[
    ErrorCode::Malformed,
    ErrorCode::TooLarge,
    ErrorCode::NotAMember,
    ErrorCode::NotAllowed,
    ErrorCode::TooLate,
    ErrorCode::NoSuchMessage,
    ErrorCode::MessageDeleted,
    ErrorCode::ClientIdConflict,
    ErrorCode::ClientIdInFuture,
];

fn change(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    body: Body,
) -> anyhow::Result<Operation> {
    let client_id = examples::client_id();
    let accepted = AcceptedView { conversation: examples::direct(), client_id, seq: 1212, time: examples::TIME };
    Ok(Operation {
        method: "post",
        path,
        id,
        summary,
        description,
        parameters: vec![conversation(), message()],
        body: Some(body),
        status: 200,
        answer: self::body("AcceptedView", accepted)?,
        errors: ERRORS,
    })
}

fn message() -> Parameter {
    let schema = json!({ "type": "integer", "minimum": 0 });
    Parameter { name: "seq", place: "path", description: "The number of the message.", schema }
}

pub(crate) fn operations() -> anyhow::Result<Vec<Operation>> {
    let mut operations = changes()?;
    operations.extend(in_conversation()?);
    operations.push(pinned()?);
    operations.push(reactors()?);
    Ok(operations)
}

fn changes() -> anyhow::Result<Vec<Operation>> {
    let client_id = examples::client_id();
    let only_id = || body("ChangeDraft", ChangeDraft { client_id });
    Ok(vec![
        change(
            "/v1/conversations/{conversation}/messages/{seq}/edit",
            "editMessage",
            "Gives a message of one's own another text.",
            "A retry with the same client id gets the first answer, however late it comes.",
            body("EditDraft", EditDraft { client_id, text: "Shall we go?".to_owned(), mentions: Vec::new() })?,
        )?,
        change(
            "/v1/conversations/{conversation}/messages/{seq}/delete",
            "deleteMessage",
            "Deletes a message for everybody: one's own, or in a group that one manages, anybody's.",
            "A retry with the same client id gets the first answer.",
            only_id()?,
        )?,
        change(
            "/v1/conversations/{conversation}/messages/{seq}/react",
            "react",
            "Reacts to a message, or takes a reaction back.",
            "A retry with the same client id gets the first answer.",
            body("ReactionDraft", ReactionDraft { client_id, emoji: "🥾".to_owned(), on: true })?,
        )?,
        change(
            "/v1/conversations/{conversation}/messages/{seq}/pin",
            "pinMessage",
            "Pins a message, for everybody.",
            "A retry with the same client id gets the first answer.",
            only_id()?,
        )?,
        change(
            "/v1/conversations/{conversation}/messages/{seq}/unpin",
            "unpinMessage",
            "Takes a pinned message off.",
            "A retry with the same client id gets the first answer.",
            only_id()?,
        )?,
    ])
}

fn in_conversation() -> anyhow::Result<[Operation; 2]> {
    let client_id = examples::client_id();
    let forward = ForwardDraft { client_id, from: examples::direct(), target: 1205, hide_sender: false };
    let accepted = AcceptedView { conversation: examples::group(), client_id, seq: 2090, time: examples::TIME };
    let set = AcceptedView { conversation: examples::direct(), client_id, seq: 1246, time: examples::TIME };
    Ok([
        Operation {
            method: "post",
            path: "/v1/conversations/{conversation}/forward",
            id: "forwardMessage",
            summary: "Says again, in this conversation, what stands in another one of the user's.",
            description: "A retry with the same client id gets the first answer.",
            parameters: vec![conversation()],
            body: Some(body("ForwardDraft", forward)?),
            status: 200,
            answer: body("AcceptedView", accepted)?,
            errors: &[
                ErrorCode::Malformed,
                ErrorCode::NotAMember,
                ErrorCode::NotAllowed,
                ErrorCode::NoSuchMessage,
                ErrorCode::MessageDeleted,
                ErrorCode::ClientIdConflict,
                ErrorCode::ClientIdInFuture,
            ],
        },
        Operation {
            method: "post",
            path: "/v1/conversations/{conversation}/timer",
            id: "setTimer",
            summary: "Lets messages of a conversation disappear from now on.",
            description: "In a direct one either user's to say, in a group for those who manage it. A retry with the same client \
                id gets the first answer.",
            parameters: vec![conversation()],
            body: Some(body("TimerDraft", TimerDraft { client_id, seconds: 86_400 })?),
            status: 200,
            answer: body("AcceptedView", set)?,
            errors: &[
                ErrorCode::Malformed,
                ErrorCode::TooLarge,
                ErrorCode::NotAMember,
                ErrorCode::NotAllowed,
                ErrorCode::ClientIdConflict,
                ErrorCode::ClientIdInFuture,
            ],
        },
    ])
}

fn pinned() -> anyhow::Result<Operation> {
    Ok(Operation {
        method: "get",
        path: "/v1/conversations/{conversation}/pinned",
        id: "readPinned",
        summary: "Reads the pinned messages with the largest numbers, oldest first.",
        description: "Ask for the page before with `before` while `more` is true.",
        parameters: vec![conversation(), seq("before", "Only messages with a smaller number."), limit()],
        body: None,
        status: 200,
        answer: body("HistoryPage", examples::history_page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::NotAMember],
    })
}

fn reactors() -> anyhow::Result<Operation> {
    Ok(Operation {
        method: "get",
        path: "/v1/conversations/{conversation}/messages/{seq}/reactors",
        id: "listReactors",
        summary: "Lists who has reacted to a message, by user.",
        description: "Ask for the next page with `after` while `more` is true.",
        parameters: vec![
            conversation(),
            message(),
            query("emoji", json!({ "type": "string" }), "Only those who have this one on it."),
            query("after", reference("UserId"), "The last user of the page before."),
            limit(),
        ],
        body: None,
        status: 200,
        answer: body("ReactorPage", examples::reactor_page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::NotAMember, ErrorCode::NoSuchMessage],
    })
}
