//! `natter chat` over pipes: two people, one of them sometimes away.

use std::path::Path;

use natter_testkit::wait_for;

use crate::process::{LIMIT, Natter, run};

pub fn chat(data_dir: &Path, me: &str, rest: &[&str]) -> Natter {
    let common = ["chat", "--as", me, "--data-dir", data_dir.to_str().unwrap()];
    let arguments: Vec<_> = common.iter().chain(rest).copied().collect();
    Natter::start(&arguments)
}

/// The lines on the screen that show messages, without their times.
pub fn messages(natter: &Natter) -> Vec<String> {
    let lines = natter.lines();
    let shown = lines.iter().filter_map(|line| line.split_once(' '));
    shown.filter(|(time, _)| time.len() == 5 && time.contains(':')).map(|(_, rest)| rest.to_owned()).collect()
}

#[tokio::test]
async fn whoever_was_away_sees_what_was_missed() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    let natter = Natter::serve(data_dir).await;
    let mut alice = chat(data_dir, "alice", &["--to", "bob"]);
    alice.says("@bob").await;
    let mut bob = chat(data_dir, "bob", &["--to", "alice"]);
    bob.says("@alice").await;
    alice.types("hello bob").await;
    alice.says("✓ alice: hello bob").await;
    bob.says("alice: hello bob").await;
    bob.types("hello alice").await;
    alice.says("bob: hello alice").await;
    bob.says("✓ bob: hello alice").await;
    assert_eq!(bob.ends().await.code, Some(0));

    for line in ["are you there?", "//not a command"] {
        alice.types(line).await;
    }
    alice.says("✓ alice: /not a command").await;
    let bob = chat(data_dir, "bob", &["--to", "alice"]);
    bob.says("alice: /not a command").await;
    let lines = bob.lines();
    let rule = lines.iter().position(|line| line.contains("2 messages while you were away")).unwrap();
    assert!(lines[..rule].iter().any(|line| line.ends_with("✓ bob: hello alice")), "{lines:?}");
    assert!(lines[rule + 1].ends_with("alice: are you there?"), "{lines:?}");
    let shown = messages(&bob);
    let mut once = shown.clone();
    once.dedup();
    assert_eq!(shown, once);
    assert_eq!(messages(&alice).iter().filter(|line| line.contains("hello bob")).count(), 1);
    assert_eq!(alice.ends().await.code, Some(0));
    natter.stop().await;
}

#[tokio::test]
async fn what_comes_out_of_a_pipe_is_stored_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let mut alice = chat(folder.path(), "alice", &["--to", "bob"]);
    for number in 0..30 {
        alice.types(&format!("line {number}")).await;
    }
    let ended = alice.ends().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let mut bob = chat(folder.path(), "bob", &["--to", "alice"]);
    bob.says("line 29").await;
    bob.types("/history").await;
    bob.says("end of earlier").await;
    let shown = messages(&bob);
    let texts: Vec<_> = shown.iter().filter_map(|line| line.strip_prefix("alice: ")).collect();
    // The end first, and on request what came before.
    let expected: Vec<_> = (10..30).chain(0..10).map(|number| format!("line {number}")).collect();
    assert_eq!(texts, expected);
    // What is asked for is answered before the end, too.
    for _ in 0..5 {
        let mut carol = chat(folder.path(), "carol", &["--to", "bob"]);
        carol.types("/members").await;
        let ended = carol.ends().await;
        assert!(ended.out.contains("  you: online") && ended.out.contains("  bob: online"), "{}", ended.out);
    }
    natter.stop().await;
}

