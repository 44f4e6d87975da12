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
    let consumer = ["delivery", "storage"].choose(random).unwrap_or(&"delivery");
    match random.random_range(0..17) {
        0..3 => Fault::Kill(part),
        3 => Fault::Terminate(part),
        4 => Fault::Freeze(part, time),
        5 => Fault::StallNats { up: random.random(), down: random.random(), time },
        6 => Fault::CutNats,
        7 => Fault::SlowNats(time / 100, time),
        8 => Fault::StallDatabase(time),
        9 => Fault::CutDatabase,
        10 => Fault::SlowDatabase(time / 50, time),
        11 => Fault::LockDatabase(time),
        12 => Fault::RestartDatabase(time / 5),
        13 => Fault::KillArchivers(3),
        14 => Fault::DeleteConsumers(consumer),
        15 => Fault::Drain(100),
        _ => Fault::RestartNats,
    }
}
