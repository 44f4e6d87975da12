//! Conversations that strangers begin with users who want to be asked. Whether one is a request is decided once,
//! when its beginning is archived; from then on it is only ever accepted.

use natter_bus::{
    MarksChange, Notice, Recipient, StoredMark,
    storage_api::{StorageFault, Withheld},
};
use natter_ids::{ConversationId, Partition, UserId};
use natter_protocol::{Arrangement, ArrangementView, Change};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    apply::Tx,
    fold::{Folded, Head},
    marks::{TOLD_DELIVERED, TOLD_READ, key_at, take_versions},
    reads::database,
    sql::{OPEN, from_sql, list, statement},
};

/// Whether the marks `k` are shown to others: not while their user is asked whether to talk at all.
pub(crate) const SHOWN: &str = "NOT EXISTS (SELECT 1 FROM requests q WHERE q.conversation = k.conversation \
     AND q.user_id = k.user_id AND q.accepted = 0)";

/// Most users in a question, whatever is asked.
const OTHERS_MAX: usize = 1_000;

/// A request that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Who was asked.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
}

/// Notes whether a new conversation is a request, and that one was accepted: by whatever the one who is asked puts
/// into it.
pub(crate) async fn save_request(
    tx: &mut Tx<'_>,
    partition: Partition,
    folded: &Folded<'_>,
    head: &mut Head<'_>,
) -> Result<Option<Accepted>, sqlx::Error> {
    let Folded { conversation, entry, .. } = *folded;
    if let Change::DirectOpened { peers } = &entry.change {
        let asked = peers.iter().find(|peer| **peer != entry.sender);
        if let (Some(asked), Some(_)) = (asked, &folded.op)
            && begin(tx, conversation, asked, &entry.sender).await?
        {
            head.asked = Some(asked.clone());
        }
        return Ok(None);
    }
    if head.asked.as_ref() != Some(&entry.sender) {
        return Ok(None);
    }
    head.asked = None;
    let version = take_versions(tx, partition, 1).await?;
    let accepted = accept(tx, conversation, &entry.sender, version).await?;
    Ok(accepted.then(|| Accepted { user: entry.sender.clone(), conversation: conversation.clone() }))
}

async fn begin(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    asked: &UserId,
    stranger: &UserId,
) -> Result<bool, sqlx::Error> {
    let insert = sqlx::query(
        "INSERT INTO requests (conversation, user_id, accepted) SELECT $1, $2, 0 \
         WHERE EXISTS (SELECT 1 FROM settings s WHERE s.user_id = $2 AND s.strangers = 1) \
         AND NOT EXISTS (SELECT 1 FROM members m JOIN members o ON o.conversation = m.conversation \
         WHERE m.user_id = $2 AND m.left_seq = $4 AND o.user_id = $3 AND o.left_seq = $4 AND m.conversation <> $1) \
         ON CONFLICT DO NOTHING",
    );
    let insert = insert.bind(conversation.as_str()).bind(asked.as_str()).bind(stranger.as_str()).bind(OPEN);
    Ok(insert.execute(&mut **tx).await?.rows_affected() == 1)
}

/// Accepts a request, under a number of the partition's that was taken before; whether there was one.
pub(crate) async fn accept(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    user: &UserId,
    version: i64,
) -> Result<bool, sqlx::Error> {
    let update =
        sqlx::query("UPDATE requests SET accepted = $1 WHERE conversation = $2 AND user_id = $3 AND accepted = 0");
    let update = update.bind(version).bind(conversation.as_str()).bind(user.as_str());
    if update.execute(&mut **tx).await?.rows_affected() == 0 {
        return Ok(false);
    }
    // What was not shown until now has changed for the other one.
    let update = sqlx::query(
        "UPDATE marks SET held_version = CASE WHEN version = held_version THEN $1 ELSE 0 END, version = $1 \
         WHERE conversation = $2 AND user_id = $3",
    );
    update.bind(version).bind(conversation.as_str()).bind(user.as_str()).execute(&mut **tx).await?;
    Ok(true)
}

/// Whether a user is asked in a conversation and has not accepted.
pub(crate) async fn is_request(
    tx: &mut Tx<'_>,
    conversation: &ConversationId,
    user: &UserId,
) -> Result<bool, sqlx::Error> {
    let select = sqlx::query("SELECT COUNT(*) FROM requests WHERE conversation = $1 AND user_id = $2 AND accepted = 0");
    let row = select.bind(conversation.as_str()).bind(user.as_str()).fetch_one(&mut **tx).await?;
    Ok(row.try_get::<i64, _>(0)? > 0)
}

