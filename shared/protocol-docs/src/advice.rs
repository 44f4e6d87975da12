//! What clients should do, where the Rust types alone do not tell. Every `match` is exhaustive:
//! a new code or frame does not compile until something is said about it.

use natter_protocol::{ClientFrame, CloseCode, ErrorCode, Request, RetryAdvice};

/// When to repeat a request that was refused.
pub(crate) fn retry(code: ErrorCode) -> String {
    match code.advice() {
        RetryAdvice::After { ms } => format!("after `retry_after_ms`; {ms} when nothing more exact is known"),
        RetryAdvice::Changed => "no".to_owned(),
        RetryAdvice::NewToken => "with a new token".to_owned(),
    }
}

/// What a client does about a refusal.
pub(crate) fn on_error(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Malformed => "A mistake of the client: log it. `message` tells the field.",
        ErrorCode::UnknownType => "A mistake, or the gateway is older than the client: do without that frame.",
        ErrorCode::OutOfState => "A mistake of the client: say `hello` first, and once.",
        ErrorCode::TooLarge => "Split or shorten; `limit` names what was met.",
        ErrorCode::InvalidPosition => {
            "Forget the position, connect as a new device, and read each conversation's history."
        }
        ErrorCode::Unauthenticated => "Get a new token; if that one is refused too, sign in again.",
        ErrorCode::TokenExpired => "Get a new token and repeat.",
        ErrorCode::OriginForbidden => "Nothing: the operator has to allow the page's origin.",
        ErrorCode::NotAMember => "Drop the conversation from the list; keep the texts already received.",
        ErrorCode::NotAllowed => "Do not offer the action to this user.",
        ErrorCode::TooLate => "Tell the user; do not offer the action for messages of that age.",
        ErrorCode::NoSuchMessage => "A mistake of the client: offer the action on messages that it has.",
        ErrorCode::MessageDeleted => "Show the message as deleted: the event that tells so is on its way.",
        ErrorCode::NotFound => "A mistake of the client: check the address and the method.",
        ErrorCode::ClientIdConflict => "A mistake of the client: make a fresh id for each message.",
        ErrorCode::ClientIdInFuture => {
            "Make a new id with the time corrected by `welcome.server_time`; nothing was stored."
        }
        ErrorCode::NoSuchInvite => "Ask for another invite.",
        ErrorCode::GroupFull => "Tell the user; `limit` names what was met.",
        ErrorCode::DeviceRevoked => {
            "Forget position and device, delete what the device has kept, and have the user sign in again: as a new device."
        }
        ErrorCode::TooManyDevices => {
            "Tell the user, who signs another device out, here over HTTP or on another device."
        }
        ErrorCode::RateLimited => "Wait and repeat the same request, with the same client id.",
        ErrorCode::Overloaded => "Wait and repeat, possibly at another gateway.",
        ErrorCode::Unavailable | ErrorCode::Internal => {
            "Wait, doubling from try to try, and repeat with the same client id: a message may have been stored all the same."
        }
    }
}

/// What a client does after a close.
pub(crate) fn on_close(code: CloseCode) -> &'static str {
    match code {
        CloseCode::GoingAway => "Connect to any gateway after the wait that `going_away` named.",
        CloseCode::SlowConsumer => "Connect again and resume; store events faster, or in batches.",
        CloseCode::Silent => "Connect again; answer pings.",
        CloseCode::Unavailable => "Connect again after a wait, possibly to another gateway.",
        CloseCode::TokenExpired => "Get a new token, then connect again.",
        CloseCode::HelloTimeout => "Connect again; say `hello` at once.",
        CloseCode::Unauthenticated => "Get a new token; if that one is refused too, sign in again.",
        CloseCode::ProtocolError => "Stop: a mistake of the client. Log the errors received before.",
        CloseCode::FrameTooLarge => "Do not send that frame again: it is larger than `welcome.limits.frame_bytes_max`.",
        CloseCode::InvalidPosition => {
            "Forget the position, connect as a new device, and read each conversation's history."
        }
        CloseCode::DeviceRevoked => {
            "Do not come back with this device: forget what it has kept, and have the user sign in again, as a new device."
        }
        CloseCode::TooManyDevices => "Tell the user, who signs another device out first.",
    }
}

/// The `type` of the frame that answers, unless an `error` does; `None`: nothing ever does.
pub(crate) fn answer(frame: &ClientFrame) -> Option<&'static str> {
    Some(match frame {
        ClientFrame::Typing { .. } => return None,
        ClientFrame::Hello(_) => "welcome",
        ClientFrame::Ping { .. } => "pong",
        ClientFrame::Request { request, .. } => match request {
            Request::Send { .. }
            | Request::AddMember { .. }
            | Request::RemoveMember { .. }
            | Request::ChangeGroup { .. }
            | Request::ChangeRole { .. }
            | Request::BanMember { .. }
            | Request::UnbanMember { .. }
            | Request::RevokeInvite { .. }
            | Request::Leave { .. } => "accepted",
            Request::OpenDirect { .. } | Request::CreateGroup { .. } | Request::Join { .. } => "conversation",
            Request::CreateInvite { .. } => "invite",
            Request::Invites { .. } => "invites",
            Request::Forward { .. }
            | Request::Edit { .. }
            | Request::Delete { .. }
            | Request::React { .. }
            | Request::Pin { .. }
            | Request::Unpin { .. }
            | Request::SetTimer { .. } => "accepted",
            Request::Conversations { .. } => "conversations",
            Request::Members { .. } => "members",
            Request::History { .. } | Request::Pinned { .. } => "history",
            Request::Presence { .. } | Request::WatchPresence { .. } => "presence",
            Request::SetAway { .. } => "done",
            Request::Blocks | Request::Block { .. } | Request::Unblock { .. } => "blocks",
            Request::Privacy | Request::SetPrivacy { .. } => "privacy",
            Request::Devices | Request::RevokeDevice { .. } => "devices",
            Request::RefreshToken { .. } => "refreshed",
            Request::Mark { .. } => "marked",
            Request::Marks { .. } => "marks",
            Request::Receipts { .. } => "receipts",
            Request::Reactors { .. } => "reactors",
            Request::Overview { .. } => "overview",
            Request::Arrange { .. } => "arranged",
            Request::ChangeSettings { .. } => "settings",
        },
    })
}

/// What happens beyond one of the limits that `welcome` tells; `None`: nothing is said yet.
pub(crate) fn beyond_limit(name: &str) -> Option<&'static str> {
    Some(match name {
        "group_description_bytes_max" | "group_avatar_bytes_max" | "group_invites_max" => "error `too_large`",
        "message_bytes_max"
        | "group_name_bytes_max"
        | "page_items_max"
        | "overview_items_max"
        | "presence_users_max" => "error `too_large`",
        "blocks_max" => "error `too_large`",
        "devices_max" => "error `too_many_devices`, close 4505",
        "device_name_bytes_max" => "error `too_large`, close 4501",
        "frame_bytes_max" => "close 4502 `frame_too_large`; over HTTP, error `too_large`",
        "group_members_max" => "error `group_full`",
        "group_begun_members_max" => "error `too_large`",
        _ => return None,
    })
}
