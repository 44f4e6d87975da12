//! The table: what was measured, beside the floor and the bars.

use std::fmt::Write;

use super::measured::Samples;

/// What a row has to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// At least this share of the floor.
    ShareOfFloor(f64),
    /// At most this many times the floor.
    TimesFloor(f64),
    /// At most this value.
    AtMost(f64),
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// In what.
    pub unit: &'static str,
    /// Of Natter.
    pub value: Samples,
    /// Of the floor, when it has such a quantity.
    pub floor: Option<Samples>,
    /// What it has to reach.
    pub bar: Option<Bar>,
}

impl Row {
    /// A line without floor and bar.
    pub fn new(what: impl Into<String>, unit: &'static str, value: Samples) -> Self {
        Self { what: what.into(), unit, value, floor: None, bar: None }
    }

    /// Adds the floor.
    #[must_use]
    pub fn floor(mut self, floor: Samples) -> Self {
        self.floor = Some(floor);
        self
    }

    /// Adds what has to be reached.
    #[must_use]
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    /// How the medians compare.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.value.median()? / self.floor.as_ref()?.median()?)
    }

    /// Whether the bar is reached; `None` without one, or without a measurement.
    pub fn reached(&self) -> Option<bool> {
        match self.bar? {
            Bar::ShareOfFloor(share) => Some(self.ratio()? >= share),
            Bar::TimesFloor(times) => Some(self.ratio()? <= times),
            Bar::AtMost(most) => Some(self.value.median()? <= most),
        }
    }

    fn cells(&self) -> [String; 5] {
        let with_unit = |samples: &Samples| format!("{} {}", spread(samples), self.unit);
        let bar = self.bar.map(|bar| match bar {
            Bar::ShareOfFloor(share) => format!("≥ {share} × floor"),
            Bar::TimesFloor(times) => format!("≤ {times} × floor"),
            Bar::AtMost(most) => format!("≤ {most} {}", self.unit),
        });
        let reached = match self.reached() {
            Some(true) => ": reached",
            Some(false) => ": **missed**",
            None => "",
        };
        [
            self.what.clone(),
            with_unit(&self.value),
            self.floor.as_ref().map(with_unit).unwrap_or_default(),
            self.ratio().map(number).unwrap_or_default(),
            bar.map(|bar| bar + reached).unwrap_or_default(),
        ]
    }
}

/// The median, and the range when there are several measurements.
fn spread(samples: &Samples) -> String {
    let (Some(median), Some((smallest, largest))) = (samples.median(), samples.range()) else {
        return "–".to_owned();
    };
    let median = number(median);
    let (smallest, largest) = (number(smallest), number(largest));
    if smallest == largest { median } else { format!("{median} ({smallest} to {largest})") }
}

/// Three digits that matter; thousands are grouped.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => grouped(value),
        size if size >= 99.5 => format!("{value:.0}"),
        size if size >= 9.95 => format!("{value:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len() - index;
        if index > 0 && left % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The rows as a Markdown table that also reads well in a terminal.
pub fn table(rows: &[Row]) -> String {
    let head = ["what", "Natter", "floor", "ratio", "bar"].map(str::to_owned);
    let cells: Vec<_> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..5).map(width).collect();
    let mut text = String::new();
    for (index, row) in cells.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if index == 0 {
            widths.iter().for_each(|width| text.push_str(&format!("|{}", "-".repeat(width + 2))));
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        values.iter().copied().collect()
    }

    #[test]
    fn bars_compare_medians() {
        let row = |value, floor, bar| Row::new("x", "/s", samples(&[value])).floor(samples(floor)).bar(bar);
        assert_eq!(row(20.0, &[100.0, 90.0, 900.0], Bar::ShareOfFloor(0.15)).reached(), Some(true));
        assert_eq!(row(14.0, &[100.0], Bar::ShareOfFloor(0.15)).reached(), Some(false));
        assert_eq!(row(9.0, &[1.0], Bar::TimesFloor(10.0)).reached(), Some(true));
        assert_eq!(row(11.0, &[1.0], Bar::TimesFloor(10.0)).reached(), Some(false));
        assert_eq!(Row::new("x", "KiB", samples(&[16.1])).bar(Bar::AtMost(16.0)).reached(), Some(false));
        assert_eq!(Row::new("x", "KiB", samples(&[1.0])).reached(), None);
        assert_eq!(
            Row::new("x", "/s", samples(&[])).floor(samples(&[1.0])).bar(Bar::ShareOfFloor(0.1)).reached(),
            None
        );
    }

    #[test]
    fn numbers_keep_three_digits() {
        let written = [0.0, 0.01234, 0.5, 12.34, 123.4, 1_234.5, 1_234_567.0].map(number);
        assert_eq!(written, ["0.00", "0.0123", "0.50", "12.3", "123", "1,234", "1,234,567"]);
    }

    #[test]
    fn the_table_is_markdown() {
        let rows = [Row::new("speed", "/s", samples(&[2_000.0, 1_000.0]))
            .floor(samples(&[10_000.0]))
            .bar(Bar::ShareOfFloor(0.2))];
        let table = table(&rows);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], "| speed | 1,500 (1,000 to 2,000) /s | 10,000 /s | 0.15  | ≥ 0.2 × floor: **missed** |");
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()), "{table}");
    }
}