impl Store {
    /// What there is to tell once a request was accepted: the user's other devices that it is none any more, and
    /// the other one how far the user has come.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn accepted_notices(&self, accepted: &Accepted) -> Result<Vec<Notice>, StorageFault> {
        self.read_notices(accepted).await.map_err(database)
    }

    async fn read_notices(&self, accepted: &Accepted) -> Result<Vec<Notice>, sqlx::Error> {
        let Accepted { user, conversation } = accepted;
        let select = sqlx::query(
            "SELECT muted_until, pinned, archived FROM arrangements WHERE user_id = $1 AND conversation = $2",
        );
        let row = select.bind(user.as_str()).bind(conversation.as_str()).fetch_optional(&self.pool).await?;
        let number = |column| row.as_ref().map_or(Ok(0), |row| row.try_get::<i64, _>(column)).map(from_sql);
        let arrangement = Arrangement {
            muted_until: Some(number(0)?).filter(|until| *until > 0),
            pinned: number(1)? != 0,
            archived: number(2)? != 0,
            request: false,
        };
        let arranged = ArrangementView { conversation: conversation.clone(), arrangement };
        let mut notices = vec![Notice::Arrangement { user: user.clone(), arranged }];
        notices.extend(self.mark_notice(conversation, user).await?);
        Ok(notices)
    }

    /// Tells the members of a direct conversation how far one of them has come; `None`: nowhere.
    pub(crate) async fn mark_notice(
        &self,
        conversation: &ConversationId,
        user: &UserId,
    ) -> Result<Option<Notice>, sqlx::Error> {
        let select = statement(format!(
            "SELECT {TOLD_DELIVERED}, k.read_seq, {TOLD_READ} FROM marks k WHERE k.conversation = $1 AND k.user_id = $2"
        ));
        let row = select.bind(conversation.as_str()).bind(user.as_str()).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        let number = |column| row.try_get::<i64, _>(column).map(from_sql);
        let mark = StoredMark { user: user.clone(), delivered: number(0)?, read: number(1)?, shown: number(2)? };
        let select = sqlx::query(
            "SELECT m.conversation, m.user_id, COALESCE(s.read_receipts, 1) FROM members m \
             LEFT JOIN settings s ON s.user_id = m.user_id WHERE m.conversation = $1 AND m.left_seq = $2",
        );
        let rows = select.bind(conversation.as_str()).bind(OPEN).fetch_all(&self.pool).await?;
        let recipient = |row: &AnyRow| -> Result<Recipient, sqlx::Error> {
            Ok(Recipient { user: key_at(row)?.1, sees_read: row.try_get::<i64, _>(2)? != 0 })
        };
        let recipients = rows.iter().map(recipient).collect::<Result<_, _>>()?;
        Ok(Some(Notice::Marks(MarksChange { conversation: conversation.clone(), marks: vec![mark], recipients })))
    }

    /// Answers [`Withheld`]; of more than 1,000 others, of the first 1,000.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn withheld(&self, asked: &Withheld) -> Result<Vec<UserId>, StorageFault> {
        let talks: Vec<_> =
            asked.others.iter().take(OTHERS_MAX).map(|it| ConversationId::direct(&asked.user, it)).collect();
        let Some(last) = talks.last() else { return Ok(Vec::new()) };
        // Few different statements stay prepared; the last one is repeated.
        let count = talks.len().next_power_of_two();
        let mut select = statement(withheld_text(count)).bind(asked.user.as_str());
        for index in 0..count {
            select = select.bind(talks.get(index).unwrap_or(last).as_str());
        }
        let rows = select.fetch_all(&self.pool).await.map_err(database)?;
        let user = |row: &AnyRow| {
            UserId::new(row.try_get::<&str, _>(0).map_err(database)?).map_err(|_| StorageFault::Database)
        };
        rows.iter().map(user).collect()
    }
}

pub(crate) fn withheld_text(talks: usize) -> String {
    format!(
        "SELECT q.user_id FROM requests q WHERE q.accepted = 0 AND q.user_id <> $1 AND q.conversation IN ({})",
        list(2, talks)
    )
}
