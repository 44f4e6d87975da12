//! Storing marks: many in one transaction, each the larger of what is stored and what is said.

use std::collections::{BTreeMap, HashMap};

use natter_bus::{MarksChange, Recipient, StoredMark, storage_api::UserMark};
use natter_ids::{ConversationId, Partition, Seq, UserId};
use natter_protocol::MarkedView;
use sqlx::{AnyConnection, Connection, Row, any::AnyRow};

use crate::{
    Store,
    apply::Tx,
    sql::{OPEN, from_sql, list, pieces, rows, statement, to_sql},
};

type Key<'a> = (&'a ConversationId, &'a UserId);

/// The number of the newest change of a mark, `k`, that others are shown. The release before moves
/// `version` alone: that is shown.
pub(crate) const SHOWN_VERSION: &str = "CASE WHEN k.version = k.hidden_version THEN k.shown_version ELSE k.version END";

/// What others are told of a mark, `k`: of what a device has, and of what the member has read.
pub(crate) const TOLD_DELIVERED: &str =
    "CASE WHEN k.version = k.held_version THEN k.held_delivered ELSE k.delivered END";
/// See [`TOLD_DELIVERED`].
pub(crate) const TOLD_READ: &str = "CASE WHEN k.version = k.held_version THEN k.held_read ELSE k.shown_seq END";

/// What a batch of marks came to.
#[derive(Debug, Default)]
pub struct WrittenMarks {
    /// What is stored for each mark of the batch, in its order; `None`: no member.
    pub stored: Vec<Option<MarkedView>>,
    /// What has risen, and who is to be told.
    pub changes: Vec<MarksChange>,
}

/// What is stored for a member, and what bounds it.
#[derive(Debug, Clone, Copy)]
struct Known {
    last_seq: Seq,
    delivered: Seq,
    read: Seq,
    shown: Seq,
    /// Whether others are shown what the member reads.
    shows: bool,
    members: u32,
    /// The number of the newest change that others are shown.
    shown_version: i64,
    /// Whether something has risen that others are shown.
    tells: bool,
    /// Whether nobody else is shown anything: the member has not accepted the conversation.
    hidden: bool,
    /// What others have been told: of what a device has, and of what is read.
    told: (Seq, Seq),
    /// Whether it stays at that: the member blocks the other one.
    held: bool,
}

impl Known {
    /// Takes a mark in; whether anything rises.
    fn rise(&mut self, Wanted { delivered, read, held }: Wanted) -> bool {
        let before = (self.delivered, self.read);
        let (delivered, read) = (delivered.max(read).min(self.last_seq), read.min(self.last_seq));
        self.delivered = self.delivered.max(delivered);
        if read > self.read {
            self.read = read;
            self.shown = if self.shows { read } else { self.shown };
        }
        self.held = held;
        self.tells = !self.hidden && !held && self.told != (self.delivered, self.shown);
        self.tells || before != (self.delivered, self.read)
    }
}

/// What is said of a mark.
#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    delivered: Seq,
    read: Seq,
    /// As said last: whether others are not told.
    held: bool,
}

