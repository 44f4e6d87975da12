//! What can be typed in `natter chat`.

use natter_testkit::wait_for;

use crate::{
    chat::chat,
    process::{LIMIT, Natter},
};

#[tokio::test]
async fn a_group_is_set_up_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let mut alice = chat(folder.path(), "alice", &["--room", "lunch", "--with", "bob", "--with", "carol"]);
    alice.says("#lunch").await;
    let mut bob = chat(folder.path(), "bob", &["--room", "lunch"]);
    bob.says("alice created the group lunch").await;
    let mut carol = chat(folder.path(), "carol", &["--to", "carol"]);
    carol.says("@carol").await;
    alice.types("/avatar https://example.com/lunch.png").await;
    bob.says("alice changed its picture").await;
    alice.types("/about what we eat").await;
    alice.types("/adding admins").await;
    bob.says("alice let only admins add members").await;
    wait_for("how the group is set up", LIMIT, async || {
        bob.types("/group").await;
        let lines = bob.lines();
        let says = |text| lines.iter().any(|line| line == text);
        let all = says("  about: what we eat") && says("  picture: https://example.com/lunch.png");
        (all && says("  who may add members and make invites: only admins")).then_some(())
    })
    .await;
    bob.says("  who may write: everybody").await;
    bob.says("  you are a member").await;

    alice.types("/invite 1 2h").await;
    let invited = alice.says("--join ").await;
    let code = invited.rsplit(' ').next().unwrap();
    let mut dave = chat(folder.path(), "dave", &["--join", code]);
    dave.says("#lunch").await;
    bob.says("dave joined by an invite").await;
    alice.types("/invite 2h").await;
    let listed = wait_for("the invite in the list", LIMIT, async || {
        alice.types("/invites").await;
        alice.lines().into_iter().find(|line| line.contains(": 0 joined, until "))
    })
    .await;
    let invite = listed.trim().split(':').next().unwrap();
    alice.types(&format!("/uninvite {invite}")).await;
    bob.says("alice ended an invite").await;

    // Everybody learns the new name, wherever they are.
    alice.types("/name dinner").await;
    bob.says("alice called the group dinner").await;
    alice.types("soup").await;
    carol.says("[#dinner]").await;
    carol.says("alice: soup").await;
    for person in [&mut alice, &mut bob, &mut carol, &mut dave] {
        let ended = person.ends().await;
        assert_eq!(ended.code, Some(0));
        assert!(!ended.out.lines().any(|line| line.trim_end().ends_with('·')), "an empty line: {}", ended.out);
    }
    natter.stop().await;
}

#[tokio::test]
async fn members_are_mentioned_and_messages_have_a_past() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let mut alice = chat(folder.path(), "alice", &["--room", "lunch", "--with", "bob"]);
    alice.says("#lunch").await;
    let mut bob = chat(folder.path(), "bob", &["--to", "carol"]);
    bob.says("@carol").await;
    alice.types("@bob, @nobody: are you there?").await;
    alice.says("\u{2713} alice: @bob, @nobody: are you there?").await;
    alice.types("/reply @bob?").await;
    alice.says("@bob?").await;
    wait_for("both mentions", LIMIT, async || {
        bob.types("/list").await;
        bob.lines().iter().any(|line| line.starts_with("  #lunch, 2 unread @2")).then_some(())
    })
    .await;
    alice.types("wait").await;
    alice.says("\u{2713} alice: wait").await;
    alice.types("/edit wait, @bob").await;
    alice.says("you edited “wait”: wait, @bob").await;
    wait_for("a mention by an edit", LIMIT, async || {
        bob.types("/list").await;
        bob.lines().iter().any(|line| line.starts_with("  #lunch, 3 unread @3")).then_some(())
    })
    .await;
    bob.types("/mute 2h").await;
    bob.says("* muted").await;

    alice.types("teh end").await;
    alice.says("alice: teh end").await;
    alice.types("/edit the end").await;
    alice.says("you edited “teh end”: the end").await;
    wait_for("what it said before", LIMIT, async || {
        alice.types("/edits").await;
        let lines = alice.lines();
        let before = lines.iter().position(|line| line.ends_with(": teh end") && line.starts_with("  "));
        let after = lines.iter().position(|line| line.ends_with(": the end") && line.starts_with("  "));
        before.zip(after).filter(|(before, after)| before < after)
    })
    .await;
    alice.types("/relay bob").await;
    bob.says("alice: (forwarded) the end").await;
    alice.types("/forward bob").await;
    bob.says("alice: (forwarded from alice) the end").await;
    assert_eq!(bob.ends().await.code, Some(0));
    assert_eq!(alice.ends().await.code, Some(0));
    natter.stop().await;
}

/// What has disappeared is not repeated.
#[tokio::test]
async fn what_disappears_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let mut alice = chat(folder.path(), "alice", &["--to", "bob"]);
    alice.says("@bob").await;
    alice.types("this stays").await;
    alice.says("\u{2713} alice: this stays").await;
    alice.types("/timer 1s").await;
    alice.says("you let messages disappear").await;
    alice.types("this goes").await;
    alice.says("\u{2713} alice: this goes").await;
    wait_for("a list without it", LIMIT, async || {
        let before = alice.lines().len();
        alice.types("/last").await;
        let listed = wait_for("the list", LIMIT, async || {
            let lines = alice.lines();
            let new = lines[before..].iter().filter(|line| line.starts_with("  #")).cloned().collect::<Vec<_>>();
            (!new.is_empty()).then_some(new)
        })
        .await;
        (!listed.iter().any(|line| line.ends_with("this goes"))).then_some(())
    })
    .await;
    assert_eq!(alice.ends().await.code, Some(0));
    natter.stop().await;
}
