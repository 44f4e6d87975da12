//! How groups are set up, who is barred from them, and the ways in.

use natter_bus::storage_api::{
    Conversations, History, Invite, InviteReply, Invites, Membership, MembershipReply, Message, Pinned, StorageFault,
};
use natter_ids::{ConversationId, InviteCode};
use natter_protocol::{Change, GroupPatch, GroupSettings, Past, Role, Who};
use natter_storage::Store;

use crate::{
    database::Database,
    log::{Log, text, user},
};

async fn membership(store: &Store, conversation: &ConversationId, who: &str) -> MembershipReply {
    let asked = Membership { user: user(who), conversation: conversation.clone(), at_least: 0 };
    store.membership(&asked).await.unwrap().unwrap()
}

async fn role(store: &Store, conversation: &ConversationId, who: &str) -> Option<Role> {
    membership(store, conversation, who).await.role
}

pub async fn settings_are_those_of_the_last_change(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "first", &["a", "b"]);
    let patch = |patch: GroupPatch| Change::GroupChanged { patch };
    let named = GroupPatch { name: Some("na\0me \"🦀".into()), write: Some(Who::Admins), ..GroupPatch::default() };
    log.append(&group, "a", patch(named));
    log.archive(&store).await;
    let about = GroupPatch { description: Some("\0 about".into()), past: Some(Past::All), ..GroupPatch::default() };
    log.append(&group, "a", patch(about));
    log.append(&group, "a", patch(GroupPatch { write: Some(Who::Everybody), ..GroupPatch::default() }));
    log.archive(&store).await;
    let expected = GroupSettings { description: "\0 about".into(), past: Past::All, ..GroupSettings::default() };
    let found = membership(&store, &group, "b").await;
    assert_eq!((found.name.as_deref(), &found.settings), (Some("na\0me \"🦀"), &expected));
    let asked = Conversations { user: user("b"), after: None, limit: 10 };
    let listed = store.conversations(&asked).await.unwrap().conversations;
    assert_eq!((listed[0].name.as_deref(), &listed[0].group), (Some("na\0me \"🦀"), &Some(expected)));
}

pub async fn roles_and_bans_follow_the_log(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a", "b", "c"]);
    log.append(&group, "a", Change::RoleChanged { user: user("b"), role: Role::Admin });
    let banned = log.append(&group, "b", Change::MemberBanned { user: user("c") });
    let stranger = log.append(&group, "b", Change::MemberBanned { user: user("z") });
    log.archive(&store).await;
    assert_eq!(role(&store, &group, "b").await, Some(Role::Admin));
    for (who, fence) in [("c", banned), ("z", stranger)] {
        let found = membership(&store, &group, who).await;
        assert_eq!((found.role, found.banned, found.fence, found.members), (None, true, fence, 2), "{who}");
    }
    // A role for who has gone is none.
    log.append(&group, "a", Change::RoleChanged { user: user("c"), role: Role::Admin });
    let unbanned = log.append(&group, "a", Change::MemberUnbanned { user: user("z") });
    log.add(&group, "a", "c");
    log.archive(&store).await;
    let found = membership(&store, &group, "c").await;
    assert_eq!((found.role, found.banned, found.members), (Some(Role::Member), false, 3), "added: no longer barred");
    let found = membership(&store, &group, "z").await;
    assert_eq!((found.role, found.banned, found.fence), (None, false, unbanned));
}

pub async fn invites_are_counted_and_end(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a"]);
    let [bounded, open, old] = [0; 3].map(|_| InviteCode::random(group.clone()).id());
    let created = |invite: &natter_ids::InviteId, expires_at, uses_max| Change::InviteCreated {
        invite: invite.clone(),
        expires_at,
        uses_max,
    };
    log.append(&group, "a", created(&bounded, Some(5_000), Some(2)));
    log.append(&group, "a", created(&open, None, None));
    log.append(&group, "a", created(&old, Some(1_000), None));
    log.archive(&store).await;
    let state = async |invite: &natter_ids::InviteId| {
        let asked = Invite { conversation: group.clone(), invite: invite.clone(), at_least: 0 };
        store.invite(&asked).await.unwrap()
    };
    let names = async |who: &str| {
        let asked = Invites { user: user(who), conversation: group.clone(), now: 2_000 };
        let page = store.invites(&asked).await?;
        Ok::<_, StorageFault>(page.invites.into_iter().map(|view| (view.invite, view.uses)).collect::<Vec<_>>())
    };
    assert_eq!(names("a").await, Ok(vec![(open.clone(), 0), (bounded.clone(), 0)]), "the newest first");
    assert_eq!(names("b").await, Err(StorageFault::NotAMember));
    for (uses, who) in [(1, "b"), (2, "c")] {
        let (expires_at, uses_max) = (Some(5_000), Some(2));
        log.append(&group, who, Change::InviteUsed { invite: bounded.clone(), expires_at, uses_max, uses });
        log.append(&group, who, Change::MemberJoined { invite: bounded.clone() });
    }
    log.append(&group, "a", Change::InviteRevoked { invite: open.clone() });
    log.archive(&store).await;
    let used = InviteReply { expires_at: Some(5_000), uses_max: Some(2), uses: 2, revoked: false };
    assert_eq!(state(&bounded).await, Some(used));
    assert_eq!(state(&open).await, Some(InviteReply { expires_at: None, uses_max: None, uses: 0, revoked: true }));
    assert_eq!(state(&InviteCode::random(group.clone()).id()).await, None);
    assert_eq!(names("b").await, Ok(Vec::new()), "used up, ended, expired");
    assert_eq!(membership(&store, &group, "c").await.members, 3);
}

pub async fn the_past_is_shown_where_the_group_says(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    let group = log.group("a", "g", &["a"]);
    let before = log.append(&group, "a", text("before"));
    log.append(&group, "a", Change::Pinned { target: before });
    log.add(&group, "a", "b");
    log.append(&group, "a", text("after"));
    log.archive(&store).await;
    let seen = async || {
        let asked = History {
            user: user("b"),
            conversation: group.clone(),
            before: None,
            after: None,
            limit: 100,
            edits: false,

            block: None,
        };
        store.history(&asked).await.map(|page| page.events.len())
    };
    // What may be answered, and what is pinned, is what may be read.
    let known = async || {
        let (user, conversation) = (user("b"), group.clone());
        let asked = Message { user, conversation, seq: before, at_least: 0, with_text: true, block: None };
        store.message(&asked).await.map(|found| found.and_then(|found| found.text))
    };
    let pinned = async || {
        let asked = Pinned { user: user("b"), conversation: group.clone(), before: None, limit: 10, block: None };
        store.pinned(&asked).await.map(|page| page.events.len())
    };
    assert_eq!(seen().await, Ok(2), "their coming and what followed");
    assert_eq!((known().await, pinned().await), (Ok(None), Ok(0)));
    let open = GroupPatch { past: Some(Past::All), ..GroupPatch::default() };
    log.append(&group, "a", Change::GroupChanged { patch: open });
    log.archive(&store).await;
    assert_eq!(seen().await, Ok(6), "everything");
    assert_eq!((known().await, pinned().await), (Ok(Some("before".to_owned())), Ok(1)));
    log.remove(&group, "a", "b");
    log.archive(&store).await;
    assert_eq!(seen().await, Err(StorageFault::NotAMember));
    assert_eq!((known().await, pinned().await), (Err(StorageFault::NotAMember), Err(StorageFault::NotAMember)));
}
