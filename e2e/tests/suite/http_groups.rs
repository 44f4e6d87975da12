//! Conversations and groups, by requests of HTTP at one gateway, as a device at the other sees them.

use hyper::Method;
use natter_e2e::{Cluster, Db, Http, PATIENCE, user};
use natter_ids::{ClientId, ConversationId};
use natter_protocol::{
    AcceptedView, Change, ConversationView, ErrorBody, ErrorCode, GroupPatch, InvitePage, InviteView, ReactorPage, Role,
};
use natter_testkit::wait_for;
use serde_json::json;

use crate::groups::changed;

on_every_database!(a_group_is_kept_over_http);

/// `POST` below a conversation, with a new client id and what else there is to say.
async fn change(
    http: &Http,
    of: &ConversationId,
    what: &str,
    more: serde_json::Value,
) -> Result<AcceptedView, ErrorBody> {
    let mut body = json!({ "client_id": ClientId::now() });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    http.post(&format!("/v1/conversations/{of}/{what}"), Some(&body.to_string())).await.read()
}

async fn join(http: &Http, code: &str) -> Result<ConversationView, ErrorBody> {
    http.post("/v1/join", Some(&json!({ "code": code }).to_string())).await.read()
}

fn none() -> serde_json::Value {
    json!({})
}

/// A group is created, set up, filled, barred from, let into and left over HTTP; a device of a member's sees each
/// change, and what is repeated is done once.
async fn a_group_is_kept_over_http(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let (alice, bob) = (cluster.http("alice", 0), cluster.device("bob", 1).await);
    let direct: ConversationView = alice.request(Method::PUT, "/v1/direct/bob", None).await.read().unwrap();
    assert_eq!((&direct.conversation, direct.peer), (&bob.direct("alice").await, Some(user("bob"))));

    let draft = json!({ "client_id": ClientId::now(), "name": "posted", "members": ["bob"] }).to_string();
    let created: ConversationView = alice.post("/v1/conversations", Some(&draft)).await.read().unwrap();
    let again: ConversationView = alice.post("/v1/conversations", Some(&draft)).await.read().unwrap();
    assert_eq!((&created.conversation, created.role), (&again.conversation, Role::Owner));
    let group = created.conversation;

    let set_up = json!({ "client_id": ClientId::now(), "description": "by HTTP", "write": "admins" }).to_string();
    let path = format!("/v1/conversations/{group}/change");
    let first: AcceptedView = alice.post(&path, Some(&set_up)).await.read().unwrap();
    let second: AcceptedView = alice.post(&path, Some(&set_up)).await.read().unwrap();
    assert_eq!(first, second, "a retry is the same change");
    let patch: GroupPatch = serde_json::from_str(r#"{"description":"by HTTP","write":"admins"}"#).unwrap();
    assert_eq!(changed(&bob, &Change::GroupChanged { patch }).await.seq, first.seq);

    for (what, more, expected) in [
        ("members", json!({ "user": "carol" }), Change::MemberAdded { user: user("carol") }),
        (
            "members/carol/role",
            json!({ "role": "admin" }),
            Change::RoleChanged { user: user("carol"), role: Role::Admin },
        ),
        ("members/carol/remove", none(), Change::MemberRemoved { user: user("carol") }),
        ("members/carol/ban", none(), Change::MemberBanned { user: user("carol") }),
        ("members/carol/unban", none(), Change::MemberUnbanned { user: user("carol") }),
    ] {
        let accepted = change(&alice, &group, what, more).await.unwrap();
        assert_eq!(changed(&bob, &expected).await.seq, accepted.seq, "{what}");
    }

    let invites = format!("/v1/conversations/{group}/invites");
    let draft = json!({ "secret": "0123456789abcdef0123456789abcdef", "uses_max": 3 }).to_string();
    let made: InviteView = alice.post(&invites, Some(&draft)).await.read().unwrap();
    let found: InviteView = alice.post(&invites, Some(&draft)).await.read().unwrap();
    assert_eq!(made, found);
    let code = made.code.unwrap();
    let dave = cluster.http("dave", 1);
    assert_eq!(join(&dave, &code).await.unwrap().conversation, group);
    changed(&bob, &Change::MemberJoined { invite: made.invite.clone() }).await;
    wait_for("the use to be counted", PATIENCE, async || {
        let page: InvitePage = alice.get(&invites).await.read().unwrap();
        (page.invites.len() == 1 && page.invites[0].uses == 1).then_some(())
    })
    .await;
    let ends = format!("{invites}/{}", made.invite);
    let left: InvitePage = alice.request(Method::DELETE, &ends, None).await.read().unwrap();
    assert_eq!(left.invites, []);
    assert_eq!(join(&cluster.http("eve", 0), &code).await.unwrap_err().code, ErrorCode::NoSuchInvite);

    assert_eq!(change(&alice, &group, "leave", none()).await.unwrap_err().code, ErrorCode::NotAllowed);
    change(&alice, &group, "members/bob/role", json!({ "role": "owner" })).await.unwrap();
    let left = change(&alice, &group, "leave", none()).await.unwrap();
    assert_eq!(changed(&bob, &Change::MemberLeft {}).await.seq, left.seq);
}

/// Who is no member changes nothing, what makes no sense says so, and who has reacted is listed.
#[tokio::test(flavor = "multi_thread")]
async fn groups_over_http_refuse_as_sessions_do() {
    let cluster = Cluster::builder().start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.http("bob", 1));
    let group = alice.group("closed", &["bob"]).await;
    let mallory = cluster.http("mallory", 1);
    for (what, more) in [
        ("change", json!({ "name": "mine" })),
        ("leave", none()),
        ("members", json!({ "user": "eve" })),
        ("members/bob/remove", none()),
        ("members/bob/role", json!({ "role": "member" })),
        ("members/bob/ban", none()),
        ("members/bob/unban", none()),
    ] {
        assert_eq!(
            change(&mallory, &group, what, more.clone()).await.unwrap_err().code,
            ErrorCode::NotAMember,
            "{what}"
        );
        let without_id = bob.post(&format!("/v1/conversations/{group}/{what}"), Some(&more.to_string())).await;
        assert_eq!(without_id.read::<AcceptedView>().unwrap_err().code, ErrorCode::Malformed, "{what}");
    }
    assert_eq!(change(&bob, &group, "members/alice/remove", none()).await.unwrap_err().code, ErrorCode::NotAllowed);
    assert_eq!(change(&bob, &group, "members/%00/ban", none()).await.unwrap_err().code, ErrorCode::Malformed);
    assert_eq!(join(&mallory, "nonsense").await.unwrap_err().code, ErrorCode::Malformed);
    let odd = bob.request(Method::DELETE, &format!("/v1/conversations/{group}/invites/two%20words"), None).await;
    assert_eq!(odd.read::<InvitePage>().unwrap_err().code, ErrorCode::Malformed);

    let said = alice.say(&group, "agreed?").await.seq;
    change(&bob, &group, &format!("messages/{said}/react"), json!({ "emoji": "👍", "on": true })).await.unwrap();
    wait_for("the reaction", PATIENCE, async || {
        let page: ReactorPage =
            bob.get(&format!("/v1/conversations/{group}/messages/{said}/reactors?limit=5")).await.read().unwrap();
        let reactor = page.reactors.first()?;
        (reactor.user == user("bob") && reactor.emoji == ["👍"]).then_some(())
    })
    .await;
}
