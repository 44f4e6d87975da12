//! What is accepted and not archived or not delivered is told, with its age; what is lost as well.

use std::time::Duration;

use natter_e2e::{Cluster, Db, Http, PATIENCE, Service};
use natter_testkit::wait_for;

/// The sum of a gauge over all partitions.
async fn gauge(service: &Service, name: &str, label: &str) -> f64 {
    let metrics = Http::new(service.admin_address()).get("/metrics").await.body;
    let values = metrics.lines().filter(|line| line.starts_with(name) && line.contains(label));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Waits until something accepted has waited for a second, or until nothing waits any more.
async fn waits(service: &Service, behind: &str, late: bool) {
    let label = format!("service=\"{behind}\"");
    let told = async || {
        let oldest = gauge(service, "natter_consumer_oldest_seconds", &label).await;
        let entries = gauge(service, "natter_consumer_lag_entries", &label).await;
        (if late { oldest >= 1.0 && entries > 0.0 } else { entries == 0.0 }).then_some(())
    };
    wait_for(&format!("{behind} to be told as late: {late}"), PATIENCE, told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_late_is_told() {
    let builder = Cluster::builder().database(Db::Postgres).proxied().set("storage.reconcile_ms", 200);
    let cluster = builder.start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    alice.say(&talk, "before").await;
    bob.hears(["before"]).await;
    let watcher = cluster.storage(0);
    waits(watcher, "delivery", false).await;
    waits(watcher, "storage", false).await;

    cluster.deliveries().iter().for_each(Service::kill9);
    alice.say(&talk, "undelivered").await;
    waits(watcher, "delivery", true).await;
    cluster.delivery(0).restart().await;
    waits(watcher, "delivery", false).await;

    cluster.wire_to_database().set(natter_testkit::Flow::Stall, natter_testkit::Flow::Stall);
    alice.say(&talk, "unarchived").await;
    waits(watcher, "storage", true).await;
    cluster.wire_to_database().heal();
    waits(watcher, "storage", false).await;
}

/// The log drops what the archive does not have: nothing brings it back, so somebody must know.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_told() {
    let cluster = Cluster::builder().set("storage.reconcile_ms", 200).start().await;
    let alice = cluster.device("alice", 0).await;
    let talk = alice.direct("bob").await;
    cluster.storages().iter().for_each(Service::kill9);
    alice.say(&talk, "to be lost").await;
    let client = async_nats::connect(cluster.nats().url()).await.unwrap();
    let log = async_nats::jetstream::new(client);
    for partition in 0..4 {
        log.get_stream(format!("CHAT-{partition}")).await.unwrap().purge().await.unwrap();
    }
    cluster.storage(0).restart().await;
    let lost = async || (gauge(cluster.storage(0), "natter_reconciler_lost_entries", "").await >= 1.0).then_some(());
    wait_for("the loss to be told", Duration::from_secs(20), lost).await;
}
