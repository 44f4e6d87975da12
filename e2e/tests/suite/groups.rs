//! Groups: who may do what, how one comes in, and what new members see.

use natter_client::RequestError;
use natter_e2e::{Cluster, Db, Device, Http, PATIENCE, user};
use natter_ids::{ClientId, ConversationId};
use natter_protocol::{
    Change, ConversationPage, ConversationView, ErrorBody, ErrorCode, Event, GroupPatch, HistoryPage, Past, Role,
    ServerFrame, Who,
};
use natter_testkit::wait_for;

on_every_database!(roles_decide_who_may);
on_every_database!(a_group_is_described_and_its_rules_hold);
on_every_database!(an_invite_lets_in_as_many_as_it_says);
on_every_database!(who_comes_into_an_empty_group_owns_it);

/// A group of alice's, at gateway 0, with bob and carol, at gateway 1.
async fn three(cluster: &Cluster) -> ([Device; 3], ConversationId) {
    let alice = cluster.device("alice", 0).await;
    let (bob, carol) = (cluster.device("bob", 1).await, cluster.device("carol", 1).await);
    let group = alice.group("three", &["bob", "carol"]).await;
    ([alice, bob, carol], group)
}

pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, RequestError>) -> ErrorCode {
    match result {
        Err(RequestError::Refused(error)) => error.code,
        other => panic!("not refused: {other:?}"),
    }
}

/// Waits for the entry with this change, and returns it.
pub(crate) async fn changed(device: &Device, wanted: &Change) -> Event {
    loop {
        let event = device.event().await;
        if event.entry.change == *wanted {
            return event;
        }
    }
}

pub(crate) async fn may_write(device: &Device, group: &ConversationId) -> Result<(), ErrorCode> {
    match device.client().send(group.clone(), "may I?").await {
        Ok(_) => Ok(()),
        Err(natter_client::SendError::Refused(error)) => Err(error.code),
        Err(error) => panic!("{error}"),
    }
}

/// The role of each member, as everybody sees it, once it is as expected.
pub(crate) async fn roles_are(device: &Device, group: &ConversationId, expected: &[(&str, Role)]) {
    wait_for(&format!("the roles {expected:?}"), PATIENCE, async || {
        let page = device.client().members(group, None, None).await.unwrap();
        let roles: Vec<_> = page.members.iter().map(|member| (member.user.as_str(), member.role)).collect();
        (roles == expected).then_some(())
    })
    .await;
}

/// An owner makes admins and hands the group over; an admin removes and bars plain members and nobody
/// above; every change is an event on every device and holds on every gateway.
async fn roles_decide_who_may(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let ([alice, bob, carol], group) = three(&cluster).await;
    let (bobs, carols) = (user("bob"), user("carol"));
    assert_eq!(refused(bob.client().change_role(&group, &carols, Role::Admin).await), ErrorCode::NotAllowed);
    assert_eq!(refused(bob.client().ban_member(&group, &carols).await), ErrorCode::NotAllowed);
    assert_eq!(refused(bob.client().remove_member(&group, &carols).await), ErrorCode::NotAllowed);
    assert_eq!(refused(alice.client().leave(&group).await), ErrorCode::NotAllowed, "no group without an owner");
    assert_eq!(refused(alice.client().change_role(&group, &user("zed"), Role::Admin).await), ErrorCode::NotAMember);

    let seq = alice.client().change_role(&group, &bobs, Role::Admin).await.unwrap();
    let again = alice.client().change_role(&group, &bobs, Role::Admin).await.unwrap();
    assert_eq!(again, seq, "said twice, done once");
    let change = Change::RoleChanged { user: bobs.clone(), role: Role::Admin };
    for device in [&alice, &bob, &carol] {
        assert_eq!(changed(device, &change).await.seq, seq);
    }
    roles_are(&carol, &group, &[("alice", Role::Owner), ("bob", Role::Admin), ("carol", Role::Member)]).await;

    let oops = carol.say(&group, "oops").await.seq;
    bob.client().delete(&group, oops).await.unwrap();
    let http = cluster.http("alice", 0);
    wait_for("an admin's deletion", PATIENCE, async || texts(&http, &group).await.is_empty().then_some(())).await;

    assert_eq!(refused(bob.client().remove_member(&group, &user("alice")).await), ErrorCode::NotAllowed);
    let banned = bob.client().ban_member(&group, &carols).await.unwrap();
    assert_eq!(changed(&carol, &Change::MemberBanned { user: carols.clone() }).await.seq, banned, "the last she gets");
    assert_eq!(may_write(&carol, &group).await, Err(ErrorCode::NotAMember));
    assert_eq!(refused(alice.client().add_member(&group, &carols).await), ErrorCode::NotAllowed, "she is barred");
    bob.client().unban_member(&group, &carols).await.unwrap();
    alice.client().add_member(&group, &carols).await.unwrap();
    wait_for("carol to be back", PATIENCE, async || may_write(&carol, &group).await.ok()).await;

    alice.client().change_role(&group, &bobs, Role::Owner).await.unwrap();
    roles_are(&carol, &group, &[("alice", Role::Admin), ("bob", Role::Owner), ("carol", Role::Member)]).await;
    assert_eq!(refused(alice.client().change_role(&group, &carols, Role::Admin).await), ErrorCode::NotAllowed);
    bob.client().change_role(&group, &user("alice"), Role::Member).await.unwrap();
    assert_eq!(refused(alice.client().ban_member(&group, &carols).await), ErrorCode::NotAllowed);
    alice.client().leave(&group).await.unwrap();
}

