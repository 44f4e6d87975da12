//! Groups: how they are set up, who is barred from them, and the ways in.

use natter_bus::storage_api::{Invite, InviteReply, Invites, StorageFault};
use natter_ids::{ConversationId, InviteId, UserId};
use natter_protocol::{Change, GroupPatch, GroupSettings, InvitePage, InviteView};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    apply::Tx,
    fold::Folded,
    reads::database,
    sql::{from_sql, to_sql},
};

/// Most invites in an answer: more than a group may have.
const INVITES: i64 = 100;

/// Carries out what an entry does to a group besides its members. To be called once the
/// conversation's own row is there.
pub(crate) async fn save_group(tx: &mut Tx<'_>, entry: &Folded<'_>) -> Result<(), sqlx::Error> {
    let (conversation, seq) = (entry.conversation, to_sql(entry.seq));
    match &entry.entry.change {
        Change::GroupChanged { patch } => patch_group(tx, conversation, patch).await,
        Change::MemberBanned { user } => {
            let insert = "INSERT INTO bans (conversation, user_id, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(insert).bind(conversation.as_str()).bind(user.as_str()).bind(seq);
            insert.execute(&mut **tx).await.map(drop)
        }
        Change::MemberUnbanned { user } | Change::MemberAdded { user } => readmit(tx, conversation, user).await,
        Change::MemberJoined { .. } => readmit(tx, conversation, &entry.entry.sender).await,
        Change::InviteCreated { invite, expires_at, uses_max } => {
            let insert = sqlx::query(
                "INSERT INTO invites (conversation, invite, expires_at, uses_max, uses, revoked, created_seq) \
                 VALUES ($1, $2, $3, $4, 0, 0, $5) ON CONFLICT DO NOTHING",
            );
            let insert = insert.bind(conversation.as_str()).bind(invite.as_str());
            let insert = insert.bind(to_sql(expires_at.unwrap_or(0))).bind(i64::from(uses_max.unwrap_or(0))).bind(seq);
            insert.execute(&mut **tx).await.map(drop)
        }
        Change::InviteUsed { invite, uses, .. } => {
            let update = sqlx::query("UPDATE invites SET uses = $1 WHERE conversation = $2 AND invite = $3");
            let update = update.bind(i64::from(*uses)).bind(conversation.as_str()).bind(invite.as_str());
            update.execute(&mut **tx).await.map(drop)
        }
        Change::InviteRevoked { invite } => {
            let update = sqlx::query("UPDATE invites SET revoked = 1 WHERE conversation = $1 AND invite = $2");
            update.bind(conversation.as_str()).bind(invite.as_str()).execute(&mut **tx).await.map(drop)
        }
        _ => Ok(()),
    }
}

async fn patch_group(tx: &mut Tx<'_>, conversation: &ConversationId, patch: &GroupPatch) -> Result<(), sqlx::Error> {
    let select = sqlx::query("SELECT settings FROM conversations WHERE id = $1").bind(conversation.as_str());
    let Some(row) = select.fetch_optional(&mut **tx).await? else { return Ok(()) };
    let mut settings = settings_at(&row, 0)?;
    settings.apply(patch);
    let encode = |error: serde_json::Error| sqlx::Error::Encode(error.into());
    let update = sqlx::query("UPDATE conversations SET settings = $1 WHERE id = $2");
    let update = update.bind(serde_json::to_string(&settings).map_err(encode)?).bind(conversation.as_str());
    update.execute(&mut **tx).await?;
    if let Some(name) = &patch.name {
        let update = sqlx::query("UPDATE conversations SET name = $1 WHERE id = $2");
        let update = update.bind(serde_json::to_string(name).map_err(encode)?).bind(conversation.as_str());
        update.execute(&mut **tx).await?;
    }
    Ok(())
}

async fn readmit(tx: &mut Tx<'_>, conversation: &ConversationId, user: &UserId) -> Result<(), sqlx::Error> {
    let delete = sqlx::query("DELETE FROM bans WHERE conversation = $1 AND user_id = $2");
    delete.bind(conversation.as_str()).bind(user.as_str()).execute(&mut **tx).await.map(drop)
}

pub(crate) fn settings_at(row: &AnyRow, column: usize) -> Result<GroupSettings, sqlx::Error> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| sqlx::Error::Decode(error.into()))
}

impl Store {
    /// How a group is set up; for what has not begun, as a new one.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub(crate) async fn group_settings(&self, conversation: &ConversationId) -> Result<GroupSettings, StorageFault> {
        let select = sqlx::query("SELECT settings FROM conversations WHERE id = $1").bind(conversation.as_str());
        let row = select.fetch_optional(&self.pool).await.map_err(database)?;
        row.map_or_else(|| Ok(GroupSettings::default()), |row| settings_at(&row, 0).map_err(database))
    }

    /// Answers [`Invite`] as of what is archived now.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn invite(&self, asked: &Invite) -> Result<Option<InviteReply>, StorageFault> {
        let select = sqlx::query(
            "SELECT expires_at, uses_max, uses, revoked FROM invites WHERE conversation = $1 AND invite = $2",
        );
        let select = select.bind(asked.conversation.as_str()).bind(asked.invite.as_str());
        let row = select.fetch_optional(&self.pool).await.map_err(database)?;
        row.map(|row| invite_at(&row)).transpose().map_err(database)
    }

    /// Answers [`Invites`].
    ///
    /// # Errors
    /// [`StorageFault::NotAMember`] when the user is no member now; [`StorageFault::Database`].
    pub async fn invites(&self, asked: &Invites) -> Result<InvitePage, StorageFault> {
        self.role(&asked.conversation, &asked.user).await?.ok_or(StorageFault::NotAMember)?;
        let select = sqlx::query(
            "SELECT expires_at, uses_max, uses, revoked, invite FROM invites WHERE conversation = $1 AND revoked = 0 \
             AND (expires_at = 0 OR expires_at > $2) AND (uses_max = 0 OR uses < uses_max) \
             ORDER BY created_seq DESC LIMIT $3",
        );
        let select = select.bind(asked.conversation.as_str()).bind(to_sql(asked.now)).bind(INVITES);
        let view = |row: &AnyRow| -> Result<InviteView, sqlx::Error> {
            let InviteReply { expires_at, uses_max, uses, .. } = invite_at(row)?;
            let name: &str = row.try_get(4)?;
            let invite = InviteId::new(name).map_err(|error| sqlx::Error::Decode(error.into()))?;
            Ok(InviteView { conversation: asked.conversation.clone(), invite, code: None, expires_at, uses_max, uses })
        };
        let rows = select.fetch_all(&self.pool).await.map_err(database)?;
        Ok(InvitePage { invites: rows.iter().map(view).collect::<Result<_, _>>().map_err(database)? })
    }
}

fn invite_at(row: &AnyRow) -> Result<InviteReply, sqlx::Error> {
    let number = |column| row.try_get::<i64, _>(column).map(from_sql);
    let count = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Ok(InviteReply {
        expires_at: Some(number(0)?).filter(|time| *time > 0),
        uses_max: Some(number(1)?).filter(|most| *most > 0).map(count),
        uses: count(number(2)?),
        revoked: number(3)? > 0,
    })
}
