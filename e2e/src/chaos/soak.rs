//! Faults at random, from a seed.

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::{Deployment, Fault, Outcome, Part, guarded, play};
use crate::Db;

/// How long it may take after any fault until everybody hears everybody.
const BOUND: Duration = Duration::from_secs(30);

/// Lets faults strike at random until the time is over. The same seed chooses the same faults in
/// the same order; what they meet differs from run to run.
pub async fn soak(seed: u64, time: Duration) -> Outcome {
    let began = Instant::now();
    let mut random = StdRng::seed_from_u64(seed);
    let mut struck = 0;
    let faults = std::iter::from_fn(|| {
        (began.elapsed() < time).then(|| {
            struck += 1;
            any(&mut random)
        })
    });
    let result = Box::pin(guarded(play(Deployment::proxied(Db::Postgres), BOUND, faults))).await;
    Outcome {
        name: format!("soak, seed {seed}"),
        hypothesis: "any of it, in any order".to_owned(),
        faults: struck,
        took: began.elapsed(),
        result,
    }
}

fn any(random: &mut StdRng) -> Fault {
    let part = *Part::ALL.choose(random).unwrap_or(&Part::Gateway(0));
    let time = Duration::from_millis(random.random_range(200..15_000));
    match random.random_range(0..9) {
        0 | 1 => Fault::Kill(part),
        2 => Fault::Terminate(part),
        3 => Fault::Freeze(part, time),
        4 => Fault::StallNats { up: random.random(), down: random.random(), time },
        5 => Fault::CutNats,
        6 => Fault::StallDatabase(time),
        7 => Fault::CutDatabase,
        _ => Fault::RestartNats,
    }
}
