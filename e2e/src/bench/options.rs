//! What is measured, and how much of it.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures Natter end to end, beside the raw messaging floor of the same machine.
#[derive(Debug, Clone, Parser)]
#[command(name = "natter-bench")]
pub struct Options {
    /// Measures only these, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Measure>,
    /// About a minute with less of everything: shows that the bench works, not how fast Natter is.
    #[arg(long)]
    pub quick: bool,
    /// Writes the table to `docs/benchmarks.md`.
    #[arg(long)]
    pub write_docs: bool,
}

/// One group of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Messages per second at saturation.
    Throughput,
    /// From send to receipt at fixed rates.
    Latency,
    /// Many devices return with a backlog.
    Drain,
    /// Memory of idle connections.
    Idle,
    /// What a message to a large room costs.
    Rooms,
    /// How long a message to the largest room that there may be takes.
    LargestRoom,
    /// What sending traces and metrics costs.
    Tracing,
}

impl Options {
    /// Whether a group is to be measured.
    pub fn wants(&self, measure: Measure) -> bool {
        self.only.is_empty() || self.only.contains(&measure)
    }

    /// How much is measured.
    pub fn plan(&self) -> Plan {
        if self.quick { Plan::quick() } else { Plan::standard() }
    }
}

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often system and floor take turns; the floor has one turn more.
    pub rounds: usize,
    /// Connected users, in pairs.
    pub users: usize,
    /// Messages of one user that wait for `accepted` at saturation.
    pub in_flight: usize,
    /// How long a load runs before it is measured.
    pub warm_up: Duration,
    /// How long a load is measured.
    pub window: Duration,
    /// Messages per second at which latency is measured.
    pub rates: Vec<u32>,
    /// Members of the large room.
    pub room_members: usize,
    /// Members of the largest room that there may be.
    pub largest_room_members: usize,
    /// How many members of a room are online.
    pub room_online: usize,
    /// Messages that are said in it in one round.
    pub room_messages: usize,
    /// How often the two ways of sending take turns.
    pub room_rounds: usize,
    /// How often a deployment with a collector and one without take turns.
    pub tracing_rounds: usize,
    /// Messages per second meanwhile.
    pub tracing_rate: u32,
    /// Devices that return with a backlog.
    pub drain_devices: usize,
    /// Messages that each of them missed.
    pub drain_messages: usize,
    /// Idle connections.
    pub idle_connections: usize,
    /// How long connections are idle before memory is read; longer than a ping interval.
    pub idle_settle: Duration,
}

impl Plan {
    fn standard() -> Self {
        Self {
            rounds: 3,
            users: 1_000,
            in_flight: 4,
            warm_up: Duration::from_secs(3),
            window: Duration::from_secs(10),
            rates: vec![1_000, 5_000],
            room_members: 20_000,
            largest_room_members: 100_000,
            room_online: 2_000,
            room_messages: 25,
            room_rounds: 4,
            tracing_rounds: 9,
            tracing_rate: 4_000,
            drain_devices: 1_000,
            drain_messages: 100,
            idle_connections: 10_000,
            idle_settle: Duration::from_secs(35),
        }
    }

    fn quick() -> Self {
        Self {
            rounds: 1,
            room_members: 1_000,
            largest_room_members: 2_000,
            room_online: 100,
            room_messages: 5,
            room_rounds: 1,
            tracing_rounds: 1,
            users: 200,
            warm_up: Duration::from_secs(1),
            window: Duration::from_secs(3),
            drain_devices: 200,
            drain_messages: 50,
            idle_connections: 1_000,
            idle_settle: Duration::from_secs(5),
            ..Self::standard()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_chosen_by_name() {
        let parse = |args: &[&str]| Options::try_parse_from([&["natter-bench"], args].concat());
        let chosen = parse(&["--only", "drain,idle", "--quick"]).map(|options| {
            [
                Measure::Throughput,
                Measure::Latency,
                Measure::Drain,
                Measure::Idle,
                Measure::LargestRoom,
                Measure::Tracing,
            ]
            .map(|measure| options.wants(measure))
        });
        assert!(matches!(chosen, Ok([false, false, true, true, false, false])));
        assert!(matches!(parse(&[]).map(|options| options.wants(Measure::Latency)), Ok(true)));
        assert!(parse(&["--only", "nonsense"]).is_err());
    }
}
