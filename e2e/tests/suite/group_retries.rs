//! What is asked of a group under an id happens once, however often and late it is asked (G4).

use natter_e2e::{Cluster, Db, Device, Http, PATIENCE, user};
use natter_ids::{ClientId, ConversationId, InviteCode, Seq};
use natter_protocol::{ErrorBody, ErrorCode, Role, ServerFrame};
use natter_testkit::wait_for;
use serde_json::{Value, json};

use crate::changes::old_id;

on_every_database!(a_group_is_changed_once);
on_every_database!(a_member_is_not_removed_twice);

async fn ask(http: &Http, request: &Value) -> Result<Seq, ErrorBody> {
    match http.ask(&request.to_string()).await? {
        ServerFrame::Accepted { seq, .. } => Ok(seq),
        other => panic!("{other:?}"),
    }
}

async fn role(device: &Device, group: &ConversationId, of: &str) -> Option<Role> {
    let page = device.client().members(group, None, None).await.unwrap();
    page.members.iter().find(|member| member.user.as_str() == of).map(|member| member.role)
}

/// A retry, at another gateway, does not undo what somebody has changed since; a lost invite is not made a second
/// time; who handed the group over, or left it, is told so again.
async fn a_group_is_changed_once(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let alice = cluster.device("alice", 0).await;
    let group = alice.group("three", &["bob", "carol"]).await;
    let (here, there) = (cluster.http("alice", 0), cluster.http("alice", 1));
    for id in [ClientId::now(), old_id()] {
        let named = |name: &str, id: ClientId| json!({"type": "change_group", "conversation": group, "client_id": id, "name": name});
        let first = ask(&here, &named("one", id)).await.unwrap();
        let last = ask(&here, &named("two", ClientId::now())).await.unwrap();
        assert_eq!(ask(&there, &named("one", id)).await, Ok(first), "a retry");
        assert_eq!(ask(&there, &named("three", id)).await.unwrap_err().code, ErrorCode::ClientIdConflict);
        wait_for("the archive", PATIENCE, async || {
            let page = alice.client().conversations(None, None).await.unwrap();
            let view = page.conversations.into_iter().find(|view| view.conversation == group)?;
            (view.last_seq >= last).then(|| assert_eq!((view.name.as_deref(), view.last_seq), (Some("two"), last)))
        })
        .await;
    }

    let secret = InviteCode::random(group.clone()).secret().to_owned();
    let invite = json!({"type": "create_invite", "conversation": group, "secret": secret, "uses_max": 2}).to_string();
    let made = here.ask(&invite).await.unwrap();
    let ServerFrame::Invite { invite: made, .. } = made else { panic!("{made:?}") };
    let again = there.ask(&invite).await.unwrap();
    assert!(matches!(again, ServerFrame::Invite { invite, .. } if invite == made));
    wait_for("the invite to be listed", PATIENCE, async || {
        let page = alice.client().invites(&group).await.unwrap();
        (!page.invites.is_empty()).then(|| assert_eq!(page.invites.len(), 1))
    })
    .await;
    let short = json!({"type": "create_invite", "conversation": group, "secret": "short"}).to_string();
    assert_eq!(here.ask(&short).await.unwrap_err().code, ErrorCode::Malformed);

    let id = ClientId::now();
    let handed = json!({"type": "change_role", "conversation": group, "client_id": id, "user": "bob", "role": "owner"});
    let first = ask(&here, &handed).await.unwrap();
    assert_eq!(ask(&there, &handed).await, Ok(first), "handed over, and told so again");
    let left = json!({"type": "leave", "conversation": group, "client_id": ClientId::now()});
    let first = ask(&here, &left).await.unwrap();
    assert_eq!(ask(&there, &left).await, Ok(first), "left, and told so again");
    assert_eq!(ask(&cluster.http("mallory", 0), &left).await.unwrap_err().code, ErrorCode::NotAMember);
}

/// Somebody who was added again after a removal stays when the removal is asked for once more.
async fn a_member_is_not_removed_twice(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let alice = cluster.device("alice", 0).await;
    let group = alice.group("two", &["bob"]).await;
    let (here, there) = (cluster.http("alice", 0), cluster.http("alice", 1));
    for id in [ClientId::now(), old_id()] {
        let removal = json!({"type": "remove_member", "conversation": group, "client_id": id, "user": "bob"});
        let first = ask(&here, &removal).await.unwrap();
        let added = alice.client().add_member(&group, &user("bob")).await.unwrap();
        assert_eq!(ask(&there, &removal).await, Ok(first), "a retry");
        let last = alice.say(&group, "is bob here?").await.seq;
        assert!(last > added && added > first);
        wait_for("the archive", PATIENCE, async || {
            let page = alice.client().conversations(None, None).await.unwrap();
            page.conversations.iter().any(|view| view.last_seq >= last).then_some(())
        })
        .await;
        assert_eq!(role(&alice, &group, "bob").await, Some(Role::Member));
    }
}
