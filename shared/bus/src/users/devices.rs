//! What is kept of a user's devices: a pure state machine.

use natter_ids::{DeviceId, SessionId};
use natter_protocol::DeviceView;
use serde::{Deserialize, Serialize};

/// Revoked devices that are remembered; of more, those that were revoked first are forgotten.
const REVOKED_MAX: usize = 100;
/// A session that was not heard of for so long has ended, its gateway has died, in milliseconds:
/// twice the time after which gateways tell of it again.
const SESSION_MS: u64 = 2 * 3600 * 1000;
/// Sessions of a device that are remembered.
const SESSIONS_MAX: usize = 8;
/// How long what was kept of a device that is connected stays as it is, in milliseconds.
const REFRESH_MS: u64 = 3600 * 1000;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    device: DeviceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    first_seen: u64,
    last_seen: u64,
    /// Its sessions, the newest at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<SessionId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Gone {
    device: DeviceId,
    at: u64,
}

/// Why a device may not have a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It was revoked.
    Revoked,
    /// There are as many as there may be.
    TooMany,
}

/// The devices of one user. Times are in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    #[serde(default)]
    known: Vec<Known>,
    /// The one revoked last at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    revoked: Vec<Gone>,
}

impl Known {
    fn is_connected(&self, now: u64) -> bool {
        !self.sessions.is_empty() && now.saturating_sub(self.last_seen) < SESSION_MS
    }
}