impl Store {
    /// Stores marks of conversations of one partition. Whoever is to be told is so for
    /// conversations of up to `members_max` members; of larger ones, and of what others are not shown,
    /// only the user's own devices.
    ///
    /// # Errors
    /// The database cannot be used; nothing is stored then.
    pub async fn write_marks(
        &self,
        partition: Partition,
        marks: &[UserMark],
        members_max: u32,
    ) -> Result<WrittenMarks, sqlx::Error> {
        let mut wanted: BTreeMap<Key<'_>, Wanted> = BTreeMap::new();
        for UserMark { user, conversation, mark, held } in marks {
            let wanted = wanted.entry((conversation, user)).or_default();
            wanted.delivered = mark.delivered.unwrap_or(0).max(wanted.delivered);
            wanted.read = mark.read.unwrap_or(0).max(wanted.read);
            wanted.held = *held;
        }
        if wanted.is_empty() {
            return Ok(WrittenMarks::default());
        }
        let mut connection = self.writing.acquire().await?;
        let written = self.write_on(&mut connection, partition, &wanted).await;
        if written.is_err() {
            // See `Store::apply`: a transaction may have ended without sqlx knowing.
            connection.close_on_drop();
        }
        let (known, risen) = written?;
        drop(connection);
        let view = |mark: &UserMark| {
            let known = known.get(&(&mark.conversation, &mark.user))?;
            let conversation = mark.conversation.clone();
            Some(MarkedView { conversation, delivered: known.delivered, read: known.read })
        };
        let stored = marks.iter().map(view).collect();
        // What is stored is stored: whoever cannot be told now asks later.
        let changes = self.changes(&known, &risen, members_max).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "nobody can be told of marks now");
            Vec::new()
        });
        Ok(WrittenMarks { stored, changes })
    }

    async fn write_on<'a>(
        &self,
        connection: &mut AnyConnection,
        partition: Partition,
        wanted: &BTreeMap<Key<'a>, Wanted>,
    ) -> Result<(HashMap<Key<'a>, Known>, Vec<Key<'a>>), sqlx::Error> {
        let mut tx = connection.begin_with(self.begin_statement()).await?;
        // First the lock: from here on nobody else changes marks of this partition.
        let last = take_versions(&mut tx, partition, wanted.len()).await?;
        let mut known = read_known(&mut tx, wanted).await?;
        let mut risen = Vec::new();
        for (key, wanted) in wanted {
            if known.get_mut(key).is_some_and(|known| known.rise(*wanted)) {
                risen.push(*key);
            }
        }
        if risen.is_empty() {
            tx.rollback().await?;
        } else {
            save(&mut tx, &known, &risen, last).await?;
            tx.commit().await?;
        }
        Ok((known, risen))
    }

    /// Who is to be told what.
    async fn changes(
        &self,
        known: &HashMap<Key<'_>, Known>,
        risen: &[Key<'_>],
        members_max: u32,
    ) -> Result<Vec<MarksChange>, sqlx::Error> {
        let mut changes: BTreeMap<&ConversationId, MarksChange> = BTreeMap::new();
        let mut alone = Vec::new();
        for (conversation, user) in risen {
            let Some(Known { delivered, read, shown, shows, members, tells, .. }) =
                known.get(&(*conversation, *user)).copied()
            else {
                continue;
            };
            let none =
                || MarksChange { conversation: (*conversation).clone(), marks: Vec::new(), recipients: Vec::new() };
            let mark = StoredMark { user: (*user).clone(), delivered, read, shown };
            if tells && members <= members_max {
                changes.entry(conversation).or_insert_with(none).marks.push(mark);
            } else {
                let own = Recipient { user: (*user).clone(), sees_read: shows };
                alone.push(MarksChange { marks: vec![mark], recipients: vec![own], ..none() });
            }
        }
        let small: Vec<_> = changes.keys().copied().collect();
        for piece in pieces(&small) {
            let mut select = statement(format!(
                "SELECT m.conversation, m.user_id, COALESCE(s.read_receipts, 1) FROM members m \
                 LEFT JOIN settings s ON s.user_id = m.user_id WHERE m.left_seq = $1 AND m.conversation IN ({})",
                list(2, piece.len())
            ));
            select = select.bind(OPEN);
            for conversation in piece {
                select = select.bind(conversation.as_str());
            }
            for row in select.fetch_all(&self.pool).await? {
                let (conversation, user) = key_at(&row)?;
                let sees_read = row.try_get::<i64, _>(2)? != 0;
                if let Some(change) = changes.get_mut(&conversation) {
                    change.recipients.push(Recipient { user, sees_read });
                }
            }
        }
        Ok(changes.into_values().chain(alone).collect())
    }
}

/// Takes so many numbers for changes; returns the last one.
pub(crate) async fn take_versions(tx: &mut Tx<'_>, partition: Partition, count: usize) -> Result<i64, sqlx::Error> {
    let upsert = sqlx::query(
        "INSERT INTO mark_versions (part, version) VALUES ($1, $2) ON CONFLICT (part) DO UPDATE \
         SET version = mark_versions.version + excluded.version RETURNING version",
    );
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    upsert.bind(i64::from(partition.0)).bind(count).fetch_one(&mut **tx).await?.try_get(0)
}

