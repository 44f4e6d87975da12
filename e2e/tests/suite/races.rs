//! Groups in which two things happen at the same moment, one of them forced into the other: between what
//! a gateway has looked up and what it appends, or before the archive knows.

use std::time::Duration;

use futures_util::StreamExt;
use natter_e2e::{Cluster, ClusterBuilder, Device, PATIENCE, user};
use natter_ids::{ConversationId, UserId};
use natter_protocol::{Change, ErrorCode, GroupPatch, Role, Who};
use natter_testkit::{Flow, wait_for};

use crate::groups::{changed, may_write, refused, roles_are};

/// How long everything that NATS tells the first gateway takes: what a test does meanwhile takes a few
/// milliseconds.
const SLOW: Flow = Flow::Delay(Duration::from_millis(400));

fn in_one_partition() -> ClusterBuilder {
    Cluster::builder().set("nats.partitions", 1)
}

/// Kills the replica that archives: for the time of a lease the archive stays as it is, and the other answers.
async fn stop_archiving(cluster: &Cluster) {
    let owner = wait_for("an owner of the partition", PATIENCE, async || {
        for storage in cluster.storages() {
            if storage.metric(r#"natter_partitions_owned{service="storage"}"#).await >= 1.0 {
                return Some(storage);
            }
        }
        None
    })
    .await;
    owner.kill9();
}

/// What gateways ask the archive of who is a member of which group.
struct LookUps(async_nats::Subscriber);

impl LookUps {
    async fn watch(cluster: &Cluster) -> Self {
        let client = async_nats::connect(cluster.nats().url()).await.unwrap();
        let looks = client.subscribe("storage.ask.membership").await.unwrap();
        client.flush().await.unwrap();
        Self(looks)
    }

    /// Waits until a gateway asks about a user and a group.
    async fn of(&mut self, group: &ConversationId, user: &UserId) {
        let (group, user) = (format!("\"{group}\""), format!("\"{user}\""));
        let look = async {
            while let Some(asked) = self.0.next().await {
                let asked = String::from_utf8_lossy(&asked.payload).into_owned();
                if asked.contains(&group) && asked.contains(&user) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap();
    }
}

/// Waits until the archive has a group with so many members.
async fn archived(device: &Device, group: &ConversationId, members: usize) {
    wait_for("the archive", PATIENCE, async || {
        let page = device.client().members(group, None, None).await.ok()?;
        (page.members.len() == members).then_some(())
    })
    .await;
}

/// An owner who has just added somebody does not leave them in a group that nobody can manage, though the
/// archive does not know of them yet; who is not there any more is handed nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_never_left_without_an_owner() {
    let cluster = in_one_partition().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let group = alice.group("mine", &[]).await;
    archived(&alice, &group, 1).await;
    stop_archiving(&cluster).await;
    alice.client().add_member(&group, &user("bob")).await.unwrap();
    assert_eq!(refused(alice.client().leave(&group).await), ErrorCode::NotAllowed);
    bob.client().leave(&group).await.unwrap();
    assert_eq!(refused(alice.client().change_role(&group, &user("bob"), Role::Owner).await), ErrorCode::NotAMember);
    alice.client().leave(&group).await.unwrap();
}

/// Whoever leaves while the group is handed to them was handed nothing, and its owner stays the owner.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_handed_nothing() {
    let cluster = in_one_partition().proxied().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let carol = cluster.device("carol", 1).await;
    let group = alice.group("three", &["carol"]).await;
    alice.client().add_member(&group, &user("bob")).await.unwrap();
    archived(&carol, &group, 3).await;
    let mut looks = LookUps::watch(&cluster).await;
    cluster.wire_to_nats().set(Flow::Pass, SLOW);
    let (alices, bobs) = (alice.client(), user("bob"));
    let (handed, ()) = tokio::join!(alices.change_role(&group, &bobs, Role::Owner), async {
        looks.of(&group, &user("bob")).await;
        bob.client().leave(&group).await.unwrap();
    });
    assert_eq!(refused(handed), ErrorCode::NotAMember);
    cluster.wire_to_nats().heal();
    roles_are(&carol, &group, &[("alice", Role::Owner), ("carol", Role::Member)]).await;
    let patch = GroupPatch { name: Some("still mine".into()), ..GroupPatch::default() };
    alice.client().change_group(&group, patch).await.unwrap();
}