/// Name, description and picture are seen by everybody, in the list and over HTTP; in a group for
/// announcements only those who manage it write; a new member sees the past only where it is shown.
async fn a_group_is_described_and_its_rules_hold(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let ([alice, bob, carol], group) = three(&cluster).await;
    alice.say(&group, "before").await;
    may_write(&carol, &group).await.unwrap();
    let patch = GroupPatch {
        name: Some("news".into()),
        description: Some("what is new".into()),
        avatar: Some("https://example.com/a.png".into()),
        write: Some(Who::Admins),
        ..GroupPatch::default()
    };
    assert_eq!(refused(bob.client().change_group(&group, patch.clone()).await), ErrorCode::NotAllowed);
    assert_eq!(refused(alice.client().change_group(&group, GroupPatch::default()).await), ErrorCode::Malformed);
    let long = GroupPatch { description: Some("x".repeat(5_000)), ..GroupPatch::default() };
    assert_eq!(refused(alice.client().change_group(&group, long).await), ErrorCode::TooLarge);
    let seq = alice.client().change_group(&group, patch.clone()).await.unwrap();
    for device in [&bob, &carol] {
        assert_eq!(changed(device, &Change::GroupChanged { patch: patch.clone() }).await.seq, seq);
    }
    // Whose devices know of it, their gateway does.
    assert_eq!(may_write(&carol, &group).await, Err(ErrorCode::NotAllowed));
    assert_eq!(may_write(&alice, &group).await, Ok(()));
    let said = cluster.http("carol", 1).say(&group, ClientId::now(), "and so?").await;
    assert_eq!(said.map_err(|error| error.code), Err(ErrorCode::NotAllowed));

    let view = listed(&cluster.http("bob", 1), &group, "news").await;
    let settings = view.group.unwrap();
    assert_eq!((settings.description.as_str(), settings.write), ("what is new", Who::Admins));
    assert_eq!(settings.avatar, "https://example.com/a.png");

    // Who may add, and make invites, is a rule of its own.
    let add = |add| GroupPatch { add: Some(add), ..GroupPatch::default() };
    for (rule, may) in [(Who::Admins, false), (Who::Everybody, true)] {
        alice.client().change_group(&group, add(rule)).await.unwrap();
        wait_for("the rule to be known", PATIENCE, async || {
            let view = listed(&cluster.http("bob", 1), &group, "news").await;
            (view.group?.add == rule).then_some(())
        })
        .await;
        let added = bob.client().add_member(&group, &user("frank")).await;
        let invited = bob.client().create_invite(&group, None, None).await;
        if may {
            added.unwrap();
            invited.unwrap();
        } else {
            assert_eq!((refused(added), refused(invited)), (ErrorCode::NotAllowed, ErrorCode::NotAllowed));
        }
    }

    alice.client().add_member(&group, &user("dave")).await.unwrap();
    let dave = cluster.http("dave", 0);
    assert_eq!(texts(&dave, &group).await, [""; 0], "the past is hidden");
    let open = GroupPatch { past: Some(Past::All), ..GroupPatch::default() };
    alice.client().change_group(&group, open).await.unwrap();
    wait_for("the past to be shown", PATIENCE, async || {
        (texts(&dave, &group).await == ["before", "may I?", "may I?"]).then_some(())
    })
    .await;
    let eve = cluster.http("eve", 0).history(&group, "").await;
    assert_eq!(eve.map_err(|error| error.code), Err(ErrorCode::NotAMember), "to members alone");
}