#[tokio::test]
async fn a_room_is_made_once_and_its_members_can_change() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let mut alice = chat(folder.path(), "alice", &["--room", "lunch", "--with", "bob"]);
    alice.says("#lunch").await;
    let mut bob = chat(folder.path(), "bob", &["--room", "lunch"]);
    bob.says("alice created the group lunch").await;
    bob.types("pizza?").await;
    alice.says("bob: pizza?").await;
    alice.types("/add carol").await;
    bob.says("alice added carol").await;
    // The list comes from the archive, which is a moment behind what bob saw live.
    let data_dir = folder.path().to_str().unwrap();
    wait_for("carol's list to show the room", LIMIT, async || {
        let list = run(&["chat", "--as", "carol", "--data-dir", data_dir], &[]).await;
        list.out.contains("#lunch").then_some(())
    })
    .await;
    let carol = chat(folder.path(), "carol", &[]);
    carol.says("#lunch").await;
    bob.types("hi carol").await;
    carol.says("[#lunch]").await;
    alice.types("/members").await;
    alice.says("carol: online").await;
    alice.says("you, owner: online").await;
    alice.types("/remove bob").await;
    alice.says("you removed bob").await;
    bob.says("alice removed you").await;
    bob.types("still here?").await;
    bob.says("! not sent: ").await;
    alice.types("/dance").await;
    alice.says("there is no /dance").await;
    alice.types("/leave").await;
    alice.says("Make another member the owner first").await;
    alice.types("/role carol owner").await;
    carol.says("alice handed the group over to you").await;
    alice.types("/leave").await;
    carol.says("alice left").await;
    assert_eq!(alice.ends().await.code, Some(0));
    natter.stop().await;
}

#[tokio::test]
async fn messages_are_edited_reacted_to_pinned_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let mut alice = chat(folder.path(), "alice", &["--to", "bob"]);
    alice.says("@bob").await;
    let mut bob = chat(folder.path(), "bob", &["--to", "alice"]);
    bob.says("@alice").await;
    bob.types("/edit nothing").await;
    bob.says("! there is no such message").await;
    alice.types("teh first").await;
    bob.says("alice: teh first").await;
    alice.types("/edit the first").await;
    bob.says("alice edited “teh first”: the first").await;
    bob.types("/react 👍").await;
    alice.says("bob reacted with 👍 to “the first”").await;
    wait_for("who has reacted", LIMIT, async || {
        alice.types("/reactions").await;
        alice.lines().iter().any(|line| line.ends_with("  bob: 👍")).then_some(())
    })
    .await;
    bob.types("/pin").await;
    alice.says("bob pinned “the first”").await;
    // The list comes from the archive, which is a moment behind what alice saw live.
    wait_for("the list of what is pinned", LIMIT, async || {
        alice.types("/pinned").await;
        let listed = |line: &String| line.ends_with("alice: the first (edited) (pinned) [👍 1]");
        alice.lines().iter().any(listed).then_some(())
    })
    .await;
    alice.types("the second").await;
    bob.says("alice: the second").await;
    bob.types("/last").await;
    // The sixth entry: opened, said, edited, reacted, pinned, said.
    bob.says("#6 alice: the second").await;
    bob.types("/delete").await;
    bob.says("! there is no such message").await;
    bob.types("/delete #6").await;
    bob.says("! not_allowed: Only one's own messages can be deleted.").await;
    alice.types("/delete").await;
    bob.says("alice deleted “the second”").await;
    bob.types("/reply so be it").await;
    alice.says("bob: (to #").await;
    bob.types("/forward carol").await;
    let carol = chat(folder.path(), "carol", &["--to", "bob"]);
    carol.says("bob: (forwarded from bob) so be it").await;
    assert_eq!(bob.ends().await.code, Some(0));
    let mut bob = chat(folder.path(), "bob", &["--to", "alice"]);
    bob.says("· a message of alice was deleted").await;
    bob.says("alice: the first (edited) (pinned) [👍 1]").await;
    assert_eq!(bob.ends().await.code, Some(0));
    assert_eq!(alice.ends().await.code, Some(0));
    natter.stop().await;
}

#[tokio::test]
async fn it_comes_back_by_itself_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let address = natter.value("connection").await;
    let mut alice = chat(folder.path(), "alice", &["--to", "bob", "--gateway", &address]);
    let bob = chat(folder.path(), "bob", &["--to", "alice", "--gateway", &address]);
    alice.says("@bob").await;
    bob.says("@alice").await;
    natter.stop().await;
    bob.says("not connected").await;
    alice.types("sent while nobody listens").await;
    let listen = address.trim_start_matches("ws://").trim_end_matches("/v1/ws");
    let natter = Natter::start(&["serve", "--data-dir", folder.path().to_str().unwrap(), "--listen", listen]);
    bob.says("alice: sent while nobody listens").await;
    alice.says("✓ alice: sent while nobody listens").await;
    wait_for("a word about it", LIMIT, async || {
        bob.lines().iter().any(|line| line.contains("connected again")).then_some(())
    })
    .await;
    natter.stop().await;
}

