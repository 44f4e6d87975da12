//! Every process is killed with SIGKILL in turn, nats-server too, while a crowd goes on talking;
//! the checker then finds nothing lost, repeated, reordered or made up.

use natter_checker::{History, Kind, check};
use natter_e2e::{
    Cluster, Crowd, Db, Report,
    chaos::{self, tell},
};

on_every_database!(every_process_is_killed_in_turn);

const PEOPLE: usize = 6;
/// What each person says per second.
const PACE: f64 = 12.0;

async fn every_process_is_killed_in_turn(database: Db) {
    let cluster = Cluster::builder()
        .presences(2)
        .database(database)
        // Everybody asks for a lot at once when a gateway dies.
        .set("connection.user_requests_burst", 5_000)
        .start()
        .await;
    let crowd = Crowd::gather(&cluster, PEOPLE, PACE).await;
    crowd.hears_more(20).await;
    for service in cluster.services() {
        service.kill9();
        crowd.says_more(60).await;
        service.restart().await;
        crowd.says_more(30).await;
        crowd.hears_more(20).await;
    }
    cluster.nats().restart().await;
    crowd.says_more(60).await;
    crowd.hears_more(20).await;
    let report = crowd.finish(&cluster).await;
    tell(&format!("{database:?}: {report}"));
    report.assert_clean();
    assert!(report.stats().sessions > PEOPLE as u64, "nobody was disconnected: nothing was killed");
    the_checker_would_have_seen(&report);
}

/// The very history that was found clean, broken in one place, is not: so its silence means
/// something.
fn the_checker_would_have_seen(report: &Report) {
    let lines: Vec<_> = report.history().lines().collect();
    let receipts: Vec<_> = (0..lines.len()).filter(|line| lines[*line].starts_with(r#"{"received""#)).collect();
    let middle = receipts[receipts.len() / 2];
    let kinds = |lines: Vec<String>| {
        let violations = check(&History::from_lines(lines).unwrap());
        violations.iter().map(natter_checker::Violation::kind).collect::<Vec<_>>()
    };
    let mut lost = lines.clone();
    lost.remove(middle);
    assert!(kinds(lost).contains(&Kind::Lost), "a receipt was taken out");
    let mut doubled = lines.clone();
    doubled.insert(middle, lines[middle].clone());
    assert!(kinds(doubled).contains(&Kind::Duplicated), "a receipt was doubled");
    let mut late = lines.clone();
    let first = late.remove(receipts[0]);
    late.push(first);
    assert!(kinds(late).contains(&Kind::Reordered), "the first receipt came last");
    let attempt = lines.iter().position(|line| line.starts_with(r#"{"attempt""#)).unwrap();
    let mut made_up = lines;
    made_up.remove(attempt);
    assert!(kinds(made_up).contains(&Kind::Phantom), "nobody tried to send a message that came");
}

/// Two deliveries, two storages and two gateways stand still and go on, one after the other: what
/// they do when they wake must not disturb those who took over.
#[tokio::test(flavor = "multi_thread")]
async fn every_process_stands_still_in_turn() {
    let cluster = Cluster::builder().set("connection.user_requests_burst", 5_000).start().await;
    let crowd = Crowd::gather(&cluster, PEOPLE, PACE).await;
    crowd.hears_more(20).await;
    for service in cluster.deliveries().iter().chain(cluster.storages()) {
        service.stop_signal();
        // More than a lease passes meanwhile.
        crowd.hears_more(PACE as u64 * 5).await;
        service.cont();
        crowd.says_more(30).await;
        crowd.hears_more(20).await;
    }
    let report = crowd.finish(&cluster).await;
    tell(&format!("standing still: {report}"));
    report.assert_clean();
}

/// The short form of `./justw chaos`: one scenario for each kind of part that others stand in for.
macro_rules! scenarios_that_hold {
    ($($test:ident: $name:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            let scenario = chaos::scenario($name).expect("a scenario of that name");
            let outcome = Box::pin(scenario.run()).await;
            assert!(outcome.result.is_ok(), "{}: {}", scenario.name, outcome.result.unwrap_err());
        }
    )*};
}

scenarios_that_hold! {
    leaders_of_the_log_are_killed: "log-leader-killed";
    the_majority_of_nats_is_lost: "majority-lost";
    a_gateway_is_cut_off: "gateway-cut-off";
    the_database_is_cut_off: "database-cut-off";
}
