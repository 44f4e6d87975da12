//! A database that gives up a transaction by itself.

use natter_ids::Partition;
use natter_storage::{ApplyError, Store};
use sqlx::{AnyConnection, Connection, Executor};

use crate::{
    database::{Database, PARTITIONS},
    log::Log,
};

const GIVES_UP: &str =
    "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END";

/// Found by `disks-full` of `./justw chaos`: SQLite on a full disk rolls back on its own account,
/// and the connection began no transaction ever again.
#[tokio::test]
async fn after_a_full_disk_the_same_store_goes_on() {
    let database = Database::sqlite();
    let store: Store = database.open().await;
    let mut log = Log::default();
    let talk = log.direct("alice", "bob");
    log.archive(&store).await;
    let partition = Partition::of(&talk, PARTITIONS);
    let archived = store.checkpoint(partition).await.unwrap();
    log.say(&talk, "alice", "hello");

    sqlx::any::install_default_drivers();
    let mut other = AnyConnection::connect(database.config.url.as_deref().unwrap()).await.unwrap();
    other.execute(GIVES_UP).await.unwrap();
    for _ in 0..3 {
        let refused = log.try_archive(&store).await;
        assert!(matches!(refused, Err(ApplyError::Database(_))), "{refused:?}");
        assert_eq!(store.checkpoint(partition).await.unwrap(), archived, "nothing of it was archived");
    }
    other.execute("DROP TRIGGER full").await.unwrap();
    log.try_archive(&store).await.unwrap();
    assert_eq!(store.checkpoint(partition).await.unwrap(), archived + 1);
}