async fn read_known<'a>(
    tx: &mut Tx<'_>,
    wanted: &BTreeMap<Key<'a>, Wanted>,
) -> Result<HashMap<Key<'a>, Known>, sqlx::Error> {
    let keys: Vec<_> = wanted.keys().copied().collect();
    let mut known = HashMap::new();
    for piece in pieces(&keys) {
        let mut select = statement(known_text(&rows(tx, piece.len(), 2)));
        for (conversation, user) in piece {
            select = select.bind(conversation.as_str()).bind(user.as_str());
        }
        for row in select.fetch_all(&mut **tx).await? {
            let (conversation, user) = key_at(&row)?;
            let Some(key) = keys.binary_search(&(&conversation, &user)).ok().and_then(|index| keys.get(index)) else {
                continue;
            };
            let number = |column| row.try_get::<i64, _>(column).map(from_sql);
            let found = Known {
                last_seq: number(2)?,
                delivered: number(3)?,
                read: number(4)?,
                shown: number(5)?,
                shows: number(6)? != 0,
                members: u32::try_from(number(7)?).unwrap_or(u32::MAX),
                shown_version: row.try_get(8)?,
                tells: false,
                hidden: number(9)? > 0,
                told: (number(10)?, number(11)?),
                held: false,
            };
            known.insert(*key, found);
        }
    }
    Ok(known)
}

pub(crate) fn known_text(keys: &str) -> String {
    format!(
        "SELECT m.conversation, m.user_id, c.last_seq, COALESCE(k.delivered, 0), COALESCE(k.read_seq, 0), \
         COALESCE(k.shown_seq, 0), COALESCE(s.read_receipts, 1), c.members, \
         COALESCE({SHOWN_VERSION}, 0), (SELECT COUNT(*) FROM requests q WHERE q.conversation = m.conversation \
         AND q.user_id = m.user_id AND q.accepted = 0), COALESCE({TOLD_DELIVERED}, 0), COALESCE({TOLD_READ}, 0) \
         FROM members m \
         JOIN conversations c ON c.id = m.conversation \
         LEFT JOIN marks k ON k.conversation = m.conversation AND k.user_id = m.user_id \
         LEFT JOIN settings s ON s.user_id = m.user_id \
         WHERE m.left_seq = {OPEN} AND (m.conversation, m.user_id) IN (VALUES {keys})"
    )
}

async fn save(
    tx: &mut Tx<'_>,
    known: &HashMap<Key<'_>, Known>,
    risen: &[Key<'_>],
    last: i64,
) -> Result<(), sqlx::Error> {
    // Each change has a number of its own, so that a page of changes ends between two of them.
    let mut version = last - i64::try_from(risen.len()).unwrap_or(0);
    for piece in pieces(risen) {
        let larger = |column: &str| {
            format!(
                "{column} = CASE WHEN excluded.{column} > marks.{column} THEN excluded.{column} ELSE marks.{column} END"
            )
        };
        let mut upsert = statement(format!(
            "INSERT INTO marks (conversation, user_id, delivered, read_seq, shown_seq, version, hidden_version, \
             shown_version, held_version, held_delivered, held_read) VALUES {} ON CONFLICT (conversation, user_id) DO UPDATE SET {}, {}, {}, \
             version = excluded.version, hidden_version = excluded.hidden_version, \
             shown_version = excluded.shown_version, held_version = excluded.held_version, \
             held_delivered = excluded.held_delivered, held_read = excluded.held_read",
            rows(tx, piece.len(), 11),
            larger("delivered"),
            larger("read_seq"),
            larger("shown_seq"),
        ));
        for key in piece {
            let Some(Known { delivered, read, shown, shown_version, tells, told, held, .. }) = known.get(key) else {
                continue;
            };
            version += 1;
            upsert = upsert.bind(key.0.as_str()).bind(key.1.as_str()).bind(to_sql(*delivered));
            upsert = upsert.bind(to_sql(*read)).bind(to_sql(*shown)).bind(version);
            let (hidden_version, shown_version) = if *tells { (0, 0) } else { (version, *shown_version) };
            upsert = upsert.bind(hidden_version).bind(shown_version);
            let (held_version, told) = if *held { (version, *told) } else { (0, (0, 0)) };
            upsert = upsert.bind(held_version).bind(to_sql(told.0)).bind(to_sql(told.1));
        }
        upsert.execute(&mut **tx).await?;
    }
    Ok(())
}

pub(crate) fn key_at(row: &AnyRow) -> Result<(ConversationId, UserId), sqlx::Error> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    let conversation = ConversationId::parse(row.try_get(0)?).map_err(|error| unreadable(error.into()))?;
    let user: &str = row.try_get(1)?;
    Ok((conversation, UserId::new(user).map_err(|error| unreadable(error.into()))?))
}
