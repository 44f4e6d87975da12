//! NATS and the archive put back from different moments come back consistent, and whoever has
//! something of the lost future is told the truth.

use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Command, Stdio},
};

use natter_client::Notification;
use natter_e2e::{Cluster, ClusterBuilder, Db, Device, PATIENCE, user};
use natter_ids::{ClientId, ConversationId, Position};
use natter_protocol::{Change, ErrorCode};
use natter_testkit::wait_for;

on_every_database!(a_lost_future_is_told);

fn in_one_partition() -> ClusterBuilder {
    Cluster::builder().set("nats.partitions", 1)
}

struct Ended {
    code: Option<i32>,
    said: String,
}

/// Runs `natter` with these arguments; `patient`: also while it only waits for ids to age.
async fn natter(cluster: &Cluster, arguments: &[&str], patient: bool) -> Ended {
    let mut command = cluster.natter();
    command.args(arguments);
    tokio::task::spawn_blocking(move || run(command, patient)).await.unwrap()
}

fn run(mut command: Command, patient: bool) -> Ended {
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        said += &format!("{line}\n");
        if line.starts_with("waiting") && !patient {
            process.kill().unwrap();
        }
    }
    process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    Ended { code: process.wait().unwrap().code(), said }
}

/// `natter restore`; all of it but the wait for ids.
async fn restore(cluster: &Cluster) -> String {
    let ended = natter(cluster, &["restore"], false).await;
    assert!(ended.said.contains("waiting") || ended.code == Some(0), "{}", ended.said);
    ended.said
}

const FILES: [&str; 2] = ["archive.db", "archive.db-wal"];

/// Copies the SQLite file, while nothing has it open.
fn copy(cluster: &Cluster) {
    std::fs::create_dir(cluster.folder().join("sql")).unwrap();
    for file in FILES {
        let _ = std::fs::copy(cluster.folder().join(file), cluster.folder().join("sql").join(file));
    }
}

/// Puts the copy in its place.
fn put_back(cluster: &Cluster) {
    let _ = std::fs::remove_file(cluster.folder().join("archive.db-shm"));
    for file in FILES {
        let _ = std::fs::remove_file(cluster.folder().join(file));
        let _ = std::fs::copy(cluster.folder().join("sql").join(file), cluster.folder().join(file));
    }
}

/// The texts of a conversation, as its history has them.
async fn history(device: &Device, conversation: &ConversationId) -> Vec<String> {
    let page = device.client().history(conversation, None, None, None).await.unwrap();
    let text = |change: Change| if let Change::Message { text, .. } = change { Some(text) } else { None };
    page.events.into_iter().filter_map(|event| text(event.entry.change)).collect()
}

/// A device that comes back at a gateway.
fn back(cluster: &Cluster, name: &str, gateway: usize, position: &Position) -> Device {
    Device::connect(name, cluster.client(name, &[gateway]).position(position.clone()))
}

/// Waits until everything accepted is archived.
async fn archived(cluster: &Cluster, device: &Device, conversation: &ConversationId, last: &str) {
    let last_is_there = async || {
        let texts = history(device, conversation).await;
        (texts.last().map(String::as_str) == Some(last)).then_some(())
    };
    wait_for(&format!("{last:?} to be archived, see {}", cluster.folder().display()), PATIENCE, last_is_there).await;
}

/// What `natter backup` makes, while services go on.
async fn back_up(cluster: &Cluster, name: &str) -> PathBuf {
    let folder = cluster.folder().join(name);
    let ended = natter(cluster, &["backup", folder.to_str().unwrap()], true).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    folder
}

/// Loses the archive, whatever kind of database it is in.
fn lose_archive(cluster: &Cluster, database: Db) {
    if database == Db::Sqlite {
        FILES.iter().for_each(|file| drop(std::fs::remove_file(cluster.folder().join(file))));
        return;
    }
    let natter = cluster.natter();
    let url = natter.get_envs().find(|(name, _)| *name == "NATTER_STORAGE__URL").unwrap().1.unwrap();
    let psql = PathBuf::from(std::env::var("NATTER_POSTGRES_BIN").unwrap_or_default()).join("psql");
    let dropped = Command::new(psql).arg(url).args(["-c", "DROP SCHEMA public CASCADE; CREATE SCHEMA public"]).output();
    let dropped = dropped.unwrap();
    assert!(dropped.status.success(), "{}", String::from_utf8_lossy(&dropped.stderr));
}

