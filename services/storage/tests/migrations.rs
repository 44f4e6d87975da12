//! Migrations only add, so that the release before goes on beside them, and never hold it up.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{path::Path, time::Duration};

use natter_storage::{Config, Store};
use natter_testkit::{postgres, wait_for};
use sqlx::{AnyConnection, Connection, Executor, Row};

/// The mark of a migration that takes away what no release uses any more: the first line says which
/// release was the last one that did.
const CONTRACT: &str = "-- contract: nothing uses it since release ";

fn is_contract(text: &str) -> bool {
    let release = text.lines().next().and_then(|line| line.strip_prefix(CONTRACT)).unwrap_or_default();
    let numbers: Vec<_> = release.trim().split('.').collect();
    numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}

/// Statements in capitals, without comments, with single spaces.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<_> = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let words = |statement: &str| statement.to_uppercase().split_whitespace().collect::<Vec<_>>().join(" ");
    code.join("\n").split(';').map(words).filter(|statement| !statement.is_empty()).collect()
}

/// Why the release before cannot run beside these statements, or is held up by them.
fn faults(text: &str) -> Vec<String> {
    if is_contract(text) {
        return Vec::new();
    }
    let statements = statements(text);
    let table = |statement: &str| {
        let rest = statement.strip_prefix("CREATE TABLE ")?;
        let name = rest.trim_start_matches("IF NOT EXISTS ").split([' ', '(']).next()?;
        Some(name.to_owned())
    };
    let new: Vec<_> = statements.iter().filter_map(|statement| table(statement)).collect();
    let mut faults = Vec::new();
    for statement in &statements {
        let words: Vec<_> = statement.split([' ', '(', ')', ',']).filter(|word| !word.is_empty()).collect();
        let has = |phrase: &[&str]| words.windows(phrase.len()).any(|window| window == phrase);
        let mut fault = |why: &str| faults.push(format!("{why}: {statement}"));
        if has(&["DROP"]) {
            fault("takes away");
        }
        if has(&["RENAME"]) {
            fault("renames");
        }
        if statement.starts_with("ALTER TABLE") && has(&["TYPE"]) {
            fault("changes a type, and rewrites the table under a lock");
        }
        if statement.starts_with("ALTER TABLE") && has(&["NOT", "NULL"]) && !has(&["DEFAULT"]) {
            fault("wants a value that the release before does not write");
        }
        if statement.starts_with("ALTER TABLE") && (has(&["CONSTRAINT"]) || has(&["CHECK"]) || has(&["UNIQUE"])) {
            fault("forbids what the release before may write");
        }
        if ["UPDATE ", "DELETE ", "TRUNCATE "].iter().any(|verb| statement.starts_with(verb)) {
            fault("changes rows in the way of everybody; let the service move them bit by bit");
        }
        if statement.starts_with("CREATE ") && has(&["INDEX"]) {
            let on = words.iter().skip_while(|word| **word != "ON").nth(1).unwrap_or(&"");
            if !new.iter().any(|table| table == on) {
                fault("an index on a table that exists holds up whoever writes to it");
            }
        }
    }
    faults
}

#[test]
fn migrations_only_add() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 2, "{}", folder.display());
    for file in files {
        let found = faults(&std::fs::read_to_string(&file).unwrap());
        assert!(
            found.is_empty(),
            "{} cannot run beside the release before: {found:#?}\nExpand first; take away one release later, in a file \
             that begins with `{CONTRACT}X.Y.Z`.",
            file.display()
        );
    }
}

#[test]
fn what_takes_away_is_refused() {
    for refused in [
        "DROP TABLE gaps",
        "ALTER TABLE entries DROP COLUMN bytes",
        "DROP INDEX members_by_user",
        "ALTER TABLE entries RENAME COLUMN bytes TO size",
        "ALTER TABLE entries ALTER COLUMN bytes TYPE INTEGER",
        "ALTER TABLE entries ALTER COLUMN bytes SET NOT NULL",
        "ALTER TABLE entries ADD COLUMN size BIGINT\n NOT NULL",
        "ALTER TABLE entries ADD CONSTRAINT positive CHECK (bytes > 0)",
        "alter table entries add column size bigint not null -- DEFAULT 0",
        "CREATE INDEX by_size ON entries (bytes)",
        "CREATE UNIQUE INDEX by_size ON entries(bytes)",
        "UPDATE entries SET bytes = 0",
        "DELETE FROM gaps",
    ] {
        assert_eq!(faults(refused).len(), 1, "{refused}: {:?}", faults(refused));
        assert_eq!(faults(&format!("{CONTRACT}1.2.0\n{refused};")), [""; 0], "{refused}");
        assert_eq!(faults(&format!("{CONTRACT}the last\n{refused};")).len(), 1, "the mark names a release: {refused}");
    }
    for good in [
        "ALTER TABLE entries ADD COLUMN size BIGINT",
        "ALTER TABLE entries ADD COLUMN size BIGINT NOT NULL DEFAULT 0",
        "CREATE TABLE a (drop_at BIGINT NOT NULL, kind TEXT NOT NULL); CREATE INDEX b ON a (drop_at)",
        "-- DROP TABLE gaps",
    ] {
        assert_eq!(faults(good), [""; 0], "{good}");
    }
}

/// Somebody holds a lock that a migration needs. It does not stand in the queue for long, where it
/// would hold up whoever comes behind; it tries again, and goes on when the lock is free.
#[tokio::test]
async fn a_migration_does_not_wait_for_a_lock_for_long() {
    let url = postgres::database().await;
    let config = Config { url: Some(url.clone()), ..Config::default() };
    Store::connect(&config, 1).await.unwrap().close().await;
    sqlx::any::install_default_drivers();
    let mut holder = AnyConnection::connect(&url).await.unwrap();
    holder.execute("BEGIN").await.unwrap();
    holder.execute("LOCK TABLE _sqlx_migrations IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut watcher = AnyConnection::connect(&url).await.unwrap();
    // The whole server is asked: other tests run beside.
    let waits = "SELECT CAST(pid AS BIGINT), CAST(EXTRACT(EPOCH FROM clock_timestamp() - query_start) * 1000 AS BIGINT) \
                 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let watching = async {
        let (mut backends, mut longest) = (std::collections::BTreeSet::new(), 0);
        wait_for("the third try", Duration::from_secs(60), async || {
            for row in watcher.fetch_all(waits).await.unwrap() {
                backends.insert(row.get::<i64, _>(0));
                longest = longest.max(row.get::<i64, _>(1));
            }
            (backends.len() >= 3).then_some(())
        })
        .await;
        assert!(longest < 3_000, "a migration stood in the queue for {longest} ms");
        holder.execute("ROLLBACK").await.unwrap();
    };
    let (store, ()) = tokio::join!(Store::connect(&config, 1), watching);
    store.unwrap().close().await;
}
