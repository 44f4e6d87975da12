//! What a replay says at its end.

use std::{collections::BTreeMap, fmt, time::Duration};

use natter_checker::{Kind, Violation};

use super::speakers::Tally;

/// So many violations and refused lines are spelt out.
const SPELT_OUT: usize = 20;

/// The result of a replay.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Lines that the log has.
    pub lines: usize,
    /// Lines accepted.
    pub said: usize,
    pub speakers: usize,
    pub gateways: usize,
    pub tally: Tally,
    /// Lines said, times the speakers who were away.
    pub missed: u64,
    /// Members whose reading of history was compared.
    pub compared: usize,
    /// From the first line to the last.
    pub saying: Duration,
    /// Everything but the check.
    pub total: Duration,
    /// Lines of the log that have no known form.
    pub unreadable: Vec<usize>,
    /// Lines refused, by number.
    pub refused: Vec<(usize, String)>,
    /// What ended the replay before its time.
    pub broken: Option<String>,
    pub violations: Vec<Violation>,
}

impl Report {
    /// Whether every device holds what was said, in one order, nothing twice.
    pub fn is_good(&self) -> bool {
        let Tally { repeats, holes, .. } = self.tally;
        self.broken.is_none()
            && self.violations.is_empty()
            && self.refused.is_empty()
            && self.said == self.lines
            && (repeats, holes) == (0, 0)
    }
}

fn rate(count: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1000) / millis
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, said, speakers, gateways, tally, missed, compared, saying, total, .. } = self;
        let reconnects = tally.sessions.saturating_sub(tally.connects);
        let lines_rate = rate(*said as u64, *saying);
        writeln!(f, "said        {said} of {lines} lines in {:.1} s, {lines_rate}/s", saying.as_secs_f64())?;
        writeln!(f, "speakers    {speakers}, over {gateways} gateway(s)")?;
        writeln!(f, "connects    {}, and {reconnects} after lost connections", tally.connects)?;
        writeln!(f, "missed      {missed} while away; {} received by catching up", tally.caught_up)?;
        let delivery_rate = rate(tally.received, *total);
        writeln!(f, "delivered   {} in {:.1} s, {delivery_rate}/s", tally.received, total.as_secs_f64())?;
        writeln!(f, "history     equal for {compared} member(s)")?;
        if !self.unreadable.is_empty() {
            writeln!(f, "unreadable  {} line(s) of the log, first line {}", self.unreadable.len(), self.unreadable[0])?;
        }
        self.faults(f)?;
        write!(f, "{}", if self.is_good() { "good: one transcript, everywhere" } else { "BAD" })
    }
}

impl Report {
    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.broken {
            writeln!(f, "broken off  {reason}")?;
        }
        if !self.refused.is_empty() {
            writeln!(f, "refused     {} line(s)", self.refused.len())?;
        }
        for (line, reason) in self.refused.iter().take(SPELT_OUT) {
            writeln!(f, "  line {line}: {reason}")?;
        }
        let Tally { repeats, holes, .. } = self.tally;
        if (repeats, holes) != (0, 0) {
            writeln!(
                f,
                "pushed      {repeats} entries twice, {holes} with a hole before them; the clients put it right"
            )?;
        }
        let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
        self.violations.iter().for_each(|violation| *kinds.entry(violation.kind()).or_default() += 1);
        let counts: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        writeln!(f, "violations  {counts}")?;
        for violation in self.violations.iter().take(SPELT_OUT) {
            writeln!(f, "  {violation}")?;
        }
        match self.violations.len().saturating_sub(SPELT_OUT) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_clean_replay_is_good() {
        let good = || Report { lines: 3, said: 3, ..Report::default() };
        assert!(good().is_good());
        assert!(good().to_string().contains("violations  none"));
        assert!(!Report { said: 2, ..good() }.is_good());
        assert!(!Report { broken: Some("x".to_owned()), ..good() }.is_good());
        assert!(!Report { refused: vec![(1, "too_large".to_owned())], ..good() }.is_good());
        assert!(!Report { tally: Tally { holes: 1, ..Tally::default() }, ..good() }.is_good());
        assert!(!Report { tally: Tally { repeats: 1, ..Tally::default() }, ..good() }.is_good());
    }

    #[test]
    fn rates_survive_an_instant() {
        assert_eq!(rate(500, Duration::ZERO), 500_000);
        assert_eq!(rate(500, Duration::from_secs(5)), 100);
    }
}
