//! What came of a run, as a table.

use std::fmt::Write;

use super::Outcome;

/// A Markdown table of the outcomes; `bounds` are those of the scenarios known by name.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| scenario | must hold | faults | messages | receipts | lost sessions | slowest recovery / bound | result |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for Outcome { name, hypothesis, faults, result, .. } in outcomes {
        let bound = super::scenario(name).map_or_else(String::new, |found| format!(" / {} s", found.bound.as_secs()));
        let row = match result {
            Ok(numbers) => format!(
                "{} | {} | {} | {:.1} s{bound} | held",
                numbers.messages,
                numbers.receipts,
                numbers.disconnects,
                numbers.recovery.as_secs_f64()
            ),
            Err(_) => "| | | | **FAILED**".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {name} | {hypothesis} | {faults} | {row} |");
    }
    text
}
