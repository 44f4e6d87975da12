//! What gateways know of users.

use std::time::Instant;

use futures_util::{StreamExt, stream};
use natter_bus::users::{Told, WriteError};
use natter_ids::{DeviceId, SessionId};

use crate::world::{SOON, World, settled, user};

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

#[tokio::test]
async fn a_record_is_written_by_whoever_read_it_last_and_outlives_the_server() {
    let (mut world, one) = World::new(1).await;
    let other = world.connect("other").await;
    let alice = user("a.l*ce");
    let (mut first, mut second) = (one.user_record(&alice).await.unwrap(), other.user_record(&alice).await.unwrap());
    first.record.devices.begin(&device("phone"), None, &SessionId::random(), 1, 5);
    one.keep_user_record(&alice, &first).await.unwrap();
    second.record.devices.begin(&device("laptop"), None, &SessionId::random(), 1, 5);
    assert_eq!(other.keep_user_record(&alice, &second).await, Err(WriteError::Moved));
    let mut again = other.user_record(&alice).await.unwrap();
    assert!(again.record.devices.revoke(&device("phone"), 2));
    other.keep_user_record(&alice, &again).await.unwrap();
    world.nats.restart().await;
    let third = world.connect("third").await;
    assert!(third.user_record(&alice).await.unwrap().record.devices.is_revoked(&device("phone")));
    assert_eq!(third.user_record(&user("a")).await.unwrap().record, Default::default());
}

#[tokio::test]
async fn every_gateway_is_told() {
    let (world, one) = World::new(1).await;
    let other = world.connect("other").await;
    let (mut here, mut there) = (one.gateways_told().await.unwrap(), other.gateways_told().await.unwrap());
    settled(&one).await;
    settled(&other).await;
    let told = Told::Revoked { user: user("a.b"), device: device("phone") };
    other.tell_gateways(&told).await.unwrap();
    for heard in [&mut here, &mut there] {
        assert_eq!(tokio::time::timeout(SOON, heard.next()).await.unwrap(), Some(told.clone()));
    }
}

/// What the look that a `hello` costs takes. Prints the numbers that `docs/decisions/0017-presence.md` tells.
#[tokio::test(flavor = "multi_thread")]
async fn looks_into_ten_thousand_records() {
    const USERS: usize = 10_000;
    let (_world, bus) = World::new(1).await;
    let write = |number: usize| {
        let bus = bus.clone();
        async move {
            let mut read = bus.user_record(&user(&format!("user-{number}"))).await.unwrap();
            for name in ["phone", "laptop", "tablet"] {
                read.record.devices.begin(&device(name), Some("Somebody's device"), &SessionId::random(), 1, 50);
            }
            bus.keep_user_record(&user(&format!("user-{number}")), &read).await.unwrap();
        }
    };
    let began = Instant::now();
    stream::iter(0..USERS).for_each_concurrent(64, write).await;
    let written = began.elapsed();
    let one_by_one = Instant::now();
    for number in 0..1_000 {
        bus.user_record(&user(&format!("user-{number}"))).await.unwrap();
    }
    let one_by_one = one_by_one.elapsed() / 1_000;
    let began = Instant::now();
    let read = |number: usize| {
        let bus = bus.clone();
        async move { drop(bus.user_record(&user(&format!("user-{number}"))).await.unwrap()) }
    };
    stream::iter(0..USERS).for_each_concurrent(64, read).await;
    let read = began.elapsed();
    assert!(read < SOON, "{read:?}");
    #[allow(clippy::print_stdout, reason = "a measurement")]
    {
        println!("{USERS} records: read and written in {written:?}, read in {read:?}, {one_by_one:?} each alone");
    }
}
