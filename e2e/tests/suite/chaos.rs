//! The short form of `./justw chaos`: one scenario for each kind of part that others stand in for;
//! and that a failure can be looked into.

use natter_checker::{History, Kind, Violation, check};
use natter_e2e::{
    Cluster, Crowd,
    chaos::{self, Numbers},
};
use tokio::task::JoinSet;

macro_rules! scenarios_that_hold {
    ($($test:ident: $name:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            Box::pin(holds($name)).await;
        }
    )*};
}

scenarios_that_hold! {
    services_stand_still: "services-frozen-5s";
    leaders_of_the_log_are_killed: "log-leader-killed";
    every_node_of_nats_is_killed: "cluster-killed";
    the_majority_of_nats_is_lost: "majority-lost";
    a_node_is_isolated: "node-isolated";
    a_gateway_is_cut_off: "gateway-cut-off";
    the_database_is_cut_off: "database-cut-off";
    archivers_are_killed: "archivers-killed";
    consumers_are_deleted: "consumers-deleted";
    a_gateway_is_drained: "gateway-drained";
}

async fn holds(name: &str) -> Numbers {
    let scenario = chaos::scenario(name).expect("a scenario of that name");
    let outcome = scenario.run().await;
    let numbers = outcome.result.unwrap_or_else(|why| panic!("{name}: {why}"));
    assert!(numbers.changes > 0, "{name}: nothing was edited, deleted, reacted to or read");
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_killed() {
    let numbers = Box::pin(holds("services-killed")).await;
    assert!(numbers.disconnects > 0, "nobody was disconnected: nothing was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_on_sqlite_are_killed() {
    let numbers = Box::pin(holds("services-killed-sqlite")).await;
    assert!(numbers.disconnects > 0, "nobody was disconnected: nothing was killed");
    the_checker_would_have_seen(&numbers.history);
}

/// The very history that was found clean, broken in one place, is not: so its silence means
/// something.
fn the_checker_would_have_seen(history: &History) {
    let lines: Vec<_> = history.lines().collect();
    let all = |kind: &str| {
        let begin = format!(r#"{{"{kind}""#);
        (0..lines.len()).filter(|line| lines[*line].starts_with(&begin)).collect::<Vec<_>>()
    };
    let (receipts, read, states, marks) = (all("received"), all("read"), all("state"), all("mark"));
    let middle = receipts[receipts.len() / 2];
    let must_find = |kind: Kind, what: &str, break_it: &dyn Fn(&mut Vec<String>)| {
        let mut broken = lines.clone();
        break_it(&mut broken);
        let found = check(&History::from_lines(broken).unwrap());
        assert!(found.iter().map(Violation::kind).any(|it| it == kind), "{kind} is not found, though {what}");
    };
    must_find(Kind::Lost, "a receipt was taken out", &|lines| drop(lines.remove(middle)));
    must_find(Kind::Duplicated, "a receipt was doubled", &|lines| lines.insert(middle, lines[middle].clone()));
    must_find(Kind::Reordered, "the first receipt came last", &|lines| {
        let first = lines.remove(receipts[0]);
        lines.push(first);
    });
    must_find(Kind::Phantom, "nobody tried to send a message that came", &|lines| {
        drop(lines.remove(all("attempt")[0]));
    });
    must_find(Kind::Divergent, "an entry was taken out of what was read back", &|lines| {
        drop(lines.remove(read[read.len() / 2]));
    });
    must_find(Kind::Divergent, "what became of a message was taken out of history", &|lines| {
        drop(lines.remove(states[states.len() / 2]));
    });
    must_find(Kind::Regressed, "the first mark came last", &|lines| lines.push(lines[marks[0]].clone()));
    must_find(Kind::Stuck, "nothing may take any time", &|lines| lines.push(r#"{"bound":0}"#.to_owned()));
}

/// A scenario whose wait runs out leaves what was recorded until then.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_keeps_the_history() {
    let cluster = Cluster::single().start().await;
    let folder = cluster.folder().to_owned();
    let crowd = Crowd::gather(&cluster, 2, 4.0).await;
    crowd.hears_more(2).await;
    let mut fails = JoinSet::new();
    fails.spawn(async move {
        let _all = (cluster, crowd);
        panic!("this panic belongs to the test");
    });
    assert!(fails.join_next().await.unwrap().is_err());
    let text = std::fs::read_to_string(folder.join("history.jsonl")).expect("the history is kept");
    let history = History::from_lines(text.lines()).unwrap();
    assert!(history.receipts() >= 4, "{} receipts", history.receipts());
    std::fs::remove_dir_all(folder).unwrap();
}
