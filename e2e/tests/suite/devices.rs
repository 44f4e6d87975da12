//! The devices of a user: listed, signed out, and no more of them than there may be.

use natter_client::{Fatal, Notification, RawConnection, RawOptions, RequestError};
use natter_e2e::{Cluster, Db, Device, PATIENCE, Raw};
use natter_ids::DeviceId;
use natter_protocol::{CloseCode, DeviceView, ErrorBody, ErrorCode, ServerFrame};
use natter_testkit::{Flow, wait_for};

on_every_database!(devices_are_listed);
on_every_database!(a_device_is_signed_out);
on_every_database!(there_are_only_so_many);

fn id(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

async fn device(cluster: &Cluster, user: &str, name: &str, gateway: usize) -> Device {
    let builder = cluster.client(user, &[gateway]).device(id(name)).device_name(format!("{user}'s {name}"));
    let device = Device::connect(user, builder);
    device.caught_up().await;
    device
}

/// Waits until the list is as expected.
async fn until(asking: &Device, what: &str, wanted: impl Fn(&[DeviceView]) -> bool) -> Vec<DeviceView> {
    wait_for(what, PATIENCE, async || {
        let devices = asking.client().devices().await.unwrap().devices;
        wanted(&devices).then_some(devices)
    })
    .await
}

fn find<'a>(devices: &'a [DeviceView], name: &str) -> Option<&'a DeviceView> {
    devices.iter().find(|view| view.device.as_str() == name)
}

/// Waits until the client has given up, and says why.
async fn gives_up(device: &Device) -> Fatal {
    loop {
        let next = tokio::time::timeout(PATIENCE, device.client().next_event()).await;
        match next.expect("the client gives up in time") {
            Some(Notification::Fatal(fatal)) => return fatal,
            Some(_) => {}
            None => return device.client().fatal().cloned().expect("a reason"),
        }
    }
}

/// What `hello` of a device is answered with, and the code that the session is closed with.
async fn hello(cluster: &Cluster, user: &str, name: &str, gateway: usize) -> (ErrorBody, u16) {
    let mut raw = Raw::open(cluster.gateway(gateway), user).await;
    let answer = raw.connection().hello(id(name), None).await.unwrap();
    let ServerFrame::Error { id: None, error } = answer else { panic!("instead of a refusal: {answer:?}") };
    (error, raw.closed().await)
}

/// A device is listed with its name from its first moment, wherever it is, and with the time it was
/// seen last once it has gone; only to its own user.
async fn devices_are_listed(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let phone = device(&cluster, "alice", "phone", 0).await;
    let at_once = phone.client().devices().await.unwrap().devices;
    assert_eq!(at_once.len(), 1, "{at_once:?}");
    assert!(at_once[0].current && at_once[0].connected);
    assert_eq!(at_once[0].name.as_deref(), Some("alice's phone"));

    let laptop = device(&cluster, "alice", "laptop", 1).await;
    let _bob = device(&cluster, "bob", "phone", 1).await;
    let both = until(&phone, "both devices", |all| all.len() == 2 && all.iter().all(|view| view.connected)).await;
    assert!(find(&both, "phone").unwrap().current && !find(&both, "laptop").unwrap().current);
    let over_http = cluster.http("alice", 1).devices().await.unwrap().devices;
    assert_eq!(over_http.len(), 2);
    assert!(over_http.iter().all(|view| !view.current));

    let before = find(&both, "laptop").unwrap().clone();
    laptop.leave().await;
    let gone = until(&phone, "the laptop to be gone", |all| !find(all, "laptop").unwrap().connected).await;
    let after = find(&gone, "laptop").unwrap();
    assert!(after.last_seen >= before.last_seen && after.first_seen == before.first_seen, "{before:?} {after:?}");

    // It is known again after everything was restarted, and keeps the name that it does not repeat.
    cluster.restart_everything().await;
    let nameless = Device::connect("alice", cluster.client("alice", &[0]).device(id("laptop")));
    nameless.caught_up().await;
    let back = until(&phone, "the laptop to be back", |all| find(all, "laptop").unwrap().connected).await;
    let back = find(&back, "laptop").unwrap();
    assert_eq!((back.name.as_deref(), back.first_seen), (Some("alice's laptop"), before.first_seen));
}

