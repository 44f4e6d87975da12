//! `natter chat` of somebody who is away, over a connection that ends.

use natter_testkit::{Proxy, wait_for};

use crate::{
    chat::chat,
    process::{LIMIT, Natter},
};

#[tokio::test]
async fn whoever_is_away_is_away_after_a_reconnect_too() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let address = natter.value("connection").await;
    let wire = Proxy::tcp(address.trim_start_matches("ws://").trim_end_matches("/v1/ws")).await;
    let through = format!("ws://{}/v1/ws", wire.address());
    let mut alice = chat(folder.path(), "alice", &["--to", "bob"]);
    alice.says("@bob").await;
    let mut bob = chat(folder.path(), "bob", &["--to", "alice", "--gateway", &through]);
    alice.says("bob: online").await;
    bob.types("/away").await;
    alice.says("bob: away").await;

    wire.set_down(true);
    bob.says("not connected").await;
    let seen = |what: &str| alice.lines().iter().filter(|line| line.contains(what)).count();
    wait_for("bob to be gone", LIMIT, async || (seen("bob: last seen") > 0).then_some(())).await;
    wire.set_down(false);
    bob.says("connected again").await;
    wait_for("bob to be away again", LIMIT, async || (seen("bob: away") == 2).then_some(())).await;

    // Whoever is back stays so.
    bob.types("/back").await;
    let online = seen("bob: online");
    wait_for("bob to be back", LIMIT, async || (seen("bob: online") > online).then_some(())).await;
    assert_eq!(bob.lines().iter().filter(|line| line.contains("you are away")).count(), 1, "said once");
    assert_eq!(bob.ends().await.code, Some(0));
    assert_eq!(alice.ends().await.code, Some(0));
    natter.stop().await;
}
