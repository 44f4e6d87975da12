//! Everybody shows who they are: an nkey with few rights for each service, TLS on every wire.

use natter_client::{Notification, RawConnection, RawOptions};
use natter_e2e::{Cluster, Crowd, Device, PATIENCE, token_for, user};
use natter_ids::DeviceId;
use natter_protocol::ServerFrame;
use natter_testkit::wait_for;

/// Each service does with its own rights: talk through two gateways, presence, tickets, a device that
/// comes back, replicas that die and are stood in for, a backup. NATS has denied nothing.
#[tokio::test(flavor = "multi_thread")]
async fn every_service_does_with_its_own_rights() {
    let cluster = Cluster::builder().secured().nats_nodes(3).start().await;
    let (alice, bob) = (cluster.device("alice", 0).await, cluster.device("bob", 1).await);
    let talk = alice.direct("bob").await;
    alice.say(&talk, "there").await;
    bob.say(&talk, "and back").await;
    for device in [&alice, &bob] {
        device.hears(["there", "and back"]).await;
    }
    alice.client().watch_presence(&[user("bob")]).await.unwrap();
    let position = bob.leave().await;
    alice.sees("bob", false).await;
    alice.say(&talk, "while you were away").await;
    let bob = Device::connect("bob", cluster.client("bob", &[0]).position(position));
    bob.hears(["while you were away"]).await;
    a_ticket_is_redeemed(&cluster).await;
    the_canary_trusts_only_whom_it_is_told_to(&cluster).await;

    let crowd = Crowd::gather(&cluster, 6, 4.0).await;
    crowd.hears_more(5).await;
    cluster.delivery(0).kill9();
    cluster.storage(0).kill9();
    cluster.nats().kill_node(0).await;
    crowd.hears_more(10).await;
    cluster.nats().restart_node(0).await;
    for service in [cluster.delivery(0), cluster.storage(0), cluster.presence(0), cluster.gateway(1)] {
        service.restart().await;
    }
    crowd.hears_more(10).await;
    let report = crowd.finish(&cluster).await;
    report.assert_clean();

    let folder = cluster.folder().join("backup");
    for arguments in [
        &["nats", "apply", "--check"][..],
        &["backup", folder.to_str().unwrap()],
        &["restore", "--check"],
        &["restore"],
    ] {
        let mut command = cluster.natter();
        command.args(arguments);
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        // A restore says, with this code, that services run: for that it has asked all of them.
        let fine = if arguments == ["restore"] { said.contains("gateway") } else { ended.status.success() };
        assert!(fine, "{arguments:?}: {said}");
    }
    let denied = [cluster.nats().lines_with("permissions violation").await, cluster.log_lines_with("ermissions")];
    assert_eq!(denied.concat(), [""; 0]);
}

async fn the_canary_trusts_only_whom_it_is_told_to(cluster: &Cluster) {
    let ca_file = cluster.folder().join("trusted.pem");
    std::fs::write(&ca_file, cluster.ca().unwrap()).unwrap();
    for (trusted, works) in [(Some(ca_file), true), (None, false)] {
        let mut command = cluster.natter();
        command.args(["canary", "--once", "--url", &cluster.gateway(0).url(), "--url", &cluster.gateway(1).url()]);
        command.args(trusted.iter().flat_map(|file| ["--ca-file", file.to_str().unwrap()]));
        command.args(["--timeout", if works { "20s" } else { "2s" }]);
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        assert_eq!(ended.status.success(), works, "{said}");
        assert!(works || said.contains("certificate"), "{said}");
    }
}

async fn a_ticket_is_redeemed(cluster: &Cluster) {
    let grant = cluster.http("alice", 0).ticket().await.unwrap();
    let options = RawOptions::new(cluster.gateway(1).url())
        .trust_pem(cluster.ca().unwrap().as_bytes())
        .unwrap()
        .subprotocols(["natter.v1".to_owned(), format!("natter.ticket.{}", grant.ticket)]);
    let mut connection = RawConnection::connect(&options).await.unwrap();
    let begun = connection.hello(DeviceId::random(), None).await.unwrap();
    assert!(matches!(begun, ServerFrame::Welcome { .. }), "{begun:?}");
}

/// A certificate that is renewed is shown to new connections, by gateways and by the admin listener,
/// without a restart; those that are open go on. Who trusts somebody else does not connect.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let cluster = Cluster::single().secured().start().await;
    let alice = cluster.device("alice", 0).await;
    let talk = alice.direct("alice").await;
    let gateway = cluster.http("alice", 0);
    let admin = natter_e2e::Http::new(cluster.gateway(0).admin_address()).trusting(cluster.ca().as_deref());
    let (before, admin_before) = (gateway.certificate().await, admin.certificate().await);
    assert_eq!(admin.get("/health/ready").await.status, 200);
    cluster.renew_certificate();
    let renewed = async || (gateway.certificate().await != before).then_some(());
    wait_for("the gateway to show the renewed certificate", PATIENCE, renewed).await;
    let renewed = async || (admin.certificate().await != admin_before).then_some(());
    wait_for("the admin listener to show the renewed certificate", PATIENCE, renewed).await;
    alice.say(&talk, "still here").await;
    assert_eq!(alice.client().stats().sessions, 1, "the session has gone on");
    let other = Device::connect("alice", cluster.client("alice", &[0]));
    other.find(|next| matches!(next, Notification::CaughtUp(_)).then_some(())).await;

    let options = RawOptions::new(cluster.gateway(0).url()).token(token_for("alice"));
    let untrusted = RawConnection::connect(&options).await.unwrap_err();
    assert!(untrusted.to_string().contains("certificate"), "{untrusted}");
    let plain = cluster.gateway(0).url().replace("wss://", "ws://");
    let options = RawOptions::new(plain).token(token_for("alice"));
    RawConnection::connect(&options).await.unwrap_err();
}