/// Who is signed out has their sockets closed at every gateway, now, with a code that says not to come
/// back, and may not: not with a token, not with a ticket from before. Nobody else notices.
async fn a_device_is_signed_out(database: Db) {
    let cluster = Cluster::builder().database(database).start().await;
    let phone = device(&cluster, "alice", "phone", 0).await;
    let stolen = [device(&cluster, "alice", "laptop", 0).await, device(&cluster, "alice", "laptop", 1).await];
    let bob = device(&cluster, "bob", "laptop", 1).await;
    let talk = phone.direct("bob").await;
    until(&phone, "both devices", |all| all.len() == 2).await;
    let ticket = cluster.http("alice", 1).ticket().await.unwrap().ticket;

    let left = phone.client().revoke_device(&id("laptop")).await.unwrap().devices;
    assert_eq!(left.len(), 1, "{left:?}");
    for socket in &stolen {
        assert_eq!(gives_up(socket).await, Fatal::Closed(CloseCode::DeviceRevoked));
    }
    phone.say(&talk, "the laptop was stolen").await;
    bob.hears(["the laptop was stolen"]).await;
    phone.hears(["the laptop was stolen"]).await;

    for gateway in [0, 1] {
        let (error, code) = hello(&cluster, "alice", "laptop", gateway).await;
        assert_eq!((error.code, code), (ErrorCode::DeviceRevoked, CloseCode::DeviceRevoked.number()));
    }
    let with_ticket =
        RawOptions::new(cluster.gateway(1).url()).subprotocols(["natter.v1", &format!("natter.ticket.{ticket}")]);
    let mut raw = RawConnection::connect(&with_ticket).await.unwrap();
    let answer = raw.hello(id("laptop"), None).await.unwrap();
    assert!(
        matches!(&answer, ServerFrame::Error { error, .. } if error.code == ErrorCode::DeviceRevoked),
        "{answer:?}"
    );

    // Said twice, done once; of what is no device of hers she hears that.
    let http = cluster.http("alice", 1);
    assert_eq!(http.revoke_device(&id("laptop")).await.unwrap().devices.len(), 1);
    assert_eq!(http.revoke_device(&id("fridge")).await.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(bob.client().stats().disconnects, 0, "bob's device of the same name is another one");

    // It stays signed out when everything was restarted.
    cluster.restart_everything().await;
    let (error, _) = hello(&cluster, "alice", "laptop", 1).await;
    assert_eq!(error.code, ErrorCode::DeviceRevoked);
    // A device that signs itself out is gone with that.
    let own = phone.client().revoke_device(&id("phone")).await;
    assert!(!matches!(own, Err(RequestError::Refused(_))), "{own:?}");
    assert_eq!(gives_up(&phone).await, Fatal::Closed(CloseCode::DeviceRevoked));
}

/// A gateway that could not hear of it signs the device out once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_was_lost_is_made_up_for() {
    let cluster = Cluster::builder().proxied().start().await;
    let phone = device(&cluster, "alice", "phone", 1).await;
    let stolen = device(&cluster, "alice", "laptop", 0).await;
    until(&phone, "both devices", |all| all.len() == 2).await;

    cluster.wire_to_nats().set(Flow::Stall, Flow::Stall);
    let delayed = |next| matches!(next, Notification::ResumeDelayed(_)).then_some(());
    stolen.find(delayed).await;
    phone.client().revoke_device(&id("laptop")).await.unwrap();
    // Nothing of what was on its way arrives, and so the broadcast is lost.
    cluster.wire_to_nats().reset();
    cluster.wire_to_nats().heal();
    assert_eq!(gives_up(&stolen).await, Fatal::Closed(CloseCode::DeviceRevoked));
}

/// A new device takes the place of the one unseen for longest; while all are connected it is told that
/// there is no room.
async fn there_are_only_so_many(database: Db) {
    let cluster = Cluster::builder().database(database).set("connection.limits.devices_max", 2).start().await;
    let phone = device(&cluster, "alice", "phone", 0).await;
    let laptop = device(&cluster, "alice", "laptop", 1).await;
    until(&phone, "both devices", |all| all.len() == 2).await;
    let (error, code) = hello(&cluster, "alice", "tablet", 1).await;
    assert_eq!((error.code, code), (ErrorCode::TooManyDevices, CloseCode::TooManyDevices.number()));
    assert_eq!(error.limit.as_deref(), Some("devices_max"));
    // A second socket of a device is no second device.
    device(&cluster, "alice", "phone", 1).await.leave().await;

    laptop.leave().await;
    until(&phone, "the laptop to be gone", |all| !find(all, "laptop").unwrap().connected).await;
    let tablet = device(&cluster, "alice", "tablet", 1).await;
    until(&phone, "the tablet in its place", |all| all.len() == 2 && find(all, "tablet").is_some()).await;
    // The laptop was forgotten, not signed out: it finds a place when there is one.
    tablet.client().revoke_device(&id("tablet")).await.ok();
    assert_eq!(gives_up(&tablet).await, Fatal::Closed(CloseCode::DeviceRevoked));
    let laptop = device(&cluster, "alice", "laptop", 1).await;
    until(&laptop, "the laptop", |all| all.len() == 2 && find(all, "phone").is_some()).await;
}

/// What a device calls itself is short and one line.
#[tokio::test(flavor = "multi_thread")]
async fn names_have_limits() {
    let cluster = Cluster::single().start().await;
    for (name, code) in [("x".repeat(129), ErrorCode::TooLarge), ("two\\nlines".to_owned(), ErrorCode::Malformed)] {
        let mut raw = Raw::open(cluster.gateway(0), "alice").await;
        raw.send(&format!(r#"{{"type":"hello","device":"phone","name":"{name}"}}"#)).await;
        assert_eq!(raw.refusal().await.error.code, code);
        assert_eq!(raw.closed().await, CloseCode::ProtocolError.number());
    }
    assert_eq!(cluster.http("alice", 0).devices().await.unwrap().devices, []);
}