#[tokio::test]
async fn without_a_server_it_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["chat", "--as", "alice", "--to", "bob", "--data-dir", folder.path().to_str().unwrap()];
    let ended = run(&arguments, &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("run `natter serve` first"), "{}", ended.err);
}

#[tokio::test]
async fn one_sees_who_has_read_and_what_is_unread() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    let natter = Natter::serve(data_dir).await;
    let mut alice = chat(data_dir, "alice", &["--to", "bob"]);
    alice.says("@bob").await;
    let mut bob = chat(data_dir, "bob", &["--room", "elsewhere"]);
    bob.says("#elsewhere").await;
    alice.types("are you there?").await;
    alice.says("✓ alice: are you there?").await;
    alice.says("✓✓ delivered to bob").await;
    bob.types("/list").await;
    bob.says("@alice, 1 unread: alice are you there?").await;
    bob.types("/mute on").await;
    bob.says("* muted").await;
    bob.types("/list").await;
    bob.says("#elsewhere (muted)").await;
    assert_eq!(bob.ends().await.code, Some(0));

    let mut bob = chat(data_dir, "bob", &["--to", "alice"]);
    bob.says("alice: are you there?").await;
    alice.says("✓✓ read by bob").await;
    bob.types("/receipts off").await;
    bob.says("others do not see what you read").await;
    alice.types("and now?").await;
    bob.says("alice: and now?").await;
    wait_for("word of the second one too", LIMIT, async || {
        (alice.lines().iter().filter(|line| line.contains("✓✓ delivered to bob")).count() == 2).then_some(())
    })
    .await;
    alice.types("/seen").await;
    alice.says("✓✓ delivered to 1 of 1: bob").await;
    assert_eq!(alice.lines().iter().filter(|line| line.contains("read by")).count(), 1);
    assert_eq!(bob.ends().await.code, Some(0));
    assert_eq!(alice.ends().await.code, Some(0));
    natter.stop().await;
}

#[tokio::test]
async fn presence_blocks_and_devices_are_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let mut alice = chat(folder.path(), "alice", &["--to", "bob"]);
    alice.says("@bob").await;
    alice.says("bob: offline").await;
    let mut bob = chat(folder.path(), "bob", &["--to", "alice"]);
    bob.says("alice: online").await;
    alice.says("bob: online").await;
    bob.types("/away").await;
    alice.says("bob: away").await;
    bob.types("/back").await;
    bob.types("/hide").await;
    alice.says("bob: offline").await;

    alice.types("/block bob").await;
    alice.says("you hear nothing more from bob").await;
    bob.types("can you hear me?").await;
    bob.says("\u{2713} bob: can you hear me?").await;
    alice.types("/blocks").await;
    alice.says("bob: blocked since").await;
    alice.types("/unblock bob").await;
    alice.says("bob is blocked no more").await;
    alice.says("bob said meanwhile").await;
    alice.says("bob: can you hear me?").await;
    let lines = alice.lines();
    let at = |text: &str| lines.iter().position(|line| line.contains(text));
    assert!(at("bob: can you hear me?") > at("bob said meanwhile"), "not before: {lines:?}");

    alice.types("/devices").await;
    alice.says(": this device").await;
    let lines = alice.lines();
    let own = lines.iter().find(|line| line.ends_with(": this device")).unwrap();
    assert!(own.contains("(natter chat"), "{own}");
    let device = own.split_whitespace().next().unwrap().to_owned();
    alice.types(&format!("/revoke {device}")).await;
    let places = || std::fs::read_dir(folder.path().join("chat")).unwrap().map(|file| file.unwrap().path());
    let kept = || places().filter(|path| path.extension().is_some_and(|kind| kind == "json")).count();
    wait_for("the place to be forgotten", LIMIT, async || (kept() == 1).then_some(())).await;
    alice.ends().await;
    // The next visit is one of a new device.
    let mut again = chat(folder.path(), "alice", &["--to", "bob"]);
    again.says("@bob").await;
    again.types("/devices").await;
    again.says(": this device").await;
    assert!(!again.lines().iter().any(|line| line.contains(&device)), "{:?}", again.lines());
    assert_eq!(again.ends().await.code, Some(0));
    natter.stop().await;
}
