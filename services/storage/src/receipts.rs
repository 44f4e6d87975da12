//! Reading marks: what has changed, who has received and read an entry. And settings.

use natter_bus::storage_api::{Marks, Receipts, Settings, StorageFault};
use natter_ids::{Partition, Position, Seq, UserId};
use natter_protocol::{MarkPage, MarkView, MarksView, ReceiptPage, SettingsDraft, SettingsView, Strangers};
use sqlx::{Row, any::AnyRow};

use crate::{
    Store,
    marks::{TOLD_DELIVERED, TOLD_READ, key_at},
    reads::database,
    requests::SHOWN,
    sql::{OPEN, from_sql, statement, to_sql},
};

type Answer<T> = Result<T, StorageFault>;

/// Most marks in an answer, whatever is asked.
const PAGE_MAX: u32 = 1_000;

/// In small conversations the marks of everybody who is a member now, as far as they are shown; in large
/// ones the user's own, by its key.
pub(crate) fn changed_text() -> String {
    format!(
        "SELECT k.conversation, k.user_id, CASE WHEN k.user_id = $1 THEN k.delivered ELSE {TOLD_DELIVERED} END, \
     k.read_seq, {TOLD_READ}, \
     CASE WHEN k.version = k.hidden_version AND k.user_id <> $1 THEN k.shown_version ELSE k.version END AS told \
     FROM members m JOIN conversations c ON c.id = m.conversation JOIN marks k ON k.conversation = m.conversation \
     WHERE m.user_id = $1 AND m.left_seq = $2 AND c.part = $3 AND c.members <= $5 AND k.version > $4 \
     AND (k.user_id = $1 OR k.version <> k.hidden_version OR k.shown_version > $4) \
     AND EXISTS (SELECT 1 FROM members o WHERE o.conversation = k.conversation AND o.user_id = k.user_id \
     AND o.left_seq = $2) \
     UNION ALL SELECT k.conversation, k.user_id, k.delivered, k.read_seq, k.shown_seq, k.version AS told \
     FROM members m JOIN conversations c ON c.id = m.conversation \
     JOIN marks k ON k.conversation = m.conversation AND k.user_id = m.user_id \
     WHERE m.user_id = $1 AND m.left_seq = $2 AND c.part = $3 AND c.members > $5 AND k.version > $4 \
     ORDER BY told LIMIT $6"
    )
}

/// The other members now, `m`, who may see an entry, with their marks: everybody where the past is shown, `$5`, and
/// otherwise those who were members when it was said.
fn readers(columns: &str, rest: &str) -> String {
    format!(
        "SELECT {columns} FROM members m \
     LEFT JOIN marks k ON k.conversation = m.conversation AND k.user_id = m.user_id AND {SHOWN} \
     WHERE m.conversation = $1 AND m.left_seq = $2 AND m.user_id <> $3 AND ($5 = 1 OR m.joined_seq <= $4 \
     OR EXISTS (SELECT 1 FROM members s WHERE s.conversation = m.conversation AND s.user_id = m.user_id \
     AND s.joined_seq <= $4 AND s.left_seq >= $4)){rest}"
    )
}

pub(crate) fn counts_text() -> String {
    let columns = format!(
        "COUNT(*), COUNT(CASE WHEN {TOLD_DELIVERED} >= $4 THEN 1 END), COUNT(CASE WHEN {TOLD_READ} >= $4 THEN 1 END)"
    );
    readers(&columns, "")
}

pub(crate) fn receipts_text() -> String {
    let columns = format!("m.user_id, COALESCE({TOLD_DELIVERED}, 0), COALESCE({TOLD_READ}, 0)");
    readers(&columns, " AND m.user_id > $6 ORDER BY m.user_id LIMIT $7")
}

