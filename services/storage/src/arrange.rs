//! How users arrange their lists.

use natter_bus::storage_api::{Arrange, StorageFault};
use natter_ids::Partition;
use natter_protocol::Arrangement;
use sqlx::{AnyConnection, Connection, Row};

use crate::{
    Store,
    marks::take_versions,
    reads::database,
    requests::{accept, is_request},
    sql::{from_sql, to_sql},
};

impl Store {
    /// Answers [`Arrange`]; whether anything has changed too.
    ///
    /// # Errors
    /// [`StorageFault::NotAMember`] when the user is no member now; [`StorageFault::Database`].
    pub async fn arrange(&self, asked: &Arrange) -> Result<(Arrangement, bool), StorageFault> {
        self.role(&asked.conversation, &asked.user).await?.ok_or(StorageFault::NotAMember)?;
        let mut connection = self.writing.acquire().await.map_err(database)?;
        let arranged = self.arrange_on(&mut connection, asked).await;
        if arranged.is_err() {
            // See `Store::apply`: a transaction may have ended without sqlx knowing.
            connection.close_on_drop();
        }
        arranged.map_err(database)
    }

    async fn arrange_on(
        &self,
        connection: &mut AnyConnection,
        asked: &Arrange,
    ) -> Result<(Arrangement, bool), sqlx::Error> {
        let (user, conversation) = (asked.user.as_str(), asked.conversation.as_str());
        let mut tx = connection.begin_with(self.begin_statement()).await?;
        // First the lock: two devices may change different things at once.
        let version = take_versions(&mut tx, Partition::of(&asked.conversation, self.partitions), 1).await?;
        let select = sqlx::query(
            "SELECT muted_until, pinned, archived FROM arrangements WHERE user_id = $1 AND conversation = $2",
        );
        let row = select.bind(user).bind(conversation).fetch_optional(&mut *tx).await?;
        let number = |column| row.as_ref().map_or(Ok(0), |row| row.try_get::<i64, _>(column)).map(from_sql);
        let before = [number(0)?, number(1)?, number(2)?];
        let draft = &asked.draft;
        let was_request = is_request(&mut tx, &asked.conversation, &asked.user).await?;
        let accepts = was_request && draft.accepted == Some(true);
        let after = [
            draft.muted_until.unwrap_or(before[0]),
            draft.pinned.map_or(before[1], u64::from),
            draft.archived.map_or(before[2], u64::from),
        ];
        let arrangement = Arrangement {
            muted_until: (after[0] > 0).then_some(after[0]),
            pinned: after[1] != 0,
            archived: after[2] != 0,
            request: was_request && !accepts,
        };
        if before == after && !accepts {
            tx.rollback().await?;
            return Ok((arrangement, false));
        }
        if accepts {
            accept(&mut tx, &asked.conversation, &asked.user, version).await?;
        }
        let upsert = sqlx::query(
            "INSERT INTO arrangements (user_id, conversation, muted_until, pinned, archived, version) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id, conversation) DO UPDATE SET \
             muted_until = excluded.muted_until, pinned = excluded.pinned, archived = excluded.archived, \
             version = excluded.version",
        );
        let upsert = upsert.bind(user).bind(conversation).bind(to_sql(after[0])).bind(to_sql(after[1]));
        upsert.bind(to_sql(after[2])).bind(version).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok((arrangement, true))
    }
}
