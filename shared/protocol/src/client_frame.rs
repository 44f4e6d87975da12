//! Frames that clients send.

use natter_ids::{ClientId, ConversationId, DeviceId, InviteId, Position, Seq, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ArrangementDraft, GroupPatch, Hello, OverviewCursor, OverviewPosition, PrivacyView, Role, SettingsDraft,
    ShowRequests,
};

/// A number that the client gives a request; the answer carries it back. Any number will do;
/// using each once per session makes answers unambiguous.
pub type RequestId = u64;

/// A frame from client to gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first frame of a session.
    Hello(Hello),
    /// Asks for a `pong`, to measure the way or to keep the connection open.
    Ping {
        /// Comes back in the answer.
        #[serde(default)]
        id: RequestId,
    },
    /// The user is writing something; said again every few seconds while they go on. It is never answered: what is
    /// too much, or comes from no member, is dropped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Whether they have stopped, without sending anything.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stopped: bool,
    },
    /// Everything that is answered by a reply or an error with the same id.
    #[serde(untagged)]
    Request {
        /// Comes back in the answer.
        id: RequestId,
        /// The client's own trace, which the request becomes a part of (W3C Trace Context). Whether
        /// it is recorded is decided by the gateway; a text that is none is ignored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<String>,
        /// What is asked.
        #[serde(flatten)]
        request: Request,
    },
}