/// The log comes from an early backup, the archive from a later one, and a device from after both.
/// As many things happen after the restore as were lost, so that numbers given twice would show.
async fn a_lost_future_is_told(database: Db) {
    let cluster = in_one_partition().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    alice.say(&talk, "early").await;
    bob.hears(["early"]).await;
    let early = bob.leave().await;
    archived(&cluster, &alice, &talk, "early").await;
    let mixed = back_up(&cluster, "early").await;

    let bob = back(&cluster, "bob", 1, &early);
    alice.say(&talk, "later").await;
    bob.hears(["later"]).await;
    let later = bob.leave().await;
    archived(&cluster, &alice, &talk, "later").await;
    let archive = if database == Db::Sqlite { "archive.db" } else { "archive.pgdump" };
    std::fs::copy(back_up(&cluster, "later").await.join(archive), mixed.join(archive)).unwrap();

    let bob = back(&cluster, "bob", 1, &later);
    for lost in ["lost 1", "lost 2", "lost 3"] {
        alice.say(&talk, lost).await;
    }
    bob.hears(["lost 1", "lost 2", "lost 3"]).await;
    let future = bob.leave().await;
    drop(alice);
    let from = ["restore", "--from", mixed.to_str().unwrap()];
    let refused = natter(&cluster, &from, true).await;
    assert_eq!(refused.code, Some(65), "{}", refused.said);
    assert!(refused.said.contains("gateway") && refused.said.contains("storage"), "{}", refused.said);
    cluster.stop().await;
    let refused = natter(&cluster, &from, true).await;
    assert!(refused.code == Some(65) && refused.said.contains("nothing was changed"), "{}", refused.said);
    cluster.nats().lose().await;
    lose_archive(&cluster, database);
    let ended = natter(&cluster, &from, false).await;
    assert!(ended.said.contains("behind the archive") && ended.said.contains("waiting"), "{}", ended.said);
    cluster.start_again().await;

    let alice = cluster.device("alice", 0).await;
    let stayed = back(&cluster, "bob", 0, &later);
    stayed.caught_up().await;
    for new in ["new 1", "new 2", "new 3", "new 4"] {
        alice.say(&talk, new).await;
    }
    let returned = back(&cluster, "bob", 1, &future);
    returned.find(|next| matches!(next, Notification::PositionRefused).then_some(())).await;
    returned.caught_up().await;
    let refused = cluster.http("bob", 1).backlog(Some(&future), 10).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidPosition);
    alice.say(&talk, "new 5").await;
    returned.hears(["new 5"]).await;
    let new = ["new 1", "new 2", "new 3", "new 4", "new 5"];
    stayed.hears(new).await;
    let behind = back(&cluster, "bob", 1, &early);
    behind.hears(["later"].iter().chain(&new)).await;
    archived(&cluster, &alice, &talk, "new 5").await;
    assert_eq!(history(&returned, &talk).await, [&["early", "later"][..], &new].concat());
}

/// A folder that a backup did not finish is none.
#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_backup_is_refused() {
    let cluster = Cluster::single().start().await;
    let folder = back_up(&cluster, "backup").await;
    let again = natter(&cluster, &["backup", folder.to_str().unwrap()], true).await;
    assert!(again.code == Some(65) && again.said.contains("not empty"), "{}", again.said);
    std::fs::remove_file(folder.join("backup.json")).unwrap();
    let refused = natter(&cluster, &["restore", "--from", folder.to_str().unwrap()], true).await;
    assert!(refused.code == Some(1) && refused.said.contains("no whole backup"), "{}", refused.said);
}

/// The archive is older than a log that lost nothing: nothing is lost, and no device notices.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_archive_takes_what_the_log_holds() {
    let cluster = Cluster::builder().start().await;
    let alice = cluster.device("alice", 0).await;
    let group = alice.group("friends", &["bob", "carol"]).await;
    alice.say(&group, "early").await;
    archived(&cluster, &alice, &group, "early").await;
    drop(alice);
    cluster.stop().await;
    copy(&cluster);
    cluster.start_again().await;

    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    alice.say(&group, "later").await;
    bob.hears(["later"]).await;
    let newest = bob.leave().await;
    drop(alice);
    cluster.stop().await;
    put_back(&cluster);
    let said = restore(&cluster).await;
    assert!(said.contains("archived 1 of 1") && !said.contains("LOST"), "{said}");
    cluster.start_again().await;
    let (alice, bob) = (cluster.device("alice", 0).await, back(&cluster, "bob", 1, &newest));
    bob.caught_up().await;
    alice.say(&group, "new").await;
    bob.hears(["new"]).await;
    archived(&cluster, &alice, &group, "new").await;
    assert_eq!(history(&alice, &group).await, ["early", "later", "new"]);
}

/// The log is lost, and made anew behind the archive: who was removed stays removed, a direct
/// conversation does not begin again, and a message that is sent again stays one.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_log_goes_on_behind_the_archive() {
    let cluster = in_one_partition().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    let group = alice.group("friends", &["bob", "carol"]).await;
    let removed = alice.client().remove_member(&group, &user("carol")).await.unwrap();
    let id = ClientId::now();
    let first = alice.say_as(&talk, id, "once").await;
    assert!(first.seq > removed, "the archive has come past the removal");
    bob.hears(["once"]).await;
    archived(&cluster, &alice, &talk, "once").await;
    let newest = bob.leave().await;
    drop(alice);
    cluster.stop().await;
    cluster.nats().lose().await;
    // Somebody forgets: storage does no work on a log that would give numbers twice.
    cluster.apply().await;
    cluster.storage(0).restart().await;
    let refuses = async || (!cluster.log_lines_with("run `natter restore`").is_empty()).then_some(());
    wait_for(&format!("storage to refuse, see {}", cluster.folder().display()), PATIENCE, refuses).await;
    cluster.storage(0).terminate().await;
    let ended = natter(&cluster, &["restore"], true).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    cluster.start_again().await;

    let (alice, bob) = (cluster.device("alice", 0).await, back(&cluster, "bob", 1, &newest));
    bob.caught_up().await;
    let carol = cluster.device("carol", 1).await;
    let sent = cluster.http("carol", 0).say(&group, ClientId::now(), "still here?").await;
    assert_eq!(sent.unwrap_err().code, ErrorCode::NotAMember);
    assert!(carol.client().history(&group, None, None, None).await.is_err(), "carol reads nothing either");
    assert_eq!(bob.direct("alice").await, talk);
    assert_eq!(alice.say_as(&talk, id, "once").await.seq, first.seq, "a late retry gets the first answer");
    alice.say(&talk, "new").await;
    alice.say(&group, "to all").await;
    let (event, text) = bob.message().await;
    assert_eq!((text.as_str(), event.prev), ("new", first.seq), "nothing came in between");
    bob.hears(["to all"]).await;
}
