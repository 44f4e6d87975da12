//! Who has reacted to a message, and with what.

use natter_e2e::{Cluster, Db, Device, PATIENCE, user};
use natter_ids::{ConversationId, Seq};
use natter_protocol::{ErrorCode, GroupPatch, Past, ReactorPage};
use natter_testkit::wait_for;

use crate::changes::code;

on_every_database!(who_has_reacted_is_told_to_whoever_sees_the_message);
on_every_database!(reactions_of_somebody_blocked_are_left_out);

fn told(page: &ReactorPage) -> Vec<(&str, Vec<&str>)> {
    let reactors = page.reactors.iter();
    reactors.map(|view| (view.user.as_str(), view.emoji.iter().map(String::as_str).collect())).collect()
}

/// Waits until a device is told exactly this: the archive is a moment behind.
async fn until(device: &Device, of: (&ConversationId, Seq), expected: &[(&str, Vec<&str>)]) {
    wait_for(&format!("{expected:?}"), PATIENCE, async || {
        let page = device.client().reactors(of, None, None, None).await.unwrap();
        (told(&page) == expected).then_some(())
    })
    .await;
}

/// Members are told, through either gateway, over HTTP, page by page and for one emoji; who came later only where
/// the past is shown; strangers, and of what is deleted, nothing.
async fn who_has_reacted_is_told_to_whoever_sees_the_message(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let (carol, mallory) = (cluster.device("carol", 1).await, cluster.device("mallory", 0).await);
    let group = alice.group("friends", &["bob"]).await;
    let said = alice.say(&group, "who comes?").await.seq;
    let of = (&group, said);
    for (device, emoji) in [(&bob, "👍"), (&alice, "🥾"), (&bob, "🥾"), (&alice, "❤️")] {
        device.client().react(&group, said, emoji, true).await.unwrap();
    }
    alice.client().react(&group, said, "❤️", false).await.unwrap();
    let all = [("alice", vec!["🥾"]), ("bob", vec!["👍", "🥾"])];
    for device in [&alice, &bob] {
        until(device, of, &all).await;
    }
    let page = bob.client().reactors(of, None, None, Some(1)).await.unwrap();
    assert_eq!((told(&page), page.more), (all[..1].to_vec(), true));
    let page = bob.client().reactors(of, None, Some(&user("alice")), Some(1)).await.unwrap();
    assert_eq!((told(&page), page.more), (all[1..].to_vec(), false));
    let page = bob.client().reactors(of, Some("👍"), None, None).await.unwrap();
    assert_eq!(told(&page), [("bob", vec!["👍"])]);
    assert_eq!(code(bob.client().reactors(of, Some("two words"), None, None).await), ErrorCode::Malformed);
    let body = format!(r#"{{"type":"reactors","conversation":"{group}","target":{said},"emoji":"🥾"}}"#);
    let answer = cluster.http("alice", 1).post("/v1/requests", Some(&body)).await;
    assert!(
        answer.body.contains(r#"[{"user":"alice","emoji":["🥾"]},{"user":"bob","emoji":["🥾"]}]"#),
        "{}",
        answer.body
    );

    assert_eq!(code(mallory.client().reactors(of, None, None, None).await), ErrorCode::NotAMember);
    assert_eq!(code(bob.client().reactors((&group, said + 1_000), None, None, None).await), ErrorCode::NoSuchMessage);
    alice.client().add_member(&group, &user("carol")).await.unwrap();
    assert_eq!(code(carol.client().reactors(of, None, None, None).await), ErrorCode::NoSuchMessage);
    let open = GroupPatch { past: Some(Past::All), ..GroupPatch::default() };
    alice.client().change_group(&group, open).await.unwrap();
    wait_for("the past to be shown", PATIENCE, async || {
        carol.client().reactors(of, None, None, None).await.is_ok().then_some(())
    })
    .await;
    until(&carol, of, &all).await;
    alice.client().delete(&group, said).await.unwrap();
    wait_for("the deletion", PATIENCE, async || {
        let asked = carol.client().reactors(of, None, None, None).await;
        (asked.is_err() && code(asked) == ErrorCode::MessageDeleted).then_some(())
    })
    .await;
    alice.client().remove_member(&group, &user("bob")).await.unwrap();
    assert_eq!(code(bob.client().reactors(of, None, None, None).await), ErrorCode::NotAMember);
}

/// Whoever has blocked somebody sees neither their messages nor their reactions in the direct conversation since;
/// who is blocked learns nothing, and once the block is lifted everything is there.
async fn reactions_of_somebody_blocked_are_left_out(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    let mine = alice.say(&talk, "mine").await.seq;
    bob.client().react(&talk, mine, "👍", true).await.unwrap();
    alice.client().react(&talk, mine, "🥾", true).await.unwrap();
    until(&alice, (&talk, mine), &[("alice", vec!["🥾"]), ("bob", vec!["👍"])]).await;
    alice.client().block(&user("bob")).await.unwrap();
    bob.client().react(&talk, mine, "👎", true).await.unwrap();
    let theirs = bob.say(&talk, "unheard").await.seq;
    until(&bob, (&talk, mine), &[("alice", vec!["🥾"]), ("bob", vec!["👍", "👎"])]).await;
    until(&bob, (&talk, theirs), &[]).await;
    for gateway in [0, 1] {
        let alice = cluster.device("alice", gateway).await;
        until(&alice, (&talk, mine), &[("alice", vec!["🥾"]), ("bob", vec!["👍"])]).await;
        let unseen = alice.client().reactors((&talk, theirs), None, None, None).await;
        assert_eq!(code(unseen), ErrorCode::NoSuchMessage);
        let only = alice.client().reactors((&talk, mine), Some("👎"), None, Some(1)).await.unwrap();
        assert_eq!((told(&only), only.more), (vec![], false));
    }
    alice.client().unblock(&user("bob")).await.unwrap();
    until(&alice, (&talk, mine), &[("alice", vec!["🥾"]), ("bob", vec!["👍", "👎"])]).await;
    until(&alice, (&talk, theirs), &[]).await;
}
