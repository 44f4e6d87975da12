//! Every metric that Natter has.

use super::{Counter, Gauge, Histogram, Label, Level, Metric, instrument::Declared};

macro_rules! catalogue {
    ($($(#[doc = $meaning:literal])+ $id:ident: $kind:ident$(<$arity:literal>)? = $name:literal [$($label:ident)*];)*) => {
        $($(#[doc = $meaning])+ pub static $id: $kind$(<$arity>)? =
            $kind::new($name, &[$(Label::$label),*], concat!($($meaning),+));)*
        static ALL: &[&(dyn Declared + 'static)] = &[$(&$id),*];
    };
}

catalogue! {
    /// What runs: 1.
    BUILD_INFO: Gauge<2> = "natter_build_info" [Version Service];

    /// From the log's acknowledgement of a message (`accepted`) until the archive has it.
    MESSAGE_STORED: Histogram<0> = "natter_message_stored_seconds" [];
    /// From the log's acknowledgement of a message until it was written to a socket of a recipient who was caught up.
    MESSAGE_SOCKET: Histogram<0> = "natter_message_socket_seconds" [];
    /// From the log's acknowledgement of a message until a service has worked it off and acknowledged it: delivery has sent it to everybody online, storage has archived it.
    MESSAGE_ACKNOWLEDGED: Histogram<1> = "natter_message_acknowledged_seconds" [Service];

    /// Sessions that are open.
    CONNECTION_SESSIONS: Level = "natter_connection_sessions" [];
    /// Sessions that were closed by the gateway, by the reason that the client was given.
    CONNECTION_CLOSES: Counter<1> = "natter_connection_closes_total" [Code];
    /// What was refused because of a limit, by its name.
    CONNECTION_REFUSALS: Counter<1> = "natter_connection_refusals_total" [Limit];
    /// Requests of clients, over WebSocket and HTTP, by how they were answered.
    CONNECTION_REQUESTS: Counter<2> = "natter_connection_requests_total" [Request Outcome];
    /// How long requests of clients took; for `send` until it was accepted or refused.
    CONNECTION_REQUEST: Histogram<1> = "natter_connection_request_seconds" [Request];
    /// Bytes that wait for clients to read them, over all sessions.
    CONNECTION_QUEUE: Level = "natter_connection_queue_bytes" [];
    /// Notes about devices that were lost because too many waited: when a device was seen last is then off by up to an hour.
    CONNECTION_DEVICE_NOTES_LOST: Counter<0> = "natter_connection_device_notes_lost_total" [];
    /// From the start of a session, or a hole in it, until its device had everything it had missed.
    RESUME: Histogram<0> = "natter_resume_seconds" [];
    /// How many events a device had missed when it had caught up.
    RESUME_EVENTS: Histogram<0> = "natter_resume_events" [];
    /// Sessions that read what they missed, or wait for their turn.
    RESUMES: Level = "natter_resumes" [];

    /// Entries of the log that delivery has worked off.
    DELIVERY_ENTRIES: Counter<0> = "natter_delivery_entries_total" [];
    /// Live events that delivery has sent to inboxes.
    DELIVERY_SENDS: Counter<0> = "natter_delivery_sends_total" [];
    /// Notes, of marks and settings, that delivery has sent to inboxes.
    DELIVERY_NOTES: Counter<0> = "natter_delivery_notes_total" [];
    /// Times that delivery has told a member who is writing.
    DELIVERY_TYPING: Counter<0> = "natter_delivery_typing_total" [];
    /// Entries that delivery could not read and left out. Any is a defect.
    DELIVERY_POISON: Counter<0> = "natter_delivery_poison_total" [];

    /// Entries of the log that storage has archived.
    STORAGE_ENTRIES: Counter<0> = "natter_storage_entries_total" [];
    /// How long the archive took to write a batch.
    STORAGE_COMMIT: Histogram<0> = "natter_storage_commit_seconds" [];
    /// Marks that have risen and were stored.
    STORAGE_MARKS: Counter<0> = "natter_storage_marks_total" [];
    /// Transactions that stored marks.
    STORAGE_MARK_COMMITS: Counter<0> = "natter_storage_mark_commits_total" [];
    /// Entries that storage could not read and left out. Any is a defect.
    STORAGE_POISON: Counter<0> = "natter_storage_poison_total" [];
    /// Requests to storage, by how they were answered.
    STORAGE_REQUESTS: Counter<2> = "natter_storage_requests_total" [Request Outcome];
    /// How long storage took to answer.
    STORAGE_REQUEST: Histogram<1> = "natter_storage_request_seconds" [Request];
    /// Connections of the pool to the database.
    SQL_CONNECTIONS: Gauge<1> = "natter_sql_connections" [State];
    /// Times that storage found a log that ends before its archive: `natter restore` is needed.
    STORAGE_LOG_BEHIND: Counter<1> = "natter_storage_log_behind_total" [Partition];
    /// Entries that neither the log nor the archive holds: they are lost.
    RECONCILER_LOST: Gauge<1> = "natter_reconciler_lost_entries" [Partition];
    /// Entries that stand differently in the log and in the archive. Any is a defect.
    RECONCILER_DIVERGENT: Counter<1> = "natter_reconciler_divergent_entries_total" [Partition];

    /// Users who are online.
    PRESENCE_USERS_ONLINE: Level = "natter_presence_users_online" [];

    /// Partitions that this replica owns.
    PARTITIONS_OWNED: Gauge<1> = "natter_partitions_owned" [Service];
    /// Times that this replica became the owner of a partition.
    PARTITION_TAKEOVERS: Counter<1> = "natter_partition_takeovers_total" [Service];
    /// Accepted entries that the service has not worked off. Every storage replica tells of all partitions: take the highest.
    CONSUMER_LAG: Gauge<2> = "natter_consumer_lag_entries" [Service Partition];
    /// For how long the oldest entry that the service has not worked off has been accepted; 0 when there is none.
    CONSUMER_OLDEST: Gauge<2> = "natter_consumer_oldest_seconds" [Service Partition];
    /// Times that a consumer was set back because a delivery of NATS was missing.
    CONSUMER_RESETS: Counter<0> = "natter_consumer_resets_total" [];
    /// Times that a consumer was gone and was made anew.
    CONSUMERS_MADE_ANEW: Counter<1> = "natter_consumers_made_anew_total" [Service];
    /// Appends that were refused because the log ends before its archive: `natter restore` is needed.
    LOG_BEHIND: Counter<0> = "natter_log_behind_total" [];

    /// Whether NATS is connected and answers: 1 or 0.
    NATS_CONNECTED: Gauge<0> = "natter_nats_connected" [];
    /// What happened to connections to NATS.
    NATS_LINK_EVENTS: Counter<1> = "natter_nats_link_events_total" [Event];
    /// From sending a message through NATS to oneself until it came back.
    NATS_ROUND_TRIP: Histogram<0> = "natter_nats_round_trip_seconds" [];
    /// How far the clock of NATS is ahead of this machine's.
    CLOCK_OFFSET: Gauge<0> = "natter_clock_offset_seconds" [];
    /// For how long a NATS server may keep what it has acknowledged in memory only; 0: it syncs before.
    NATS_SYNC_INTERVAL: Gauge<1> = "natter_nats_sync_interval_seconds" [Server];

    /// How long a stage of the canary's messages took.
    CANARY: Histogram<1> = "natter_canary_seconds" [Stage];
    /// Stages of the canary's messages that failed.
    CANARY_FAILURES: Counter<1> = "natter_canary_failures_total" [Stage];
    /// When the canary's last round succeeded, in seconds since 1970 UTC.
    CANARY_LAST_SUCCESS: Gauge<0> = "natter_canary_last_success_timestamp_seconds" [];

    /// Times that the configuration was read again.
    CONFIG_RELOADS: Counter<1> = "natter_config_reloads_total" [Outcome];
    /// When the configuration in force was read, in seconds since 1970 UTC.
    CONFIG_LOADED: Gauge<0> = "natter_config_loaded_timestamp_seconds" [];
}

/// Every metric, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    ALL.iter().map(|declared| declared.metric())
}

/// Shows what needs no event to be known.
pub(super) fn begin() {
    ALL.iter().for_each(|declared| declared.begin());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metrics::Kind;

    #[test]
    fn names_follow_the_conventions() {
        let mut names = BTreeSet::new();
        for metric in all() {
            let name = metric.name;
            assert!(names.insert(name), "{name} is declared twice");
            assert!(name.starts_with("natter_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}: counters end in _total");
            assert!(metric.meaning.trim().ends_with('.'), "{name}: the meaning is a sentence");
        }
    }
}