impl Devices {
    /// Whether a device may have a session now. One that was never here needs room: beyond `max` it
    /// takes the place of the one unseen for longest, unless all are connected. So nobody is turned
    /// away for devices long forgotten, and nobody is cut off for a new one; whoever lost their place
    /// is not revoked, and finds one when they come back.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admits(&self, device: &DeviceId, now: u64, max: u32) -> Result<(), Refusal> {
        if self.is_revoked(device) {
            return Err(Refusal::Revoked);
        }
        let max = max as usize;
        let fits = self.known.len() < max || self.knows(device);
        let makes_room = max > 0 && self.known.iter().any(|known| !known.is_connected(now));
        if fits || makes_room { Ok(()) } else { Err(Refusal::TooMany) }
    }

    /// Whether a device was revoked.
    pub fn is_revoked(&self, device: &DeviceId) -> bool {
        self.revoked.iter().any(|gone| gone.device == *device)
    }

    /// Whether a device was here, and was not revoked.
    pub fn knows(&self, device: &DeviceId) -> bool {
        self.known.iter().any(|known| known.device == *device)
    }

    /// When a device was here last.
    pub fn last_seen(&self, device: &DeviceId) -> Option<u64> {
        self.known.iter().find(|known| known.device == *device).map(|known| known.last_seen)
    }

    /// A session of a device begins. Does not ask whether it is admitted.
    pub fn begin(&mut self, device: &DeviceId, name: Option<&str>, session: &SessionId, now: u64, max: u32) {
        if self.is_revoked(device) {
            return;
        }
        if let Some(known) = self.known.iter_mut().find(|known| known.device == *device) {
            known.name = name.map(str::to_owned).or_else(|| known.name.take());
            known.last_seen = now.max(known.last_seen);
            known.sessions.retain(|other| other != session);
            let forgotten = (known.sessions.len() + 1).saturating_sub(SESSIONS_MAX);
            known.sessions.drain(..forgotten);
            known.sessions.push(session.clone());
            return;
        }
        // Also when somebody has lowered the limit.
        while self.known.len() >= (max as usize).max(1) {
            let unseen = |(_, known): &(usize, &Known)| (known.is_connected(now), known.last_seen);
            let longest = self.known.iter().enumerate().min_by_key(unseen).map(|(at, _)| at);
            longest.map(|at| self.known.remove(at));
        }
        self.known.push(Known {
            device: device.clone(),
            name: name.map(str::to_owned),
            first_seen: now,
            last_seen: now,
            sessions: vec![session.clone()],
        });
    }

    /// Whether a session that goes on has to be told of again: so that `last_seen` is never far off.
    pub fn is_stale(&self, device: &DeviceId, now: u64) -> bool {
        let known = self.known.iter().find(|known| known.device == *device);
        !self.is_revoked(device) && known.is_none_or(|known| now.saturating_sub(known.last_seen) >= REFRESH_MS)
    }

    /// A session of a device has ended.
    pub fn end(&mut self, device: &DeviceId, session: &SessionId, now: u64) {
        if let Some(known) = self.known.iter_mut().find(|known| known.device == *device) {
            known.last_seen = now.max(known.last_seen);
            known.sessions.retain(|other| other != session);
        }
    }

    /// Revokes a device; `false` when it is revoked already, or never was here.
    pub fn revoke(&mut self, device: &DeviceId, now: u64) -> bool {
        if self.is_revoked(device) || !self.knows(device) {
            return false;
        }
        self.known.retain(|known| known.device != *device);
        self.revoked.push(Gone { device: device.clone(), at: now });
        let forgotten = self.revoked.len().saturating_sub(REVOKED_MAX);
        self.revoked.drain(..forgotten);
        true
    }

    /// The devices as their user sees them, from one of them.
    pub fn views(&self, current: Option<&DeviceId>, now: u64) -> Vec<DeviceView> {
        let view = |known: &Known| DeviceView {
            device: known.device.clone(),
            name: known.name.clone(),
            first_seen: known.first_seen,
            last_seen: known.last_seen,
            connected: known.is_connected(now),
            current: current == Some(&known.device),
        };
        let mut views: Vec<_> = self.known.iter().map(view).collect();
        views.sort_by(|one, other| other.last_seen.cmp(&one.last_seen).then_with(|| one.device.cmp(&other.device)));
        views
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn device(name: impl ToString) -> DeviceId {
        DeviceId::new(name.to_string()).unwrap()
    }

    fn session(name: &str) -> SessionId {
        SessionId::new(name).unwrap()
    }

    fn seen(devices: &Devices, now: u64) -> Vec<(String, u64, bool)> {
        let views = devices.views(None, now).into_iter();
        views.map(|view| (view.device.to_string(), view.last_seen, view.connected)).collect()
    }

    #[test]
    fn devices_come_and_go() {
        let mut devices = Devices::default();
        devices.begin(&device("phone"), Some("Alice's phone"), &session("1"), 10, 5);
        devices.begin(&device("laptop"), None, &session("2"), 20, 5);
        assert_eq!(seen(&devices, 25), [("laptop".into(), 20, true), ("phone".into(), 10, true)]);
        devices.end(&device("laptop"), &session("2"), 30);
        // The device is back elsewhere before the end of its last session is told.
        devices.begin(&device("phone"), None, &session("3"), 40, 5);
        devices.end(&device("phone"), &session("1"), 50);
        // Two at once, of which the newer one ends first.
        devices.begin(&device("phone"), None, &session("4"), 50, 5);
        devices.end(&device("phone"), &session("4"), 50);
        assert_eq!(seen(&devices, 60), [("phone".into(), 50, true), ("laptop".into(), 30, false)]);
        let views = devices.views(Some(&device("laptop")), 60);
        assert_eq!(views[0].name.as_deref(), Some("Alice's phone"), "a name stays when none is told");
        assert_eq!((views[0].current, views[1].current, views[0].first_seen), (false, true, 10));
        // A gateway that died never tells of the end.
        assert_eq!(seen(&devices, 50 + SESSION_MS)[0], ("phone".into(), 50, false));
    }

    #[test]
    fn a_revoked_device_is_out_for_good() {
        let mut devices = Devices::default();
        devices.begin(&device("phone"), None, &session("1"), 10, 5);
        assert!(!devices.revoke(&device("other"), 20), "it never was here");
        assert!(devices.revoke(&device("phone"), 20));
        assert!(!devices.revoke(&device("phone"), 30), "said twice, done once");
        assert_eq!(devices.admits(&device("phone"), 40, 5), Err(Refusal::Revoked));
        // A session that began before the revocation was known is told of late.
        devices.begin(&device("phone"), None, &session("1"), 50, 5);
        devices.end(&device("phone"), &session("1"), 60);
        assert_eq!(seen(&devices, 70), []);
        assert!(!devices.is_stale(&device("phone"), u64::MAX));
        for number in 0..REVOKED_MAX + 1 {
            devices.begin(&device(number), None, &session("1"), 80, 5);
            devices.revoke(&device(number), 80);
        }
        assert_eq!(devices.revoked.len(), REVOKED_MAX);
        assert!(devices.is_revoked(&device(REVOKED_MAX)) && !devices.is_revoked(&device("phone")));
    }

    #[test]
    fn a_new_device_takes_the_place_of_the_one_unseen_for_longest_or_is_refused() {
        let mut devices = Devices::default();
        for (number, at) in [(1, 50), (2, 100), (3, 200)] {
            devices.begin(&device(number), None, &session("s"), at, 3);
        }
        let full = Err(Refusal::TooMany);
        assert_eq!(devices.admits(&device(4), 300, 3), full, "all are connected");
        assert_eq!(devices.admits(&device(4), 300, 4), Ok(()));
        assert_eq!(devices.admits(&device(2), 300, 3), Ok(()), "it is one of them");
        for (number, at) in [(2, 400), (3, 300)] {
            devices.end(&device(number), &session("s"), at);
        }
        assert_eq!(devices.admits(&device(4), 500, 3), Ok(()));
        assert_eq!(devices.admits(&device(4), 500, 0), full, "the operator wants no new ones");
        devices.begin(&device(4), None, &session("s"), 500, 3);
        let names: Vec<_> = seen(&devices, 500).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["4", "2", "1"], "1 is connected, and 3 was unseen for longest");
        assert_eq!(devices.admits(&device(3), 600, 3), Ok(()), "forgotten, not revoked: 2 makes room in turn");
    }

    #[test]
    fn a_session_that_goes_on_is_told_of_now_and_then() {
        let mut devices = Devices::default();
        assert!(devices.is_stale(&device("phone"), 10), "it had to make room");
        devices.begin(&device("phone"), None, &session("1"), 10, 5);
        assert!(!devices.is_stale(&device("phone"), 9 + REFRESH_MS));
        assert!(devices.is_stale(&device("phone"), 10 + REFRESH_MS));
    }
}
