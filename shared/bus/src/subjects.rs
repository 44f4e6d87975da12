//! Every subject, stream, consumer and bucket name: written here and nowhere else.

use natter_ids::{ConversationId, GatewayId, InviteId, Partition, SHARDS, UserId};

/// A service that reads the log through durable consumers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Fans events out to who is online.
    Delivery,
    /// Archives events into SQL.
    Storage,
}

impl Service {
    /// Every such service.
    pub const ALL: [Self; 2] = [Self::Delivery, Self::Storage];

    /// The name of the service, as in consumer names, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Storage => "storage",
        }
    }
}

/// Bucket of the leases by which replicas own partitions.
pub(crate) const LEASES_BUCKET: &str = "LEASES";
/// Bucket of single-use tickets.
pub(crate) const TICKETS_BUCKET: &str = "TICKETS";
/// Bucket of when each user's last device went.
pub(crate) const LAST_SEEN_BUCKET: &str = "LAST_SEEN";

/// Bucket of what gateways know of each user.
pub(crate) const USERS_BUCKET: &str = "USERS";

/// Every bucket.
pub(crate) const BUCKETS: [&str; 4] = [LEASES_BUCKET, TICKETS_BUCKET, LAST_SEEN_BUCKET, USERS_BUCKET];

/// Broadcast by gateways: something about a user, for the sessions that they hold.
pub(crate) const TOLD: &str = "connection.told";
/// Broadcast by storage: how far each partition is archived.
pub(crate) const ARCHIVED: &str = "storage.archived";
/// Broadcast by gateways: every delivery replica answers with a marker.
pub(crate) const MARKER_REQUEST: &str = "delivery.marker";

/// Where what is known of a user is kept.
pub(crate) fn user(user: &UserId) -> String {
    format!("$KV.{USERS_BUCKET}.{}", user.token())
}

/// Broadcast by gateways: who is writing; the owner of the partition passes it on.
pub(crate) const TYPING: &str = "delivery.typing";

pub(crate) fn stream(partition: Partition) -> String {
    format!("CHAT-{partition}")
}

/// The shards of a partition, as subjects of its stream.
pub(crate) fn stream_subjects(partition: Partition, partitions: u16) -> Vec<String> {
    let shards = (0..SHARDS).filter(|shard| shard % partitions.max(1) == partition.0);
    shards.map(|shard| format!("chat.{shard}.>")).collect()
}

pub(crate) fn consumer(service: Service) -> &'static str {
    service.name()
}

pub(crate) fn log(conversation: &ConversationId) -> String {
    format!("chat.{}.{conversation}.log", conversation.shard())
}

/// Entries that change one user's membership. In the same stream as `log`, hence in one order
/// with it; a subject of its own so that an append can be fenced on it.
pub(crate) fn member(conversation: &ConversationId, user: &UserId) -> String {
    format!("chat.{}.{conversation}.member.{}", conversation.shard(), user.token())
}

/// Entries about one invite, so that its uses are counted exactly: an append is fenced on them.
pub(crate) fn invite(conversation: &ConversationId, invite: &InviteId) -> String {
    format!("chat.{}.{conversation}.invite.{invite}", conversation.shard())
}

/// The conversation of a log subject.
pub(crate) fn conversation_of(subject: &str) -> Option<ConversationId> {
    let mut tokens = subject.split('.');
    (tokens.next() == Some("chat")).then_some(())?;
    tokens.next()?;
    ConversationId::parse(tokens.next()?).ok()
}

pub(crate) fn inbox(user: &UserId) -> String {
    format!("user.{}.inbox", user.token())
}

/// What goes to many users at one gateway.
pub(crate) fn gateway_inbox(gateway: &GatewayId) -> String {
    format!("gateway.{gateway}.inbox")
}

pub(crate) fn storage_request(name: &str) -> String {
    format!("storage.ask.{name}")
}

/// What storage has to tell people who are online, over delivery.
pub(crate) const NOTICES: &str = "delivery.notice";

/// Reports of one gateway about who is connected to it.
pub(crate) fn gateway_report(gateway: &GatewayId) -> String {
    format!("presence.gateway.{gateway}")
}

/// Reports of all gateways.
pub(crate) const GATEWAY_REPORTS: &str = "presence.gateway.*";
/// Asks every gateway for a full report.
pub(crate) const GATEWAY_REFRESH: &str = "presence.refresh";
/// Asks presence about users.
pub(crate) const PRESENCE_QUERY: &str = "presence.query";

/// Changes of every user's presence.
pub(crate) const PRESENCE_CHANGES: &str = "presence.user.*";

/// Changes of one user's presence.
pub(crate) fn presence_changed(user: &UserId) -> String {
    format!("presence.user.{}", user.token())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn subjects_carry_no_raw_user_id() {
        for text in ["a.b", "*", ">", "two words"] {
            let user = UserId::new(text).unwrap();
            let subject = inbox(&user);
            assert_eq!(subject.split('.').count(), 3, "{subject}");
            assert!(!subject.contains(['*', '>', ' ']), "{subject}");
        }
    }

    #[test]
    fn every_shard_belongs_to_exactly_one_stream() {
        for partitions in [1, 3, 4, 64] {
            let mut all: Vec<_> =
                Partition::all(partitions).flat_map(|partition| stream_subjects(partition, partitions)).collect();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), usize::from(SHARDS));
        }
    }

    #[test]
    fn the_conversation_is_read_back() {
        let user = |name| UserId::new(name).unwrap();
        let conversation = ConversationId::direct(&user("a"), &user("b.c"));
        assert_eq!(conversation_of(&log(&conversation)), Some(conversation.clone()));
        assert_eq!(conversation_of(&member(&conversation, &user("b.c"))), Some(conversation));
        assert_eq!(conversation_of("chat.1.nonsense.log"), None);
    }
}
