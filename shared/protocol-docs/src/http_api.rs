//! The HTTP API of a gateway as data: what `openapi.json` and the page tell.

use natter_protocol::{AcceptedView, BacklogPage, ErrorCode, MessageDraft, PresencePage, TicketGrant};
use serde_json::{Value, json};

use crate::{examples, http_changes};

/// A request and its answers.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    /// Type and example of the body.
    pub(crate) body: Option<Body>,
    pub(crate) status: u16,
    pub(crate) answer: Body,
    /// Besides those that every operation may answer.
    pub(crate) errors: &'static [ErrorCode],
}

/// A type of the wire and an example of it.
pub(crate) struct Body {
    pub(crate) name: &'static str,
    pub(crate) example: Value,
}

/// A parameter of the path or the query.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: &'static str,
    pub(crate) description: &'static str,
    pub(crate) schema: Value,
}

/// What any request with a token may be answered.
pub(crate) const EVERYWHERE: &[ErrorCode] = &[
    ErrorCode::Unauthenticated,
    ErrorCode::TokenExpired,
    ErrorCode::OriginForbidden,
    ErrorCode::RateLimited,
    ErrorCode::Overloaded,
    ErrorCode::Unavailable,
    ErrorCode::Internal,
];

pub(crate) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

pub(crate) fn body(name: &'static str, example: impl serde::Serialize) -> anyhow::Result<Body> {
    Ok(Body { name, example: serde_json::to_value(example)? })
}

pub(crate) fn query(name: &'static str, schema: Value, description: &'static str) -> Parameter {
    Parameter { name, place: "query", description, schema }
}

pub(crate) fn conversation() -> Parameter {
    let (name, place, description) = ("conversation", "path", "Which conversation.");
    Parameter { name, place, description, schema: reference("ConversationId") }
}

pub(crate) fn limit() -> Parameter {
    let schema = json!({ "type": "integer", "minimum": 1 });
    query("limit", schema, "How many at most, up to `page_items_max`, which is the default too.")
}

pub(crate) fn seq(name: &'static str, description: &'static str) -> Parameter {
    query(name, json!({ "type": "integer", "minimum": 0 }), description)
}

/// Every operation except the WebSocket upgrade.
pub(crate) fn operations() -> anyhow::Result<Vec<Operation>> {
    let mut operations = vec![tickets()?, backlog()?];
    operations.extend(reads()?);
    operations.extend(crate::http_groups::operations()?);
    operations.push(send()?);
    operations.extend(http_changes::operations()?);
    operations.push(presence()?);
    operations.extend(crate::http_marks::operations()?);
    operations.extend(blocks()?);
    operations.extend(privacy()?);
    operations.extend(devices()?);
    operations.push(requests()?);
    Ok(operations)
}

fn tickets() -> anyhow::Result<Operation> {
    let ticket =
        TicketGrant { ticket: "Yb1o4XGvTz0cQ0mZ8yqk2m5S8o1vYw3pR7tKc9uJx4E".to_owned(), expires_in_ms: 30_000 };
    Ok(Operation {
        method: "post",
        path: "/v1/tickets",
        id: "createTicket",
        summary: "Exchanges the token for a single-use ticket to connect with.",
        description: "For browsers, which cannot set headers on a WebSocket. The ticket is offered as the \
            pseudo-subprotocol `natter.ticket.<ticket>`. The session it opens lasts as long as the token.",
        parameters: Vec::new(),
        body: None,
        status: 201,
        answer: body("TicketGrant", ticket)?,
        errors: &[],
    })
}

fn backlog() -> anyhow::Result<Operation> {
    let page = BacklogPage { events: vec![examples::said()], position: examples::position(), more: false };
    Ok(Operation {
        method: "get",
        path: "/v1/backlog",
        id: "readBacklog",
        summary: "Reads what a device missed, for clients that poll.",
        description: "The events after the position, and the position to present next time. Without a position: no \
            events, and the position of the present. Repeat at once while `more` is true.",
        parameters: vec![
            query("position", reference("Position"), "Where the device stopped; absent for a new device."),
            limit(),
        ],
        body: None,
        status: 200,
        answer: body("BacklogPage", page)?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::InvalidPosition],
    })
}