/// Whoever is handed the group while they leave it is its owner, and does not leave it without one.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_handed_a_group_does_not_leave_it() {
    let cluster = in_one_partition().proxied().start().await;
    let (alice, bob) = (cluster.device("alice", 1).await, cluster.device("bob", 0).await);
    let group = alice.group("three", &[]).await;
    for added in ["bob", "carol"] {
        alice.client().add_member(&group, &user(added)).await.unwrap();
    }
    archived(&alice, &group, 3).await;
    let mut looks = LookUps::watch(&cluster).await;
    cluster.wire_to_nats().set(Flow::Pass, SLOW);
    let (left, ()) = tokio::join!(bob.client().leave(&group), async {
        looks.of(&group, &user("bob")).await;
        alice.client().change_role(&group, &user("bob"), Role::Owner).await.unwrap();
    });
    assert_eq!(refused(left), ErrorCode::NotAllowed);
    cluster.wire_to_nats().heal();
    roles_are(&alice, &group, &[("alice", Role::Admin), ("bob", Role::Owner), ("carol", Role::Member)]).await;
}

/// Whoever is barred while somebody gives them a role is barred, and has none.
#[tokio::test(flavor = "multi_thread")]
async fn a_bar_holds_against_a_role() {
    let cluster = in_one_partition().proxied().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let carol = cluster.device("carol", 1).await;
    let (group, carols) = (alice.group("three", &["bob"]).await, user("carol"));
    alice.client().add_member(&group, &carols).await.unwrap();
    alice.client().change_role(&group, &user("bob"), Role::Admin).await.unwrap();
    let code = alice.client().create_invite(&group, None, None).await.unwrap().code.unwrap();
    let mut looks = LookUps::watch(&cluster).await;
    cluster.wire_to_nats().set(Flow::Pass, SLOW);
    let (given, ()) = tokio::join!(alice.client().change_role(&group, &carols, Role::Admin), async {
        looks.of(&group, &carols).await;
        bob.client().ban_member(&group, &carols).await.unwrap();
    });
    given.unwrap();
    cluster.wire_to_nats().heal();
    assert_eq!(may_write(&carol, &group).await, Err(ErrorCode::NotAMember));
    assert_eq!(refused(carol.client().join(&code).await), ErrorCode::NotAllowed, "she is barred");
    assert_eq!(refused(bob.client().add_member(&group, &carols).await), ErrorCode::NotAllowed);
}

/// Whoever is added a second time, late, keeps the role that they have got since.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_adding_takes_no_role_away() {
    let cluster = in_one_partition().proxied().start().await;
    let (slow, alice) = (cluster.device("alice", 0).await, cluster.device("alice", 1).await);
    let (bob, carol) = (cluster.device("bob", 1).await, cluster.device("carol", 1).await);
    let (group, bobs) = (alice.group("three", &["carol"]).await, user("bob"));
    alice.client().change_role(&group, &user("carol"), Role::Admin).await.unwrap();
    archived(&alice, &group, 2).await;
    let mut looks = LookUps::watch(&cluster).await;
    cluster.wire_to_nats().set(Flow::Pass, SLOW);
    let (again, first) = tokio::join!(slow.client().add_member(&group, &bobs), async {
        looks.of(&group, &bobs).await;
        let added = alice.client().add_member(&group, &bobs).await.unwrap();
        alice.client().change_role(&group, &bobs, Role::Admin).await.unwrap();
        added
    });
    assert!(again.unwrap() > first + 1, "it stands in the log twice");
    cluster.wire_to_nats().heal();
    let patch = GroupPatch { name: Some("bob's as well".into()), ..GroupPatch::default() };
    bob.client().change_group(&group, patch).await.unwrap();
    assert_eq!(refused(carol.client().remove_member(&group, &bobs).await), ErrorCode::NotAllowed, "not below her");
    roles_are(&carol, &group, &[("alice", Role::Owner), ("bob", Role::Admin), ("carol", Role::Admin)]).await;
}

