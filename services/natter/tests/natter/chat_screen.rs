//! What `natter chat` shows by itself, and takes off again.

use natter_testkit::wait_for;

use crate::{
    chat::chat,
    process::{LIMIT, Natter, run},
};

/// In a terminal, others are told while a line is being written; what comes meanwhile does not disturb it.
#[tokio::test]
async fn others_are_told_that_somebody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    let natter = Natter::serve(data_dir).await;
    let arguments = ["chat", "--as", "alice", "--data-dir", data_dir.to_str().unwrap(), "--to", "bob"];
    let mut alice = Natter::start_in_terminal(&arguments);
    alice.says("/help for help").await;
    let mut bob = chat(data_dir, "bob", &["--to", "alice"]);
    bob.says("alice: online").await;
    alice.presses("half a ").await;
    bob.says("alice is writing").await;
    bob.types("take your time").await;
    alice.says("take your time").await;
    alice.presses("sentence\r").await;
    bob.says("alice: half a sentence").await;
    alice.says("half a sentence").await;
    alice.presses("/quit\r").await;
    assert_eq!(alice.ends().await.code, Some(0));
    assert_eq!(bob.ends().await.code, Some(0));
    natter.stop().await;
}

/// Who writes is shown for as long as they do: they may think better of it.
#[tokio::test]
async fn whoever_stops_writing_is_not_shown_as_writing() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let in_terminal =
        |me, other| Natter::start_in_terminal(&["chat", "--as", me, "--data-dir", data_dir, "--to", other]);
    let mut alice = in_terminal("alice", "bob");
    alice.says("/help for help").await;
    let mut bob = in_terminal("bob", "alice");
    bob.says("alice: online").await;
    alice.presses("half").await;
    bob.says("alice is writing").await;
    alice.presses("\u{7f}\u{7f}\u{7f}\u{7f}").await;
    // The line is wiped, and what comes next stands in its place.
    bob.says("\u{1b}[2K\u{1b}[1A").await;
    for person in [&mut alice, &mut bob] {
        person.presses("/quit\r").await;
        assert_eq!(person.ends().await.code, Some(0));
    }
    natter.stop().await;
}

/// The start screen is the list: the newest first, with what is unread and was said last.
#[tokio::test]
async fn the_start_screen_tells_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let data_dir = folder.path().to_str().unwrap();
    for (who, line) in [("anna", "the older one"), ("zoe", "the newer one")] {
        let mut person = chat(folder.path(), who, &["--to", "bob"]);
        person.types(line).await;
        person.says("\u{2713}").await;
        assert_eq!(person.ends().await.code, Some(0));
    }
    let (newer, older) = ("  @zoe, 1 unread: zoe the newer one", "  @anna, 1 unread: anna the older one");
    // The list comes from the archive, which is a moment behind.
    wait_for("bob's start screen", LIMIT, async || {
        let shown = run(&["chat", "--as", "bob", "--data-dir", data_dir], &[]).await.out;
        assert!(shown.contains("you are in no conversation") || shown.contains("your conversations"), "{shown}");
        let at = |text| shown.lines().position(|line| line == text);
        Some(()).filter(|()| at(newer).zip(at(older)).is_some_and(|(newer, older)| newer < older))
    })
    .await;
    natter.stop().await;
}