fn reads() -> anyhow::Result<[Operation; 3]> {
    let conversations = Operation {
        method: "get",
        path: "/v1/conversations",
        id: "listConversations",
        summary: "Lists the user's conversations by id.",
        description: "Ask for the next page with `after` while `more` is true.",
        parameters: vec![
            query("after", reference("ConversationId"), "The last conversation of the page before."),
            limit(),
        ],
        body: None,
        status: 200,
        answer: body("ConversationPage", examples::conversation_page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge],
    };
    let members = Operation {
        method: "get",
        path: "/v1/conversations/{conversation}/members",
        id: "listMembers",
        summary: "Lists the members of a conversation by id.",
        description: "Ask for the next page with `after` while `more` is true.",
        parameters: vec![
            conversation(),
            query("after", reference("UserId"), "The last member of the page before."),
            limit(),
        ],
        body: None,
        status: 200,
        answer: body("MemberPage", examples::member_page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::NotAMember],
    };
    let history = Operation {
        method: "get",
        path: "/v1/conversations/{conversation}/history",
        id: "readHistory",
        summary: "Reads a page of a conversation's history, oldest first.",
        description: "The newest page when neither bound is given, the page that ends just before `before`, or the \
            page that begins just after `after`.",
        parameters: vec![
            conversation(),
            seq("before", "Only entries with a smaller number, nearest first chosen."),
            seq("after", "Only entries with a larger number, nearest first chosen."),
            limit(),
            query("edits", json!({ "type": "boolean" }), "Every entry as it was first said, edits and reactions too."),
        ],
        body: None,
        status: 200,
        answer: body("HistoryPage", examples::history_page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::NotAMember],
    };
    Ok([conversations, members, history])
}

fn send() -> anyhow::Result<Operation> {
    let draft = MessageDraft {
        client_id: examples::client_id(),
        text: "Shall we?".to_owned(),
        reply_to: None,
        mentions: Vec::new(),
    };
    let (client_id, conversation_id) = (examples::client_id(), examples::direct());
    let accepted = AcceptedView { conversation: conversation_id, client_id, seq: 1205, time: examples::TIME };
    Ok(Operation {
        method: "post",
        path: "/v1/conversations/{conversation}/messages",
        id: "sendMessage",
        summary: "Says something; answered once the log has stored it.",
        description: "A retry with the same client id and text gets the first answer, however late it comes.",
        parameters: vec![conversation()],
        body: Some(body("MessageDraft", draft)?),
        status: 200,
        answer: body("AcceptedView", accepted)?,
        errors: &[
            ErrorCode::Malformed,
            ErrorCode::TooLarge,
            ErrorCode::NotAMember,
            ErrorCode::NotAllowed,
            ErrorCode::NoSuchMessage,
            ErrorCode::MessageDeleted,
            ErrorCode::ClientIdConflict,
            ErrorCode::ClientIdInFuture,
        ],
    })
}

fn presence() -> anyhow::Result<Operation> {
    let schema = json!({ "type": "array", "items": reference("UserId") });
    Ok(Operation {
        method: "get",
        path: "/v1/presence",
        id: "readPresence",
        summary: "Tells who is online, of the users asked for.",
        description: "Users one shares no conversation with are left out.",
        parameters: vec![query("user", schema, "Whom; once per user, up to `presence_users_max` times.")],
        body: None,
        status: 200,
        answer: body("PresencePage", PresencePage { users: examples::presence_views() })?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge],
    })
}

