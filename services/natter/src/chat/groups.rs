//! What the chat says and does about groups.

use natter_client::{Client, RequestError};
use natter_ids::{ConversationId, InviteId, UserId};
use natter_protocol::{Change, ConversationView, GroupPatch, InviteView, Past, Role, Who};

use super::{
    command::seconds,
    requests,
    style::{Style, clean, now_ms},
};

/// What `/help` shows of it.
pub const HELP: &str = "\
  /name TEXT       call the group something else
  /about TEXT      say what the group is about; without a text, nothing
  /role USER ROLE  make a member admin, member, or owner in your place
  /ban USER        bar a user; /unban USER lets them back
  /group           how the group is set up
  /avatar TEXT     where the group's picture is; without a text it has none
  /write WHO       who may write: everybody or admins
  /adding WHO      who may add members and make invites: everybody or admins
  /past WHAT       what new members see: all or since_joined
  /invite [N] [2h] make a code to join with, for N or as many as come, for two hours
                   or for ever
  /invites         list the invites that hold; /uninvite ID ends one";

/// A typed line about the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupLine {
    Change(GroupPatch),
    Role(UserId, Role),
    Ban(UserId),
    Unban(UserId),
    /// For so many, and for so many seconds.
    Invite(Option<u32>, Option<u64>),
    Uninvite(InviteId),
    Invites,
    /// How it is set up.
    Settings,
}

impl GroupLine {
    /// Reads a command; `None`: it is about something else.
    pub fn parse(name: &str, argument: &str) -> Option<Result<Self, String>> {
        let argument = argument.trim();
        let user = |text: &str| UserId::new(text).map_err(|_| format!("/{name} needs the name of a user"));
        let patch = |patch: GroupPatch| Ok(Self::Change(patch));
        Some(match name {
            "name" if argument.is_empty() => Err("/name needs a name".to_owned()),
            "name" => patch(GroupPatch { name: Some(argument.to_owned()), ..GroupPatch::default() }),
            "about" => patch(GroupPatch { description: Some(argument.to_owned()), ..GroupPatch::default() }),
            "avatar" => patch(GroupPatch { avatar: Some(argument.to_owned()), ..GroupPatch::default() }),
            "group" => Ok(Self::Settings),
            "adding" => match word(argument) {
                Some(who) => patch(GroupPatch { add: Some(who), ..GroupPatch::default() }),
                None => Err("/adding needs everybody or admins".to_owned()),
            },
            "write" => match word(argument) {
                Some(who) => patch(GroupPatch { write: Some(who), ..GroupPatch::default() }),
                None => Err("/write needs everybody or admins".to_owned()),
            },
            "past" => match word::<Past>(argument) {
                Some(past) => patch(GroupPatch { past: Some(past), ..GroupPatch::default() }),
                None => Err("/past needs all or since_joined".to_owned()),
            },
            "role" => match argument.rsplit_once(' ').map(|(who, role)| (user(who.trim()), word(role))) {
                Some((Ok(user), Some(role))) => Ok(Self::Role(user, role)),
                _ => Err("/role needs the name of a user, and admin, member or owner".to_owned()),
            },
            "ban" => user(argument).map(Self::Ban),
            "unban" => user(argument).map(Self::Unban),
            "invites" => Ok(Self::Invites),
            "uninvite" => InviteId::new(argument)
                .map(Self::Uninvite)
                .map_err(|_| "/uninvite needs an invite; /invites lists them".to_owned()),
            "invite" => invite(argument),
            _ => return None,
        })
    }

    /// Does it; returns what to show, where no event tells.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn carry_out(
        self,
        client: &Client,
        here: &ConversationId,
        style: &Style,
    ) -> Result<Vec<String>, RequestError> {
        match self {
            Self::Change(patch) => drop(client.change_group(here, patch).await?),
            Self::Role(user, role) => drop(client.change_role(here, &user, role).await?),
            Self::Ban(user) => drop(client.ban_member(here, &user).await?),
            Self::Unban(user) => drop(client.unban_member(here, &user).await?),
            Self::Invite(uses, lasts) => {
                let expires_at = lasts.map(|seconds| now_ms().saturating_add(seconds.saturating_mul(1_000)));
                let code = client.create_invite(here, expires_at, uses).await?.code.unwrap_or_default();
                return Ok(vec![format!("  whoever has this code may join: natter chat --as USER --join {code}")]);
            }
            Self::Uninvite(invite) => drop(client.revoke_invite(here, &invite).await?),
            Self::Invites => {
                let invites = client.invites(here).await?.invites;
                let none = invites.is_empty().then(|| "  no invites".to_owned());
                return Ok(none.into_iter().chain(invites.iter().map(|invite| line(invite, style))).collect());
            }
            Self::Settings => {
                let found = requests::conversations(client).await?.into_iter().find(|view| view.conversation == *here);
                return Ok(found.map_or_else(Vec::new, |view| settings(&view)));
            }
        }
        Ok(Vec::new())
    }
}

/// A word as it is on the wire.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(text.into()).ok()
}

/// For how many, and for how long, in any order.
fn invite(argument: &str) -> Result<GroupLine, String> {
    let (mut uses, mut lasts) = (None, None);
    for word in argument.split_whitespace() {
        match (word.parse(), seconds(word)) {
            (Ok(number), _) if number > 0 && uses.is_none() => uses = Some(number),
            (Err(_), Some(time)) if lasts.is_none() => lasts = Some(time),
            _ => return Err("/invite takes how many may join, and for how long, such as 3 2h".to_owned()),
        }
    }
    Ok(GroupLine::Invite(uses, lasts))
}

