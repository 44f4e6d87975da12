//! `natter chat` of somebody who wants to be asked before strangers are heard.

use natter_testkit::wait_for;

use crate::{
    chat::chat,
    process::{LIMIT, Natter},
};

#[tokio::test]
async fn strangers_wait_until_they_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let mut alice = chat(folder.path(), "alice", &["--room", "elsewhere"]);
    alice.says("#elsewhere").await;
    alice.types("/strangers ask").await;
    alice.says("what strangers begin waits in /requests until you accept it").await;
    alice.types("/requests").await;
    alice.says("nobody waits for you to accept").await;
    let mut mallory = chat(folder.path(), "mallory", &["--to", "alice"]);
    mallory.says("alice: offline").await;
    mallory.types("psst").await;
    mallory.says("\u{2713} mallory: psst").await;
    wait_for("the request", LIMIT, async || {
        alice.types("/requests").await;
        let listed = |line: &String| line.contains("@mallory, 1 unread (request): mallory psst");
        alice.lines().iter().any(listed).then_some(())
    })
    .await;
    assert_eq!(alice.ends().await.code, Some(0));

    let mut alice = chat(folder.path(), "alice", &["--to", "mallory"]);
    alice.says("mallory: psst").await;
    alice.types("/list").await;
    alice.says("#elsewhere").await;
    assert!(!alice.lines().iter().any(|line| line.starts_with("  @mallory")), "{:?}", alice.lines());
    // What alice has read is stored, and mallory is told of it once it is accepted, not before.
    wait_for("the request to be read", LIMIT, async || {
        alice.types("/requests").await;
        alice.lines().iter().any(|line| line.starts_with("  @mallory (request)")).then_some(())
    })
    .await;
    alice.types("/accept").await;
    mallory.says("read by alice").await;
    let told: Vec<_> = mallory.lines().into_iter().filter(|line| line.contains("alice")).collect();
    assert!(!told.iter().any(|line| line.contains("delivered") || line.contains("online")), "{told:?}");
    alice.types("/list").await;
    alice.says("  @mallory: mallory psst").await;
    assert_eq!(alice.ends().await.code, Some(0));
    assert_eq!(mallory.ends().await.code, Some(0));
    natter.stop().await;
}