/// Whoever is barred while they join by an invite does not come in.
#[tokio::test(flavor = "multi_thread")]
async fn a_bar_holds_against_a_join() {
    let cluster = in_one_partition().proxied().start().await;
    let (alice, zed) = (cluster.device("alice", 1).await, cluster.device("zed", 0).await);
    let group = alice.group("all", &[]).await;
    let invite = alice.client().create_invite(&group, None, None).await.unwrap();
    archived(&alice, &group, 1).await;
    cluster.wire_to_nats().set(Flow::Pass, SLOW);
    let (invite, code) = (invite.invite, invite.code.unwrap());
    let (joined, ()) = tokio::join!(zed.client().join(&code), async {
        // The use stands in the log, and zed's gateway does not know so yet.
        let used = |change: &Change| matches!(change, Change::InviteUsed { invite: used, .. } if *used == invite);
        while !used(&alice.event().await.entry.change) {}
        alice.client().ban_member(&group, &user("zed")).await.unwrap();
    });
    assert_eq!(refused(joined), ErrorCode::NotAMember);
    cluster.wire_to_nats().heal();
    assert_eq!(may_write(&zed, &group).await, Err(ErrorCode::NotAMember));
    assert_eq!(refused(zed.client().join(&code).await), ErrorCode::NotAllowed, "barred");
}

/// A group that is full in the log is full, though the archive knows of fewer.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_group_is_full_before_the_archive_knows() {
    let cluster = in_one_partition().set("connection.limits.group_members_max", 3).start().await;
    let alice = cluster.device("alice", 0).await;
    let group = alice.group("three", &["bob"]).await;
    archived(&alice, &group, 2).await;
    stop_archiving(&cluster).await;
    // Whoever is counted exactly waits for the archive: nobody counts this one twice.
    alice.client().add_member(&group, &user("carol")).await.unwrap();
    assert_eq!(refused(alice.client().add_member(&group, &user("dave")).await), ErrorCode::GroupFull);
}

/// What a device that was away hears late of a group's rules does not take back what its gateway has read since.
#[tokio::test(flavor = "multi_thread")]
async fn old_rules_are_not_taken_for_new_ones() {
    let cluster = in_one_partition().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 0).await);
    let group = alice.group("three", &["bob", "carol"]).await;
    changed(&bob, &Change::GroupCreated { name: "three".into(), members: ["alice", "bob", "carol"].map(user).into() })
        .await;
    let away = bob.leave().await;
    let write = |write| GroupPatch { write: Some(write), ..GroupPatch::default() };
    alice.client().change_group(&group, write(Who::Admins)).await.unwrap();
    alice.client().remove_member(&group, &user("bob")).await.unwrap();
    let last = alice.client().change_group(&group, write(Who::Everybody)).await.unwrap();
    wait_for("the archive", PATIENCE, async || {
        let page = alice.client().conversations(None, None).await.ok()?;
        page.conversations.iter().any(|view| view.last_seq >= last).then_some(())
    })
    .await;
    let carol = cluster.device("carol", 1).await;
    assert_eq!(may_write(&carol, &group).await, Ok(()));
    // Bob hears of the first change, and of the second one nothing any more.
    let late = Device::connect("bob", cluster.client("bob", &[1]).position(away));
    changed(&late, &Change::GroupChanged { patch: write(Who::Admins) }).await;
    changed(&late, &Change::MemberRemoved { user: user("bob") }).await;
    assert_eq!(may_write(&carol, &group).await, Ok(()));
}
