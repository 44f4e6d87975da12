//! The wire protocol `natter.v1`, defined once: everything else (schemas, documents, client,
//! gateway) follows these types. No I/O.
//!
//! A conversation over one WebSocket, in five lines:
//!
//! ```text
//! client  hello {device, position}           the first frame; position is where the device stopped
//! server  welcome {session, limits}          then every missed event, in order
//! server  caught_up {position}               from here on events are live
//! client  send {id, conversation, client_id, text}
//! server  accepted {id, seq}                 only once the log has stored it
//! ```

mod blocks;
mod client_frame;
mod close_code;
mod decode;
mod devices;
mod error_code;
mod event;
mod group;
mod hello;
mod limits;
mod marks;
mod message_views;
mod other;
mod overview;
mod privacy;
mod request;
mod server_frame;
mod views;

pub use blocks::{BlockPage, BlockView};
pub use client_frame::{ClientFrame, Request, RequestId};
pub use close_code::CloseCode;
pub use decode::{Undecodable, decode_client_frame};
pub use devices::{DevicePage, DeviceView};
pub use error_code::{ErrorBody, ErrorCode, RetryAdvice};
pub use event::{Change, Entry, Event, Forwarded};
pub use group::{
    GroupChangeDraft, GroupDraft, GroupPatch, GroupSettings, InviteDraft, InvitePage, InviteView, JoinDraft,
    MemberDraft, Past, Role, RoleDraft, Who,
};
pub use hello::Hello;
pub use limits::{Limits, configured_limits};
pub use marks::{
    MarkDraft, MarkPage, MarkView, MarkedView, MarksView, ReceiptPage, SettingsDraft, SettingsView, Strangers,
};
pub use message_views::{
    ChangeDraft, EMOJI_BYTES_MAX, EditDraft, ForwardDraft, MENTIONS_MAX, MessageState, PINNED_MAX, REACTIONS_MAX,
    ReactionDraft, ReactionView, ReactorPage, ReactorView, TIMER_MAX_S, TimerDraft, is_emoji,
};
pub use other::Other;
pub use overview::{
    Arrangement, ArrangementDraft, ArrangementView, InvalidOverviewToken, OverviewCursor, OverviewItem, OverviewPage,
    OverviewPosition, ShowRequests,
};
pub use privacy::{Audience, PrivacyView};
pub use server_frame::{EVENT_FRAME_PREFIX, ServerFrame, event_frame};
pub use views::{
    AcceptedView, BacklogPage, ConversationPage, ConversationView, HistoryPage, MemberPage, MemberView, MessageDraft,
    PresencePage, PresenceView, TicketGrant,
};

/// The WebSocket subprotocol (RFC 6455, section 1.9) of this version. A client offers every
/// version it speaks; the gateway picks one or refuses the upgrade.
pub const SUBPROTOCOL: &str = "natter.v1";

/// Prefix of the pseudo-subprotocol that carries a bearer token, for browsers.
pub const BEARER_SUBPROTOCOL_PREFIX: &str = "natter.bearer.";

/// Prefix of the pseudo-subprotocol that carries a single-use ticket, for browsers.
pub const TICKET_SUBPROTOCOL_PREFIX: &str = "natter.ticket.";
