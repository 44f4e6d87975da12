//! Small pieces that statements are made of.

use natter_ids::Seq;
use sqlx::{AnyConnection, AssertSqlSafe, Database, Sqlite, query::Query};

/// The number of a span of membership that has not ended.
pub(crate) const OPEN: i64 = i64::MAX;

/// Most rows in one statement: SQLite takes 32,766 values, PostgreSQL 65,535.
const ROWS_MAX: usize = 512;

/// A statement put together from fixed texts and placeholders; values are only ever bound.
pub(crate) fn statement<'q>(text: String) -> Query<'q, sqlx::Any, sqlx::any::AnyArguments> {
    sqlx::query(AssertSqlSafe(text))
}

pub(crate) fn to_sql(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

pub(crate) fn from_sql(seq: i64) -> Seq {
    Seq::try_from(seq).unwrap_or(0)
}

/// Cuts a list into pieces whose lengths are powers of two, so that few different statements
/// exist and each stays prepared.
pub(crate) fn pieces<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = 1_usize << items.len().checked_ilog2()?;
        let (piece, rest) = items.split_at(length.min(ROWS_MAX));
        items = rest;
        Some(piece)
    })
}

/// `($1,$2),($3,$4)`: placeholders for `rows` rows of `columns` values. On SQLite they are
/// `(?,?),(?,?)`: there a number is a name, and binding a value looks through all names before it.
pub(crate) fn rows(connection: &AnyConnection, rows: usize, columns: usize) -> String {
    rows_from(connection.backend_name() == Sqlite::NAME, 1, rows, columns)
}

/// A placeholder for one value, and those for rows that come after it.
pub(crate) fn rows_after(in_order: bool, rows: usize, columns: usize) -> (&'static str, String) {
    (if in_order { "?" } else { "$1" }, rows_from(in_order, 2, rows, columns))
}

fn rows_from(in_order: bool, first: usize, rows: usize, columns: usize) -> String {
    let row = |row: usize| match in_order {
        true => format!("({})", vec!["?"; columns].join(",")),
        false => format!("({})", list(row * columns + first, columns)),
    };
    (0..rows).map(row).collect::<Vec<_>>().join(",")
}

/// `$1,$2,$3`: placeholders for `count` values from the one numbered `first`.
pub(crate) fn list(first: usize, count: usize) -> String {
    (first..first + count).map(|value| format!("${value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_powers_of_two_and_nothing_is_lost() {
        let items: Vec<_> = (0..1_500).collect();
        for length in [0, 1, 7, 512, 1_500] {
            let cut: Vec<_> = pieces(&items[..length]).collect();
            assert!(cut.iter().all(|piece| piece.len().is_power_of_two() && piece.len() <= ROWS_MAX), "{length}");
            assert_eq!(cut.concat(), items[..length], "{length}");
        }
    }

    #[test]
    fn placeholders_are_numbered_through() {
        assert_eq!(list(4, 2), "$4,$5");
        assert_eq!(rows_after(false, 2, 2), ("$1", "($2,$3),($4,$5)".to_owned()));
        assert_eq!(rows_after(true, 2, 1), ("?", "(?),(?)".to_owned()));
    }
}