fn line(invite: &InviteView, style: &Style) -> String {
    let most = invite.uses_max.map_or_else(String::new, |most| format!(" of {most}"));
    let until = invite.expires_at.map_or_else(String::new, |at| format!(", until {}", style.day_and_time(at)));
    format!("  {}: {}{most} joined{until}", invite.invite, invite.uses)
}

/// How a conversation is set up.
fn settings(view: &ConversationView) -> Vec<String> {
    let mut lines = vec![format!("  {}", requests::label(view))];
    let Some(group) = &view.group else { return lines };
    let who = |who| match who {
        Who::Admins => "only admins",
        Who::Everybody => "everybody",
    };
    let said = |what: &str, text: &str| (!text.is_empty()).then(|| format!("  {what}: {}", clean(text)));
    lines.extend(said("about", &group.description));
    lines.extend(said("picture", &group.avatar));
    lines.push(format!("  who may write: {}", who(group.write)));
    lines.push(format!("  who may add members and make invites: {}", who(group.add)));
    let past = match group.past {
        Past::All => "all of it",
        Past::SinceJoined => "what is said from then on",
    };
    lines.push(format!("  what new members see: {past}"));
    let role = match view.role {
        Role::Owner => "its owner",
        Role::Admin => "an admin",
        Role::Member => "a member",
    };
    lines.push(format!("  you are {role}"));
    lines
}

/// What an entry did to a group, in words; `None` when there is nothing to tell people.
pub fn told(style: &Style, sender: &UserId, change: &Change) -> Option<String> {
    let (who, name) = (style.name(sender), |user| style.name(user));
    Some(match change {
        Change::MemberJoined { .. } => format!("{who} joined by an invite"),
        Change::MemberBanned { user } => format!("{who} barred {}", name(user)),
        Change::MemberUnbanned { user } => format!("{who} let {} back in", name(user)),
        Change::RoleChanged { user, role: Role::Owner } if user == sender => format!("{who} took over the empty group"),
        Change::RoleChanged { user, role: Role::Owner } => format!("{who} handed the group over to {}", name(user)),
        Change::RoleChanged { user, role: Role::Admin } if user == sender => format!("{who} became an admin"),
        Change::RoleChanged { user, role: Role::Admin } => format!("{who} made {} an admin", name(user)),
        Change::RoleChanged { user, role: Role::Member } => format!("{who} made {} a plain member", name(user)),
        Change::GroupChanged { patch } if *patch == GroupPatch::default() => return None,
        Change::GroupChanged { patch } => format!("{who} {}", changed(patch)),
        Change::InviteCreated { .. } => format!("{who} made an invite"),
        Change::InviteRevoked { .. } => format!("{who} ended an invite"),
        // Who comes in by an invite tells so in the next entry; the rest is of later versions.
        _ => return None,
    })
}

fn changed(patch: &GroupPatch) -> String {
    let mut told = Vec::new();
    if let Some(name) = &patch.name {
        told.push(format!("called the group {}", clean(name)));
    }
    if let Some(description) = &patch.description {
        told.push(format!("said what it is about: {}", clean(description)));
    }
    if patch.avatar.is_some() {
        told.push("changed its picture".to_owned());
    }
    match patch.write {
        Some(Who::Admins) => told.push("let only admins write".to_owned()),
        Some(Who::Everybody) => told.push("let everybody write".to_owned()),
        None => {}
    }
    match patch.add {
        Some(Who::Admins) => told.push("let only admins add members".to_owned()),
        Some(Who::Everybody) => told.push("let everybody add members".to_owned()),
        None => {}
    }
    match patch.past {
        Some(Past::All) => told.push("let new members see all of the past".to_owned()),
        Some(Past::SinceJoined) => told.push("hid the past from new members".to_owned()),
        None => {}
    }
    told.join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn commands_are_understood() {
        let write = GroupPatch { write: Some(Who::Admins), ..GroupPatch::default() };
        let cases = [
            ("role", "two words admin", GroupLine::Role(user("two words"), Role::Admin)),
            ("write", "admins", GroupLine::Change(write)),
            ("adding", "admins", GroupLine::Change(GroupPatch { add: Some(Who::Admins), ..GroupPatch::default() })),
            ("avatar", "", GroupLine::Change(GroupPatch { avatar: Some(String::new()), ..GroupPatch::default() })),
            ("invite", "", GroupLine::Invite(None, None)),
            ("invite", "3", GroupLine::Invite(Some(3), None)),
            ("invite", "2h 3", GroupLine::Invite(Some(3), Some(7_200))),
            ("group", "", GroupLine::Settings),
            ("ban", "eve ", GroupLine::Ban(user("eve"))),
        ];
        for (name, argument, line) in cases {
            assert_eq!(GroupLine::parse(name, argument), Some(Ok(line)), "/{name} {argument}");
        }
        for (name, argument) in [
            ("role", "bob"),
            ("role", "bob king"),
            ("write", "me"),
            ("invite", "0"),
            ("invite", "1 2"),
            ("uninvite", ""),
            ("ban", ""),
        ] {
            assert!(matches!(GroupLine::parse(name, argument), Some(Err(_))), "/{name} {argument}");
        }
        assert_eq!(GroupLine::parse("dance", ""), None);
    }

    #[test]
    fn changes_are_told_in_words() {
        let style = Style { colour: false, me: user("alice"), zone: TimeZone::UTC };
        let told = |change| told(&style, &user("bob"), &change);
        let patch = GroupPatch { name: Some("new".into()), past: Some(Past::All), ..GroupPatch::default() };
        let said = told(Change::GroupChanged { patch }).unwrap();
        assert_eq!(said, "bob called the group new, let new members see all of the past");
        let said = told(Change::RoleChanged { user: user("alice"), role: Role::Owner }).unwrap();
        assert_eq!(said, "bob handed the group over to you");
        assert_eq!(told(Change::message("x")), None);
    }
}
