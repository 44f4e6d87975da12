//! Natter end to end, with real processes: each test is a story with its goal on top.
//!
//! One binary, so that it is linked once and its tests share one throwaway PostgreSQL. Run a
//! theme with `cargo test -p natter-e2e --test suite chaos`.

#![allow(clippy::unwrap_used)]

/// Runs a test on SQLite and on PostgreSQL.
macro_rules! on_every_database {
    ($test:ident) => {
        mod $test {
            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                Box::pin(super::$test(natter_e2e::Db::Sqlite)).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                Box::pin(super::$test(natter_e2e::Db::Postgres)).await;
            }
        }
    };
}

mod blocks;
mod canary;
mod changes;
mod chaos;
mod clocks;
mod conversation;
mod devices;
mod disappearing;
mod drain;
mod frames;
mod group_retries;
mod groups;
mod handshake;
mod http;
mod http_changes;
mod http_groups;
mod idempotency;
mod large_rooms;
mod limits;
mod lost_log;
mod membership;
mod mentions;
mod outages;
mod overview;
mod past;
mod presence;
mod privacy;
mod races;
mod reactors;
mod receipts;
mod reconciler;
mod references;
mod requests;
mod restore;
mod resume;
mod rising;
mod secured;
mod slow_reader;
mod tokens;
mod traces;
mod typing;
mod unheard;
mod upgrade;

/// Milliseconds since 1970 UTC.
fn now_ms() -> u64 {
    u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
