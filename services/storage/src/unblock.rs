//! Lifting a block: what was not told while it held counts as changed from here on.

use natter_bus::{
    Notice,
    storage_api::{StorageFault, Unblocked},
};
use natter_ids::Partition;
use sqlx::{AnyConnection, Connection};

use crate::{Store, marks::take_versions, reads::database};

/// The numbers that it takes: for both marks, and for the list.
const CHANGES: usize = 3;

/// The user's own mark is told as it is, if it was held; not where it waits for the user to accept the conversation.
const OWN: &str = "UPDATE marks SET version = $1 WHERE conversation = $2 AND user_id = $3 AND version = held_version \
     AND NOT EXISTS (SELECT 1 FROM requests q WHERE q.conversation = $2 AND q.user_id = $3 AND q.accepted = 0)";

/// The other one's mark is told as far as they let it be.
const OTHER: &str = "UPDATE marks SET held_version = CASE WHEN version = held_version THEN $1 ELSE 0 END, \
     hidden_version = CASE WHEN version = hidden_version THEN $1 ELSE 0 END, \
     shown_version = CASE WHEN version = hidden_version THEN $1 ELSE 0 END, version = $1 \
     WHERE conversation = $2 AND user_id = $3 \
     AND NOT EXISTS (SELECT 1 FROM requests q WHERE q.conversation = $2 AND q.user_id = $3 AND q.accepted = 0)";

/// The conversation has changed in the user's list.
const LISTED: &str = "INSERT INTO arrangements (user_id, conversation, muted_until, pinned, archived, version) \
     SELECT $3, $2, 0, 0, 0, $1 FROM conversations c WHERE c.id = $2 ON CONFLICT (user_id, conversation) DO UPDATE SET version = excluded.version";

impl Store {
    /// Does what [`Unblocked`] asks for; returns what both are to be told.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn unblocked(&self, asked: &Unblocked) -> Result<Vec<Notice>, StorageFault> {
        let mut connection = self.writing.acquire().await.map_err(database)?;
        let told = self.unblock_on(&mut connection, asked).await;
        if told.is_err() {
            // See `Store::apply`: a transaction may have ended without sqlx knowing.
            connection.close_on_drop();
        }
        let was_held = told.map_err(database)?;
        drop(connection);
        let mut notices = Vec::new();
        // Where the user's own mark was told all along, there is nothing to say.
        for user in [&asked.other, &asked.user].into_iter().take(1 + usize::from(was_held)) {
            notices.extend(self.mark_notice(&asked.conversation, user).await.map_err(database)?);
        }
        Ok(notices)
    }

    /// Whether the user's own mark was held.
    async fn unblock_on(&self, connection: &mut AnyConnection, asked: &Unblocked) -> Result<bool, sqlx::Error> {
        let Unblocked { user, other, conversation } = asked;
        let mut tx = connection.begin_with(self.begin_statement()).await?;
        let mut version = take_versions(&mut tx, Partition::of(conversation, self.partitions), CHANGES).await?;
        let mut was_held = false;
        for (text, whose) in [(OWN, user), (OTHER, other), (LISTED, user)] {
            let change = sqlx::query(text).bind(version).bind(conversation.as_str()).bind(whose.as_str());
            let changed = change.execute(&mut *tx).await?.rows_affected();
            was_held |= text == OWN && changed > 0;
            version -= 1;
        }
        tx.commit().await?;
        Ok(was_held)
    }
}