/// The conversation in a user's list over HTTP, once it has the name.
async fn listed(http: &Http, group: &ConversationId, name: &str) -> ConversationView {
    wait_for(&format!("the list to call it {name}"), PATIENCE, async || {
        let page: ConversationPage = http.get("/v1/conversations").await.read().unwrap();
        page.conversations.into_iter().find(|view| view.conversation == *group && view.name.as_deref() == Some(name))
    })
    .await
}

async fn texts(http: &Http, group: &ConversationId) -> Vec<String> {
    let page: HistoryPage = http.history(group, "").await.unwrap();
    let text = |event: Event| match event.entry.change {
        Change::Message { text, .. } => Some(text),
        _ => None,
    };
    page.events.into_iter().filter_map(text).collect()
}

/// However many come at once, through whatever gateways: a bounded invite lets in as many as it says.
/// One that is revoked, expired or made up lets in nobody, nor does any a barred user.
async fn an_invite_lets_in_as_many_as_it_says(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let ([alice, bob, _carol], group) = three(&cluster).await;
    let invite = alice.client().create_invite(&group, None, Some(3)).await.unwrap();
    let code = invite.code.clone().unwrap();

    let names: Vec<_> = (0..8).map(|number| format!("guest{number}")).collect();
    let guests =
        futures_util::future::join_all(names.iter().enumerate().map(|(number, name)| cluster.device(name, number % 2)))
            .await;
    let joins = guests.iter().map(|guest| guest.client().join(&code));
    let (joined, late): (Vec<_>, Vec<_>) =
        futures_util::future::join_all(joins).await.into_iter().partition(Result::is_ok);
    assert_eq!(joined.len(), 3, "{joined:?} {late:?}");
    late.into_iter().for_each(|late| assert_eq!(refused(late), ErrorCode::NoSuchInvite));
    let view = joined.into_iter().next().unwrap().unwrap();
    assert_eq!((view.conversation, view.name.as_deref(), view.role), (group.clone(), Some("three"), Role::Member));
    wait_for("six members", PATIENCE, async || {
        (alice.client().members(&group, None, None).await.unwrap().members.len() == 6).then_some(())
    })
    .await;
    assert_eq!(alice.client().invites(&group).await.unwrap().invites, [], "it is used up");

    // Who came in by it and was removed does not come in by it again.
    let once = alice.client().create_invite(&group, None, Some(1)).await.unwrap().code.unwrap();
    let eve = cluster.device("eve", 1).await;
    eve.client().join(&once).await.unwrap();
    alice.client().remove_member(&group, &user("eve")).await.unwrap();
    assert_eq!(refused(eve.client().join(&once).await), ErrorCode::NoSuchInvite);

    let open = alice.client().create_invite(&group, None, None).await.unwrap();
    let code = open.code.clone().unwrap();
    let zed = cluster.device("zed", 1).await;
    alice.client().ban_member(&group, &user("zed")).await.unwrap();
    assert_eq!(refused(zed.client().join(&code).await), ErrorCode::NotAllowed, "barred");
    alice.client().unban_member(&group, &user("zed")).await.unwrap();
    let first = zed.client().join(&code).await.unwrap();
    assert_eq!(zed.client().join(&code).await.unwrap().conversation, first.conversation, "a member finds it");
    alice.say(&group, "hello zed").await;
    zed.hears(["hello zed"]).await;
    let listed = wait_for("the use to be counted", PATIENCE, async || {
        bob.client().invites(&group).await.unwrap().invites.into_iter().find(|listed| listed.uses == 1)
    })
    .await;
    assert_eq!((&listed.invite, &listed.code), (&open.invite, &None), "the code is told once");

    assert_eq!(refused(bob.client().revoke_invite(&group, &open.invite).await), ErrorCode::NotAllowed);
    alice.client().revoke_invite(&group, &open.invite).await.unwrap();
    let expires_at = crate::now_ms() + 2_000;
    let soon = alice.client().create_invite(&group, Some(expires_at), None).await.unwrap().code.unwrap();
    wait_for("the invite to expire", PATIENCE, async || (crate::now_ms() > expires_at).then_some(())).await;
    let made_up = format!("{group}.{}", "0".repeat(32));
    let yan = cluster.device("yan", 0).await;
    for code in [&code, &soon, &made_up] {
        assert_eq!(refused(yan.client().join(code).await), ErrorCode::NoSuchInvite);
    }
    assert_eq!(refused(yan.client().join("no code").await), ErrorCode::Malformed);
}

