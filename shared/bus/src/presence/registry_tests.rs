#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const LEASE: Duration = Duration::from_secs(10);

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn report(gateway: &str, number: u64, kind: ReportKind) -> GatewayReport {
    GatewayReport { gateway: GatewayId::new(gateway).unwrap(), epoch: 1, number, has_inbox: true, kind }
}

fn full(gateway: &str, number: u64, users: &[&str]) -> GatewayReport {
    report(
        gateway,
        number,
        ReportKind::Full { part: 0, parts: 1, users: users.iter().map(|name| user(name)).collect() },
    )
}

fn delta(gateway: &str, number: u64, joined: &[&str], left: &[&str]) -> GatewayReport {
    let left = left.iter().map(|name| Left { user: user(name), at: 7 }).collect();
    report(gateway, number, ReportKind::Delta { joined: joined.iter().map(|name| user(name)).collect(), left })
}

#[test]
fn a_user_is_offline_when_the_last_gateway_lost_them() {
    let now = Instant::now();
    let mut registry = Registry::new(LEASE);
    registry.apply(full("g1", 0, &[]), now, 0);
    registry.apply(full("g2", 0, &[]), now, 0);
    assert_eq!(registry.apply(delta("g1", 1, &["a"], &[]), now, 0).len(), 1);
    assert_eq!(registry.apply(delta("g2", 1, &["a"], &[]), now, 0), []);
    assert_eq!(registry.apply(delta("g1", 2, &[], &["a"]), now, 0), []);
    let gone = registry.apply(delta("g2", 2, &[], &["a"]), now, 0);
    assert_eq!(gone, [Transition { user: user("a"), online: false, last_seen: Some(7), status: Status::default() }]);
    assert!(registry.is_complete() && registry.is_empty());
}

#[test]
fn a_silent_gateway_takes_its_users_with_it() {
    let now = Instant::now();
    let mut registry = Registry::new(LEASE);
    registry.apply(full("g1", 3, &["a"]), now, 50);
    assert_eq!(registry.expire(now + LEASE / 2), []);
    let gone = registry.expire(now + LEASE);
    assert_eq!(gone, [Transition { user: user("a"), online: false, last_seen: Some(50), status: Status::default() }]);
}

#[test]
fn a_missing_report_is_noticed_and_mended_by_a_full_one() {
    let now = Instant::now();
    let mut registry = Registry::new(LEASE);
    registry.apply(full("g1", 1, &["a"]), now, 0);
    assert!(registry.has_applied(&GatewayId::new("g1").unwrap(), 1));
    registry.apply(report("g1", 2, ReportKind::Beat), now, 0);
    assert!(!registry.is_complete(), "the beat tells of a change that never came");
    registry.apply(full("g1", 2, &["b"]), now, 0);
    assert!(registry.is_complete() && registry.is_online(&user("b")) && !registry.is_online(&user("a")));
}

#[test]
fn a_restarted_gateway_begins_anew() {
    let now = Instant::now();
    let mut registry = Registry::new(LEASE);
    registry.apply(full("g1", 9, &["a"]), now, 0);
    let restarted = GatewayReport { epoch: 2, ..report("g1", 0, ReportKind::Beat) };
    assert_eq!(registry.apply(restarted, now, 0).len(), 1);
    assert!(!registry.is_online(&user("a")));
    assert_eq!(registry.apply(full("g1", 10, &["a"]), now, 0), [], "a late report of the dead process");
}

