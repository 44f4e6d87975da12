//! What a group is besides its members: how it is called and who may do what.

use natter_ids::{ClientId, ConversationId, InviteId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a member may do. The later ones may do less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything: also makes admins, and hands the group over. Who creates a group is its owner.
    Owner,
    /// Changes the group, and removes, bars and readmits members below.
    Admin,
    /// Reads and leaves; writes and adds members where the group's settings let everybody.
    Member,
}

impl Role {
    /// Whether this role looks after the group.
    pub const fn manages(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
    }

    /// Whether it stands above the other one.
    pub fn is_above(self, other: Self) -> bool {
        self < other
    }
}

/// Who of a group's members may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Every member.
    #[default]
    Everybody,
    /// Admins and owners.
    Admins,
}

/// What of a group's history a new member sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Past {
    /// What is said from their joining on.
    #[default]
    SinceJoined,
    /// Everything, from the beginning.
    All,
}

/// How a group is set up; nothing that is not said is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupSettings {
    /// What it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where its picture is: whatever the application understands, such as an address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub avatar: String,
    /// Who may write. `admins` makes it a group for announcements.
    pub write: Who,
    /// Who may add members and make invites.
    pub add: Who,
    /// What new members see of the past.
    pub past: Past,
}

/// What to change of a group; what is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupPatch {
    /// What people call it, up to `group_name_bytes_max` bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is about, up to `group_description_bytes_max` bytes; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where its picture is, up to `group_avatar_bytes_max` bytes; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// Who may write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<Who>,
    /// Who may add members and make invites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add: Option<Who>,
    /// What new members see of the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<Past>,
}

impl GroupPatch {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl GroupSettings {
    /// Takes a change in; the name is kept elsewhere.
    pub fn apply(&mut self, patch: &GroupPatch) {
        let GroupPatch { name: _, description, avatar, write, add, past } = patch;
        if let Some(description) = description {
            self.description.clone_from(description);
        }
        if let Some(avatar) = avatar {
            self.avatar.clone_from(avatar);
        }
        self.write = write.unwrap_or(self.write);
        self.add = add.unwrap_or(self.add);
        self.past = past.unwrap_or(self.past);
    }
}

/// A way into a group for whoever has its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InviteView {
    /// Into which group.
    pub conversation: ConversationId,
    /// Its name: to revoke it.
    pub invite: InviteId,
    /// What to join with. Told once, to whoever made it: Natter keeps only what it follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Until when it holds, in milliseconds since 1970 UTC; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// How many may join with it; absent: as many as come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_max: Option<u32>,
    /// How many have.
    pub uses: u32,
}

/// The invites into a group that still hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvitePage {
    /// The newest first.
    pub invites: Vec<InviteView>,
}

/// What `POST /v1/conversations` takes: a new group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupDraft {
    /// Made once per group and kept for retries.
    pub client_id: ClientId,
    /// What people call it, up to `group_name_bytes_max` bytes.
    pub name: String,
    /// Its first members besides the creator.
    #[serde(default)]
    pub members: Vec<UserId>,
}

/// What `POST …/change` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupChangeDraft {
    /// Made once per change and kept for retries.
    pub client_id: ClientId,
    /// What to change.
    #[serde(flatten)]
    pub patch: GroupPatch,
}

/// What `POST …/members` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberDraft {
    /// Made once per change and kept for retries.
    pub client_id: ClientId,
    /// Who is added.
    pub user: UserId,
}

/// What `POST …/members/{user}/role` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleDraft {
    /// Made once per change and kept for retries.
    pub client_id: ClientId,
    /// Which role the member has from now on.
    pub role: Role,
}

/// What `POST …/invites` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InviteDraft {
    /// Made once per invite and kept for retries: 32 random hexadecimal digits, with which the code ends.
    pub secret: String,
    /// Until when it holds, in milliseconds since 1970 UTC; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// How many may join with it; as many as come when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_max: Option<u32>,
}

/// What `POST /v1/join` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinDraft {
    /// The invite's code.
    pub code: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_it_names() {
        let mut settings = GroupSettings { avatar: "a".into(), past: Past::All, ..GroupSettings::default() };
        let patch = GroupPatch { description: Some("d".into()), write: Some(Who::Admins), ..GroupPatch::default() };
        settings.apply(&patch);
        let expected = GroupSettings {
            description: "d".into(),
            avatar: "a".into(),
            write: Who::Admins,
            add: Who::Everybody,
            past: Past::All,
        };
        assert_eq!(settings, expected);
        settings.apply(&GroupPatch { avatar: Some(String::new()), ..GroupPatch::default() });
        assert_eq!(settings.avatar, "");
        assert!(GroupPatch::default().is_empty() && !patch.is_empty());
    }

    #[test]
    fn roles_stand_above_each_other() {
        assert!(Role::Owner.is_above(Role::Admin) && Role::Admin.is_above(Role::Member));
        assert!(!Role::Admin.is_above(Role::Admin) && !Role::Member.is_above(Role::Owner));
    }
}
