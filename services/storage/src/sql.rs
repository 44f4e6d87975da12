//! Small pieces that statements are made of.

use natter_ids::Seq;

/// The number of a span of membership that has not ended.
pub(crate) const OPEN: i64 = i64::MAX;

/// Most rows in one statement: SQLite takes 32,766 values, PostgreSQL 65,535.
pub(crate) const ROWS: usize = 1_000;

pub(crate) fn to_sql(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

pub(crate) fn from_sql(seq: i64) -> Seq {
    Seq::try_from(seq).unwrap_or(0)
}

/// `($1,$2),($3,$4)`: placeholders for `rows` rows of `columns` values.
pub(crate) fn rows(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let values: Vec<_> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", values.join(","))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(",")
}

/// `$1,$2,$3`: placeholders for a list.
pub(crate) fn list(values: usize) -> String {
    (1..=values).map(|value| format!("${value}")).collect::<Vec<_>>().join(",")
}