proptest! {
    /// Whatever is lost on the way, one full report from each gateway restores the truth.
    #[test]
    fn full_reports_restore_the_truth(
        steps in prop::collection::vec((0..2_usize, 0..5_usize, any::<bool>(), any::<bool>()), 0..80),
    ) {
        let now = Instant::now();
        let (names, users) = (["g1", "g2"], ["a", "b", "c", "d", "e"]);
        let mut registry = Registry::new(LEASE);
        let mut truth = [HashSet::new(), HashSet::new()];
        let mut numbers = [0_u64; 2];
        for (gateway, who, comes, lost) in steps {
            let changed = if comes { truth[gateway].insert(users[who]) } else { truth[gateway].remove(users[who]) };
            if !changed {
                continue;
            }
            numbers[gateway] += 1;
            let (joined, left): (&[&str], &[&str]) = if comes { (&users[who..=who], &[]) } else { (&[], &users[who..=who]) };
            if !lost {
                registry.apply(delta(names[gateway], numbers[gateway], joined, left), now, 0);
            }
        }
        for gateway in 0..2 {
            let all: Vec<_> = truth[gateway].iter().copied().collect();
            registry.apply(full(names[gateway], numbers[gateway], &all), now, 0);
        }
        prop_assert!(registry.is_complete());
        for name in users {
            let online = truth.iter().any(|set| set.contains(name));
            prop_assert_eq!(registry.is_online(&user(name)), online);
        }
    }
}

const AWAY: Status = Status { away: true, hidden: false };
const HIDDEN: Status = Status { away: false, hidden: true };

fn status(gateway: &str, number: u64, whole: bool, users: &[(&str, Status)]) -> GatewayReport {
    let users = users.iter().map(|(name, status)| UserStatus { user: user(name), status: *status }).collect();
    report(gateway, number, ReportKind::Status { whole, users })
}

fn seen(user_name: &str, status: Status) -> Transition {
    Transition { user: user(user_name), online: true, last_seen: None, status }
}

#[test]
fn away_is_who_is_away_everywhere_and_hidden_who_is_anywhere() {
    let now = Instant::now();
    let mut registry = Registry::new(LEASE);
    for gateway in ["g1", "g2"] {
        registry.apply(full(gateway, 0, &["a", "b"]), now, 0);
    }
    assert_eq!(registry.apply(status("g1", 1, false, &[("a", AWAY)]), now, 0), [], "still here at the other one");
    assert_eq!(registry.apply(status("g2", 1, false, &[("a", AWAY)]), now, 0), [seen("a", AWAY)]);
    assert_eq!(registry.apply(status("g2", 2, false, &[("b", HIDDEN)]), now, 0), [seen("b", HIDDEN)]);
    assert_eq!((registry.status(&user("a")), registry.status(&user("b"))), (AWAY, HIDDEN));
    assert_eq!(
        registry.apply(status("g1", 2, false, &[("a", Status::default())]), now, 0),
        [seen("a", Status::default())]
    );
    // Who leaves the one gateway where they are here is away at the other.
    assert_eq!(registry.apply(delta("g1", 3, &[], &["a"]), now, 0), [seen("a", AWAY)]);
    // A new session is one that is not left.
    assert_eq!(registry.apply(delta("g1", 4, &["a"], &[]), now, 0), [seen("a", Status::default())]);
    // Whoever goes is told of with what was known of them.
    registry.apply(delta("g1", 5, &[], &["b"]), now, 0);
    let gone = registry.apply(delta("g2", 3, &[], &["b"]), now, 0);
    assert_eq!(gone, [Transition { user: user("b"), online: false, last_seen: Some(7), status: HIDDEN }]);
    assert_eq!(registry.apply(delta("g2", 4, &["b"], &[]), now, 0), [seen("b", Status::default())]);
    // A gateway that dies takes its word with it; a whole report voids what it does not repeat.
    registry.apply(status("g2", 5, false, &[("b", AWAY)]), now, 0);
    registry.apply(report("g2", 5, ReportKind::Beat), now + LEASE / 2, 0);
    assert_eq!(registry.expire(now + LEASE), [seen("a", AWAY)]);
    assert_eq!(registry.apply(status("g2", 5, true, &[("b", AWAY)]), now + LEASE, 0), [seen("a", Status::default())]);
    assert!(registry.is_complete());
    registry.apply(status("g2", 7, false, &[]), now + LEASE, 0);
    assert!(!registry.is_complete(), "one was missed");
}