impl Store {
    /// Up to which number marks have changed in every partition.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub(crate) async fn mark_versions(&self) -> Answer<Position> {
        let rows = sqlx::query("SELECT part, version FROM mark_versions").fetch_all(&self.pool).await;
        let mut position = Position::start(self.partitions);
        for row in rows.map_err(database)? {
            let part: i64 = row.try_get(0).map_err(database)?;
            let partition = Partition(u16::try_from(part).unwrap_or(u16::MAX));
            position.advance(partition, from_sql(row.try_get(1).map_err(database)?));
        }
        Ok(position)
    }

    /// Answers [`Marks`], for conversations of up to `members_max` members; of larger ones only the
    /// user's own.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn marks(&self, asked: &Marks, members_max: u32) -> Answer<MarkPage> {
        // Read first: what is stored meanwhile may come twice, and never is missed.
        let upto = self.mark_versions().await?;
        let Some(since) = &asked.since else {
            return Ok(MarkPage { conversations: Vec::new(), position: upto, more: false });
        };
        let sees_read = self.settings_of(&asked.user).await?.read_receipts;
        let mut left = asked.limit.clamp(1, PAGE_MAX) as usize;
        let mut page = MarkPage { conversations: Vec::new(), position: Position::start(self.partitions), more: false };
        for partition in Partition::all(self.partitions) {
            let (after, reached) = (since.get(partition), upto.get(partition));
            // Numbers that are not given yet are from before a restore: everything may have changed.
            let after = if after > reached { 0 } else { after };
            page.position.advance(partition, if page.more { after } else { reached });
            if after == reached || page.more {
                continue;
            }
            let rows = self.changed(asked, partition, after, left + 1, members_max).await.map_err(database)?;
            page.more = rows.len() > left;
            for row in rows.iter().take(left) {
                let mark = row_view(row, &asked.user, sees_read).map_err(database)?;
                put(&mut page.conversations, mark);
            }
            if page.more {
                let last = rows.get(left.saturating_sub(1)).map(|row| row.try_get::<i64, _>(5)).transpose();
                let last = last.map_err(database)?.map_or(after, from_sql);
                let mut seqs: Box<[Seq]> = page.position.seqs().into();
                if let Some(seq) = seqs.get_mut(partition.index()) {
                    *seq = if left == 0 { after } else { last };
                }
                page.position = Position::from_seqs(seqs);
            }
            left = left.saturating_sub(rows.len());
        }
        Ok(page)
    }

    async fn changed(
        &self,
        asked: &Marks,
        partition: Partition,
        after: Seq,
        limit: usize,
        members_max: u32,
    ) -> Result<Vec<AnyRow>, sqlx::Error> {
        let select = statement(changed_text()).bind(asked.user.as_str()).bind(OPEN).bind(i64::from(partition.0));
        let select = select.bind(to_sql(after)).bind(i64::from(members_max));
        select.bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(&self.pool).await
    }

    /// Answers [`Receipts`].
    ///
    /// # Errors
    /// [`StorageFault::NotAMember`] when the user is no member now; [`StorageFault::Database`].
    pub async fn receipts(&self, asked: &Receipts) -> Answer<ReceiptPage> {
        let (conversation, user) = (asked.conversation.as_str(), asked.user.as_str());
        self.role(&asked.conversation, &asked.user).await?.ok_or(StorageFault::NotAMember)?;
        // Who has come later and does not see it, waits for nobody to read it.
        let all = asked.conversation.is_direct() || self.shows_past(&asked.conversation).await?;
        let sees_read = self.settings_of(&asked.user).await?.read_receipts;
        // Everybody is counted once, not with every page.
        let [members, delivered, read] = match &asked.after {
            None => self.count_receipts(asked, all).await.map_err(database)?,
            Some(_) => [0; 3],
        };
        let (limit, after) = (asked.limit.clamp(1, PAGE_MAX), asked.after.as_ref().map_or("", UserId::as_str));
        let select = statement(receipts_text()).bind(conversation).bind(OPEN).bind(user).bind(to_sql(asked.seq));
        let rows = select
            .bind(i64::from(all))
            .bind(after)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(database)?;
        let view = |row: &AnyRow| -> Answer<MarkView> {
            let number = |column: usize| row.try_get::<i64, _>(column).map(from_sql).map_err(database);
            let name: &str = row.try_get(0).map_err(database)?;
            let user = UserId::new(name).map_err(|_| StorageFault::Database)?;
            Ok(MarkView { user, delivered: number(1)?, read: if sees_read { number(2)? } else { 0 } })
        };
        Ok(ReceiptPage {
            conversation: asked.conversation.clone(),
            seq: asked.seq,
            members,
            delivered,
            read: if sees_read { read } else { 0 },
            marks: rows.iter().take(limit as usize).map(view).collect::<Answer<_>>()?,
            more: rows.len() > limit as usize,
        })
    }

    /// How many others there are who may see the entry, and how many of them have received and read the entry.
    async fn count_receipts(&self, asked: &Receipts, all: bool) -> Result<[u32; 3], sqlx::Error> {
        let counts = statement(counts_text()).bind(asked.conversation.as_str()).bind(OPEN).bind(asked.user.as_str());
        let row = counts.bind(to_sql(asked.seq)).bind(i64::from(all)).fetch_one(&self.pool).await?;
        let count = |column: usize| row.try_get::<i64, _>(column).map(|count| u32::try_from(count).unwrap_or(0));
        Ok([count(0)?, count(1)?, count(2)?])
    }

    /// Answers [`Settings`]; whether anything has changed too.
    ///
    /// # Errors
    /// [`StorageFault::Database`].
    pub async fn settings(&self, asked: &Settings) -> Answer<(SettingsView, bool)> {
        let before = self.settings_of(&asked.user).await?;
        let SettingsDraft { read_receipts, strangers } = asked.draft;
        if read_receipts.is_none() && strangers.is_none() {
            return Ok((before, false));
        }
        let after = SettingsView {
            read_receipts: read_receipts.unwrap_or(before.read_receipts),
            strangers: strangers.unwrap_or(before.strangers),
        };
        // Two devices may change different things at once: what is not said stays as it is then.
        let upsert = sqlx::query(
            "INSERT INTO settings (user_id, read_receipts, strangers) VALUES ($1, $2, $3) \
             ON CONFLICT (user_id) DO UPDATE SET \
             read_receipts = CASE WHEN $4 = 1 THEN excluded.read_receipts ELSE settings.read_receipts END, \
             strangers = CASE WHEN $5 = 1 THEN excluded.strangers ELSE settings.strangers END",
        );
        let upsert = upsert.bind(asked.user.as_str()).bind(i64::from(after.read_receipts));
        let upsert = upsert.bind(i64::from(after.strangers == Strangers::Request));
        let upsert = upsert.bind(i64::from(read_receipts.is_some())).bind(i64::from(strangers.is_some()));
        upsert.execute(&self.writing).await.map_err(database)?;
        let changed = after != before;
        Ok((after, changed))
    }

    pub(crate) async fn settings_of(&self, user: &UserId) -> Answer<SettingsView> {
        let select = sqlx::query("SELECT read_receipts, strangers FROM settings WHERE user_id = $1");
        let row = select.bind(user.as_str()).fetch_optional(&self.pool).await.map_err(database)?;
        let number =
            |column, absent| row.as_ref().map_or(Ok(absent), |row| row.try_get::<i64, _>(column)).map_err(database);
        let strangers = if number(1, 0)? == 1 { Strangers::Request } else { Strangers::Allow };
        Ok(SettingsView { read_receipts: number(0, 1)? != 0, strangers })
    }
}

fn row_view(row: &AnyRow, asking: &UserId, sees_read: bool) -> Result<MarksView, sqlx::Error> {
    let (conversation, user) = key_at(row)?;
    let number = |column| row.try_get::<i64, _>(column).map(from_sql);
    let mark = natter_bus::StoredMark { user, delivered: number(2)?, read: number(3)?, shown: number(4)? };
    Ok(MarksView { conversation, marks: vec![mark.view(asking, sees_read)] })
}

/// Adds a mark to those of its conversation.
fn put(all: &mut Vec<MarksView>, mark: MarksView) {
    match all.iter_mut().find(|view| view.conversation == mark.conversation) {
        Some(view) => view.marks.extend(mark.marks),
        None => all.push(mark),
    }
}