fn requests() -> anyhow::Result<Operation> {
    let [request, answer] = examples::posted();
    Ok(Operation {
        method: "post",
        path: "/v1/requests",
        id: "postRequest",
        summary: "Carries out any request of the WebSocket protocol.",
        description: "The body is the request's frame, where `id` may be left out; the answer is the frame that a \
            session would get. `typing` is taken, too, and answered by `done`. Only what is about a session (`hello`, \
            `ping`, `watch_presence`, `set_away` and `refresh_token`) is refused.",
        parameters: Vec::new(),
        body: Some(body("PostedRequest", request)?),
        status: 200,
        answer: body("PostedAnswer", answer)?,
        errors: &[
            ErrorCode::Malformed,
            ErrorCode::UnknownType,
            ErrorCode::OutOfState,
            ErrorCode::TooLarge,
            ErrorCode::InvalidPosition,
            ErrorCode::NotAMember,
            ErrorCode::NotAllowed,
            ErrorCode::NotFound,
            ErrorCode::NoSuchMessage,
            ErrorCode::MessageDeleted,
            ErrorCode::TooLate,
            ErrorCode::NoSuchInvite,
            ErrorCode::GroupFull,
            ErrorCode::ClientIdConflict,
            ErrorCode::ClientIdInFuture,
        ],
    })
}

fn devices() -> anyhow::Result<[Operation; 2]> {
    let list = Operation {
        method: "get",
        path: "/v1/devices",
        id: "listDevices",
        summary: "Lists the user's devices, the one seen last first.",
        description: "Devices that were signed out are not listed.",
        parameters: Vec::new(),
        body: None,
        status: 200,
        answer: body("DevicePage", page())?,
        errors: &[],
    };
    let device =
        Parameter { name: "device", place: "path", description: "Which device.", schema: reference("DeviceId") };
    let revoke = Operation {
        method: "delete",
        path: "/v1/devices/{device}",
        id: "revokeDevice",
        summary: "Signs a device of the user out, for good.",
        description: "Its sessions are closed now, everywhere, and it may not come back. Answered with the devices \
            that are left. Natter gives out no tokens: the application has to stop giving the device any.",
        parameters: vec![device],
        body: None,
        status: 200,
        answer: body("DevicePage", page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::NotFound],
    };
    Ok([list, revoke])
}

/// As seen over HTTP, which is no device.
fn page() -> natter_protocol::DevicePage {
    let mut page = examples::device_page();
    page.devices.iter_mut().for_each(|device| device.current = false);
    page
}

fn privacy() -> anyhow::Result<[Operation; 2]> {
    let wanted = || natter_protocol::PrivacyView { presence: natter_protocol::Audience::Nobody };
    let read = Operation {
        method: "get",
        path: "/v1/privacy",
        id: "readPrivacy",
        summary: "Tells what the user lets others see.",
        description: "It holds for all devices.",
        parameters: Vec::new(),
        body: None,
        status: 200,
        answer: body("PrivacyView", wanted())?,
        errors: &[],
    };
    let change = Operation {
        method: "put",
        id: "changePrivacy",
        summary: "Changes what the user lets others see.",
        description: "It holds everywhere from now on.",
        body: Some(body("PrivacyView", wanted())?),
        answer: body("PrivacyView", wanted())?,
        parameters: Vec::new(),
        errors: &[ErrorCode::Malformed],
        path: "/v1/privacy",
        status: 200,
    };
    Ok([read, change])
}

fn blocks() -> anyhow::Result<[Operation; 3]> {
    let other = || Parameter { name: "user", place: "path", description: "Which user.", schema: reference("UserId") };
    let page = || body("BlockPage", examples::block_page());
    let list = Operation {
        method: "get",
        path: "/v1/blocks",
        id: "listBlocks",
        summary: "Lists whom the user has blocked.",
        description: "The one blocked last stands at the end.",
        parameters: Vec::new(),
        body: None,
        status: 200,
        answer: page()?,
        errors: &[],
    };
    let block = Operation {
        method: "put",
        path: "/v1/blocks/{user}",
        id: "blockUser",
        summary: "Blocks a user, who is not told.",
        description: "Answered with all blocks.",
        parameters: vec![other()],
        body: None,
        status: 200,
        answer: page()?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge],
    };
    let unblock = Operation {
        method: "delete",
        path: "/v1/blocks/{user}",
        id: "unblockUser",
        summary: "Lifts a block.",
        description: "What was said meanwhile is in the history of the direct conversation. Answered with the blocks \
            that are left.",
        parameters: vec![other()],
        body: None,
        status: 200,
        answer: page()?,
        errors: &[ErrorCode::Malformed],
    };
    Ok([list, block, unblock])
}
