//! Single-use tickets.

use crate::world::World;

#[tokio::test]
async fn a_ticket_is_taken_once_whoever_is_fastest() {
    let (world, one) = World::new(1).await;
    let other = world.connect("other").await;
    for round in 0..5 {
        let id = format!("ticket-{round}_x");
        one.keep_ticket(&id, "contents".into()).await.unwrap();
        let gateways = (0..20).map(|number| if number % 2 == 0 { &one } else { &other });
        let taken = futures_util::future::join_all(gateways.map(|bus| bus.redeem_ticket(&id))).await;
        let got: Vec<_> = taken.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(got, ["contents"]);
        assert_eq!(one.redeem_ticket(&id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_ticket_is_not_replaced() {
    let (_world, bus) = World::new(1).await;
    bus.keep_ticket("t", "first".into()).await.unwrap();
    bus.keep_ticket("t", "second".into()).await.unwrap_err();
    assert_eq!(bus.redeem_ticket("t").await.unwrap().as_deref(), Some("first"));
}

#[tokio::test]
async fn what_is_no_ticket_is_no_ticket() {
    let (_world, bus) = World::new(1).await;
    bus.keep_ticket("real", "contents".into()).await.unwrap();
    for id in ["", "*", ">", "re.al", "real ", "r\u{e9}al", "unknown", &"x".repeat(129)] {
        assert_eq!(bus.redeem_ticket(id).await.unwrap(), None, "{id}");
    }
    assert!(bus.redeem_ticket("real").await.unwrap().is_some());
}