/// The last member leaves, and the invite holds: of several who come at once through two gateways somebody owns the
/// group, which others are told; whoever comes later is a plain member.
async fn who_comes_into_an_empty_group_owns_it(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let ([alice, bob, carol], _) = three(&cluster).await;
    let group = alice.group("empty soon", &[]).await;
    let code = alice.client().create_invite(&group, None, None).await.unwrap().code.unwrap();
    alice.client().leave(&group).await.unwrap();
    let (one, other) = tokio::join!(bob.client().join(&code), carol.client().join(&code));
    let roles = [one.unwrap().role, other.unwrap().role];
    assert!(roles.contains(&Role::Owner), "{roles:?}");
    let owner = if roles[0] == Role::Owner { &bob } else { &carol };
    let patch = GroupPatch { name: Some("back to life".into()), ..GroupPatch::default() };
    owner.client().change_group(&group, patch).await.unwrap();
    assert_eq!(alice.client().join(&code).await.unwrap().role, Role::Member);
    let name = if roles[0] == Role::Owner { "bob" } else { "carol" };
    changed(owner, &Change::RoleChanged { user: user(name), role: Role::Owner }).await;
    roles_are(&alice, &group, &[("alice", Role::Member), ("bob", roles[0]), ("carol", roles[1])]).await;
}

/// Everything that a session may ask can be posted, too.
#[tokio::test(flavor = "multi_thread")]
async fn every_request_can_be_posted() {
    let cluster = Cluster::builder().start().await;
    let bob = cluster.device("bob", 1).await;
    let alice = cluster.http("alice", 0);
    let created = alice
        .ask(&format!(
            r#"{{"type":"create_group","client_id":"{}","name":"posted","members":["bob"]}}"#,
            ClientId::now()
        ))
        .await
        .unwrap();
    let ServerFrame::Conversation { conversation, .. } = created else { panic!("{created:?}") };
    let group = conversation.conversation;
    let said = format!(r#"{{"type":"change_group","conversation":"{group}","description":"posted, too","id":7}}"#);
    let accepted = alice.ask(&said).await.unwrap();
    assert!(matches!(accepted, ServerFrame::Accepted { id: 7, .. }), "{accepted:?}");
    let patch = GroupPatch { description: Some("posted, too".into()), ..GroupPatch::default() };
    changed(&bob, &Change::GroupChanged { patch }).await;

    let code = |answer: Result<ServerFrame, ErrorBody>| answer.unwrap_err().code;
    let mallory = cluster.http("mallory", 0);
    assert_eq!(code(mallory.ask(&said).await), ErrorCode::NotAMember);
    assert_eq!(code(alice.ask(r#"{"type":"watch_presence","users":[]}"#).await), ErrorCode::OutOfState);
    assert_eq!(code(alice.ask(r#"{"type":"ping"}"#).await), ErrorCode::OutOfState);
    assert_eq!(code(alice.ask(r#"{"type":"dance"}"#).await), ErrorCode::UnknownType);
    assert_eq!(code(alice.ask(r#"{"type":"leave"}"#).await), ErrorCode::Malformed);
    let writes = format!(r#"{{"type":"typing","conversation":"{group}"}}"#);
    assert_eq!(alice.ask(&writes).await.unwrap(), ServerFrame::Done { id: 0 });
    let seen = bob.find(|next| match next {
        natter_client::Notification::Typing { user, .. } => Some(user),
        _ => None,
    });
    assert_eq!(seen.await, user("alice"));
}
