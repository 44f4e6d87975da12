//! What came of a run, as a table.

use std::fmt::Write;

use super::{Numbers, Outcome};

/// All runs of one scenario.
#[derive(Default)]
struct Row<'a> {
    hypothesis: &'a str,
    faults: usize,
    runs: u32,
    held: Vec<&'a Numbers>,
}

/// A Markdown table of the outcomes, one row for all runs of a scenario, with sums over them;
/// bounds are those of the scenarios known by name.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for Outcome { name, .. } in outcomes {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut text = String::from(
        "| scenario | must hold | faults | messages | receipts | lost sessions | slowest recovery / bound | held |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for name in names {
        let mut row = Row::default();
        for Outcome { hypothesis, faults, result, .. } in outcomes.iter().filter(|outcome| outcome.name == name) {
            row.hypothesis = hypothesis;
            row.faults += faults;
            row.runs += 1;
            row.held.extend(result);
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", line(name, &row));
    }
    text
}

fn line(name: &str, Row { hypothesis, faults, runs, held }: &Row) -> String {
    let bound = super::scenario(name).map_or_else(String::new, |found| format!(" / {} s", found.bound.as_secs()));
    let messages: u64 = held.iter().map(|numbers| numbers.messages).sum();
    let receipts: usize = held.iter().map(|numbers| numbers.receipts).sum();
    let disconnects: u64 = held.iter().map(|numbers| numbers.disconnects).sum();
    let recovery = held.iter().map(|numbers| numbers.recovery).max().unwrap_or_default().as_secs_f64();
    let verdict = if held.len() == *runs as usize {
        format!("{runs} of {runs}")
    } else {
        format!("**{} of {runs}**", held.len())
    };
    format!(
        "| {name} | {hypothesis} | {faults} | {messages} | {receipts} | {disconnects} | {recovery:.1} s{bound} | {verdict} |"
    )
}
