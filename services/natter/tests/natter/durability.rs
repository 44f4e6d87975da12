//! What an accepted message survives is asked of NATS at start, and told or refused.

use natter_testkit::NatsServer;

use crate::process::{Natter, run};

const SECRET: &str = "auth.hs256_secret=0123456789012345678901234567890123456789";
const ALWAYS: &str = "jetstream { sync_interval: always }";
const SELDOM: &str = "jetstream { sync_interval: \"30s\" }";

/// The arguments of `natter serve` on this server.
fn serve<'a>(url: &'a str, data_dir: &'a str, settings: &[&'a str]) -> Vec<&'a str> {
    let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut arguments = vec!["serve", "--nats-url", url, "--data-dir", data_dir, "--set", SECRET];
    arguments.extend(listen);
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    arguments
}

#[tokio::test]
async fn weaker_than_wanted_is_refused_or_told_as_configured() {
    let (server, folder) = (NatsServer::start_monitored(SELDOM).await, tempfile::tempdir().unwrap());
    let (url, data_dir) = (server.url(), folder.path().to_str().unwrap());
    let monitor = format!("durability.monitor_urls=[\"{}\"]", server.monitor_url());
    let wanted = [monitor.as_str(), "durability.replicas_min=1", "durability.when_weaker=refuse"];

    let refused = run(&serve(&url, data_dir, &wanted), &[]).await;
    assert_eq!(refused.code, Some(64), "{}", refused.err);
    let said = "`sync_interval` of 30000 ms, not always";
    assert!(refused.err.contains(said), "{}", refused.err);

    // Nobody to ask is weaker too, and so are fewer copies.
    for settings in [&wanted[1..], &[wanted[0], "durability.sync_interval_ms_max=30000", wanted[2]][..]] {
        let refused = run(&serve(&url, data_dir, settings), &[]).await;
        assert_eq!(refused.code, Some(64), "{settings:?}: {}", refused.err);
    }

    let warned = Natter::start(&serve(&url, data_dir, &wanted[..2]));
    warned.logs(said).await;
    let may_wait = "durability.sync_interval_ms_max=30000";
    let content = Natter::start(&serve(&url, data_dir, &[wanted[0], wanted[1], wanted[2], may_wait]));
    content.logs("natter nats apply").await;
}

#[tokio::test]
async fn what_syncs_always_is_as_wanted() {
    let (server, folder) = (NatsServer::start_monitored(ALWAYS).await, tempfile::tempdir().unwrap());
    let (url, data_dir) = (server.url(), folder.path().to_str().unwrap());
    let monitor = format!("durability.monitor_urls=[\"{}\"]", server.monitor_url());
    let wanted = [monitor.as_str(), "durability.replicas_min=1", "durability.when_weaker=refuse"];
    let natter = Natter::start(&serve(&url, data_dir, &wanted));
    natter.logs("acknowledged messages reach the disk as configured").await;
    natter.logs("natter nats apply").await;
}