/// A request, answered by one frame with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Says something. Answered by `accepted` once the log has stored it.
    Send {
        /// Where.
        conversation: ConversationId,
        /// Made once per message and kept for retries.
        client_id: ClientId,
        /// What, up to `message_bytes_max` bytes.
        text: String,
        /// The number of the message that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<Seq>,
        /// Members who are meant by it; up to 50.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
    },
    /// Says again, elsewhere, what stands in a conversation of the user's. Answered by `accepted`.
    Forward {
        /// Where it is to be said.
        conversation: ConversationId,
        /// Made once per message and kept for retries.
        client_id: ClientId,
        /// The conversation that the message is in.
        from: ConversationId,
        /// The number of the message.
        target: Seq,
        /// Whether it is not told who said it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hide_sender: bool,
    },
    /// Opens the direct conversation with a user, or finds it. Answered by `conversation`.
    OpenDirect {
        /// With whom.
        user: UserId,
    },
    /// Creates a group. Answered by `conversation`; a retry with the same client id finds it.
    CreateGroup {
        /// Made once per group and kept for retries.
        client_id: ClientId,
        /// What people call it, up to `group_name_bytes_max` bytes.
        name: String,
        /// Its first members besides the creator.
        #[serde(default)]
        members: Vec<UserId>,
    },
    /// Adds a user to a group. Answered by `accepted`.
    AddMember {
        /// Which group.
        conversation: ConversationId,
        /// Made once and kept for retries: with it, it is done once, however often and late it is asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Whom.
        user: UserId,
    },
    /// Removes a member of a group who stands below. Answered by `accepted`.
    RemoveMember {
        /// Which group.
        conversation: ConversationId,
        /// Made once and kept for retries: with it, it is done once, however often and late it is asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Whom.
        user: UserId,
    },
    /// Leaves a group. Answered by `accepted`.
    Leave {
        /// Which group.
        conversation: ConversationId,
        /// Made once and kept for retries: with it, it is done once, however often and late it is asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
    },
    /// Changes how a group is set up; for those who manage it. Answered by `accepted`.
    ChangeGroup {
        /// Which group.
        conversation: ConversationId,
        /// Made once and kept for retries: with it, it is done once, however often and late it is asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// What.
        #[serde(flatten)]
        patch: GroupPatch,
    },
    /// Gives a member another role; for owners. With the role `owner` the group is handed over, and who
    /// asks is an admin from then on. Answered by `accepted`.
    ChangeRole {
        /// Which group.
        conversation: ConversationId,
        /// Made once and kept for retries: with it, it is done once, however often and late it is asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Whom.
        user: UserId,
        /// Which.
        role: Role,
    },
    /// Bars a user from a group, member or not; for those who manage it and stand above. Answered by
    /// `accepted`.
    BanMember {
        /// Which group.
        conversation: ConversationId,
        /// Made once and kept for retries: with it, it is done once, however often and late it is asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Whom.
        user: UserId,
    },
    /// Lets a barred user be added again; for those who manage the group. Answered by `accepted`.
    UnbanMember {
        /// Which group.
        conversation: ConversationId,
        /// Made once and kept for retries: with it, it is done once, however often and late it is asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Whom.
        user: UserId,
    },
    /// Makes an invite into a group; for those who may add members. Answered by `invite`.
    CreateInvite {
        /// Which group.
        conversation: ConversationId,
        /// Made once and kept for retries: 32 random hexadecimal digits, with which the invite's code ends. Asked
        /// for twice with the same, it is made once; without, its code is lost with the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
        /// Until when it holds, in milliseconds since 1970 UTC; for ever when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<u64>,
        /// How many may join with it; as many as come when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uses_max: Option<u32>,
    },
    /// Ends an invite; for those who manage the group. Answered by `accepted`.
    RevokeInvite {
        /// Which group.
        conversation: ConversationId,
        /// Which invite.
        invite: InviteId,
    },
    /// Lists the invites of a group that hold. Answered by `invites`.
    Invites {
        /// Which group.
        conversation: ConversationId,
    },
    /// Comes into a group by an invite. Answered by `conversation`, also for a member.
    Join {
        /// The invite's code.
        code: String,
    },
    /// Lists the user's conversations by id. Answered by `conversations`.
    Conversations {
        /// The last conversation of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<ConversationId>,
        /// How many at most; `page_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Lists the members of a conversation by id. Answered by `members`.
    Members {
        /// Which conversation.
        conversation: ConversationId,
        /// The last member of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<UserId>,
        /// How many at most; `page_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Reads history in order of the log: the newest page when neither bound is given, the page
    /// that ends just before `before`, or the page that begins just after `after`. Answered by
    /// `history`.
    History {
        /// Which conversation.
        conversation: ConversationId,
        /// Only entries with a smaller number, nearest first chosen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Seq>,
        /// Only entries with a larger number, nearest first chosen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Seq>,
        /// How many at most; `page_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Every entry as it was first said, edits and reactions too; otherwise messages come as
        /// they are now, and the entries that only change them are left out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        edits: bool,
    },
    /// Gives a message of one's own another text. Answered by `accepted`.
    Edit {
        /// Where.
        conversation: ConversationId,
        /// Made once per change and kept for retries.
        client_id: ClientId,
        /// The number of the message.
        target: Seq,
        /// The new text, up to `message_bytes_max` bytes.
        text: String,
        /// Members who are meant by it; up to 50.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
    },
    /// Deletes a message for everybody: one's own, or in a group that one manages, anybody's.
    /// Answered by `accepted`.
    Delete {
        /// Where.
        conversation: ConversationId,
        /// Made once per change and kept for retries.
        client_id: ClientId,
        /// The number of the message.
        target: Seq,
    },
    /// Reacts to a message, or takes a reaction back. Answered by `accepted`.
    React {
        /// Where.
        conversation: ConversationId,
        /// Made once per change and kept for retries.
        client_id: ClientId,
        /// The number of the message.
        target: Seq,
        /// Which one: up to 48 bytes, without spaces and control characters.
        emoji: String,
        /// `false` takes it back.
        on: bool,
    },
    /// Pins a message, for everybody. Answered by `accepted`.
    Pin {
        /// Where.
        conversation: ConversationId,
        /// Made once per change and kept for retries.
        client_id: ClientId,
        /// The number of the message.
        target: Seq,
    },
    /// Takes a pinned message off. Answered by `accepted`.
    Unpin {
        /// Where.
        conversation: ConversationId,
        /// Made once per change and kept for retries.
        client_id: ClientId,
        /// The number of the message.
        target: Seq,
    },
    /// Lets messages of a conversation disappear from now on: in a direct one either user's to
    /// say, in a group for those who manage it. Answered by `accepted`.
    SetTimer {
        /// Where.
        conversation: ConversationId,
        /// Made once per change and kept for retries.
        client_id: ClientId,
        /// After how many seconds, up to a year; 0: never.
        seconds: u32,
    },
    /// Reads the pinned messages with the largest numbers, oldest first. Answered by `history`.
    Pinned {
        /// Which conversation.
        conversation: ConversationId,
        /// Only messages with a smaller number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Seq>,
        /// How many at most; `page_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Asks who has reacted to a message, and with what. Answered by `reactors`.
    Reactors {
        /// Where.
        conversation: ConversationId,
        /// The number of the message.
        target: Seq,
        /// Only those who have this one on it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        emoji: Option<String>,
        /// The last user of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<UserId>,
        /// How many users at most; `page_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Asks who is online, among users one shares a conversation with. Answered by `presence`.
    Presence {
        /// Whom, up to `presence_users_max`.
        users: Vec<UserId>,
    },
    /// Like `presence`, and `presence_changed` follows for each change. Replaces the users
    /// watched before; an empty list ends the watch.
    WatchPresence {
        /// Whom, up to `presence_users_max`.
        users: Vec<UserId>,
    },
    /// Says whether the user is at this device. While all connected devices are left, others see the user as
    /// `away`. Lasts as long as the session. Answered by `done`.
    SetAway {
        /// Whether they are not.
        away: bool,
    },
    /// Lists whom the user has blocked. Answered by `blocks`.
    Blocks,
    /// Blocks a user: from now on nothing that they say in the direct conversation is shown on any device, nor that
    /// they are writing, and they do not see whether the user is online. They are not told. Answered by `blocks`.
    Block {
        /// Whom.
        user: UserId,
    },
    /// Lifts a block. What was said meanwhile is in the history; `unblocked` tells every device so. Answered by
    /// `blocks`.
    Unblock {
        /// Whom.
        user: UserId,
    },
    /// Asks what the user lets others see. Answered by `privacy`.
    Privacy,
    /// Changes what the user lets others see, everywhere and for good. Answered by `privacy`.
    SetPrivacy {
        /// All of it.
        #[serde(flatten)]
        privacy: PrivacyView,
    },
    /// Lists the user's devices. Answered by `devices`.
    Devices,
    /// Signs a device of the user out, for good: its sessions are closed now, everywhere, and it may
    /// not come back. Answered by `devices`, with those that are left.
    RevokeDevice {
        /// Which.
        device: DeviceId,
    },
    /// Replaces the session's token before it expires. Answered by `refreshed`.
    RefreshToken {
        /// A token of the same user.
        token: String,
    },
    /// Tells how far the user has come in a conversation. Answered by `marked` once it is stored.
    /// Marks only rise: one that is smaller than what is stored changes nothing, so a client
    /// repeats after a failure, and sends one request for however many messages.
    Mark {
        /// Where.
        conversation: ConversationId,
        /// A device has every entry up to this number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivered: Option<Seq>,
        /// The user has read every entry up to this number, which tells that they are delivered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read: Option<Seq>,
    },
    /// Asks which marks have changed since an earlier answer, in the user's conversations that are
    /// small enough for live marks. Answered by `marks`.
    Marks {
        /// From an earlier answer; absent: no marks, and where the present is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Position>,
        /// How many marks at most; `page_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Asks who has received and read an entry, of the other members. Answered by `receipts`.
    Receipts {
        /// Which conversation.
        conversation: ConversationId,
        /// The number of the entry.
        seq: Seq,
        /// The last member of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<UserId>,
        /// How many members at most; `page_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Lists the user's conversations, pinned ones first, then by last activity, with what is unread
    /// and how they are arranged; or what of that has changed. Answered by `overview`.
    Overview {
        /// From an earlier answer: only conversations in which anything has changed since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<OverviewPosition>,
        /// From the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<OverviewCursor>,
        /// How many at most; `overview_items_max` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Whether requests of strangers are among them; the same for every page, and for each `since`.
        #[serde(default, skip_serializing_if = "ShowRequests::is_default")]
        requests: ShowRequests,
    },
    /// Mutes, pins or puts away a conversation in the user's list, or accepts a request, on all their devices.
    /// Answered by `arranged`. What is absent stays as it is.
    Arrange {
        /// Which conversation.
        conversation: ConversationId,
        /// What changes.
        #[serde(flatten)]
        draft: ArrangementDraft,
    },
    /// Changes those of the user's settings that are given, and reads all. Answered by `settings`.
    ChangeSettings {
        /// What changes.
        #[serde(flatten)]
        draft: SettingsDraft,
    },
}
