//! Which device has a session here: it is admitted by its record when it says `hello`, noted when it
//! comes and goes, and closed when it is revoked, wherever that was said.

mod keeper;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use natter_bus::{
    Bus,
    users::{Blocks, Lifted, ReadRecord, Refusal, Told, UserRecord, WriteError},
};
use natter_ids::{DeviceId, SessionId, UserId};
use natter_protocol::{Audience, DevicePage, ErrorBody, ErrorCode, PrivacyView};
use natter_runtime::{OnEnd, Scope};
use natter_telemetry::metrics;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    doubt::Doubt, mailbox::Mailbox, members::unavailable, presence::Reporter, server::Shared, session::jitter,
};
use keeper::{Note, What};

/// How many users are written of at once. What is noted of one user is written in order.
const LANES: usize = 16;
/// Notes that wait in each lane; of more, the time last seen is lost, and what else was noted comes
/// again with the next look.
const NOTES_MAX: usize = 512;
/// How often each user's record is looked into while there is a session: for a revocation whose
/// broadcast nobody knows to be lost, and so that the time last seen is never far off.
const LOOK: Duration = Duration::from_secs(600);
/// How often a write is tried again that somebody else was faster with.
const WRITE_TRIES: u32 = 20;

struct Entry {
    device: DeviceId,
    name: Option<String>,
    session: SessionId,
    revoked: CancellationToken,
    mailbox: Arc<Mailbox>,
}

/// The sessions of a user here.
struct Here {
    entries: Vec<Entry>,
    /// When the record is looked into again.
    look_at: Instant,
    /// The revision of the record that is gone by.
    revision: u64,
    /// Absent until the record was read.
    privacy: Option<PrivacyView>,
    /// Whom the user has blocked, and the other way round; sessions follow it.
    blocks: watch::Sender<Arc<Blocks>>,
}

struct Inner {
    bus: Bus,
    reporter: Reporter,
    here: Mutex<HashMap<UserId, Here>>,
    lanes: Box<[mpsc::Sender<Note>]>,
    hasher: RandomState,
}

/// The devices with a session at this gateway. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Devices(Arc<Inner>);

/// A device that is here until this is dropped.
pub(crate) struct SignedIn {
    devices: Devices,
    user: UserId,
    pub(crate) device: DeviceId,
    session: SessionId,
    /// Cancelled when the device is revoked.
    pub(crate) revoked: CancellationToken,
    /// Where it finds what came in the gateway's own inbox.
    pub(crate) mailbox: Arc<Mailbox>,
    /// The blocks in force.
    pub(crate) blocks: watch::Receiver<Arc<Blocks>>,
    /// Blocks that were lifted while the device was away.
    pub(crate) lifted: Vec<Lifted>,
    admitted: bool,
}

impl Drop for SignedIn {
    fn drop(&mut self) {
        // Together: whoever finds nobody here has all notes, and no note of a session follows its end.
        let mut here = self.devices.lock();
        if self.admitted {
            let session = self.session.clone();
            self.devices.note(self.user.clone(), self.device.clone(), What::End { session });
        }
        if let Some(of_user) = here.get_mut(&self.user) {
            of_user.entries.retain(|entry| entry.session != self.session);
            if of_user.entries.is_empty() {
                here.remove(&self.user);
            }
        }
    }
}

impl Devices {
    pub(crate) async fn start(
        bus: &Bus,
        reporter: Reporter,
        doubts: watch::Receiver<Doubt>,
        scope: &Scope,
    ) -> Result<Self, String> {
        let told = bus.gateways_told().await?;
        let (lanes, queues): (Vec<_>, Vec<_>) = (0..LANES).map(|_| mpsc::channel(NOTES_MAX)).unzip();
        let (here, hasher) = (Mutex::default(), RandomState::new());
        let this = Self(Arc::new(Inner { bus: bus.clone(), reporter, here, lanes: lanes.into(), hasher }));
        for queue in queues {
            let (keeper, cancel) = (this.clone(), scope.cancel_token());
            let work = async move { keeper.keep(queue, cancel).await };
            scope.spawn("connection-devices", OnEnd::StopProcess, work);
        }
        let (looker, cancel) = (this.clone(), scope.cancel_token());
        scope.spawn("connection-revocations", OnEnd::StopProcess, async move {
            cancel.run_until_cancelled(looker.follow(told, doubts)).await;
        });
        Ok(this)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Here>> {
        self.0.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a device, by one look into its user's record.
    pub(crate) async fn admit(
        &self,
        user: &UserId,
        device: DeviceId,
        name: Option<String>,
        session: &SessionId,
        max: u32,
    ) -> Result<SignedIn, ErrorBody> {
        // First it can be closed, then the record is read: a revocation is stored before it is told,
        // so one of both finds it.
        let mut signed_in = self.enter(user, device, name.clone(), session);
        let read = self.0.bus.user_record(user).await.map_err(unavailable)?;
        read.record.devices.admits(&signed_in.device, self.0.bus.now_ms(), max).map_err(refused)?;
        signed_in.admitted = true;
        self.go_by(user, &read);
        if let Some(here) = self.lock().get(user) {
            signed_in.blocks = here.blocks.subscribe();
            signed_in.lifted = lifted_since(&read.record, &signed_in.device);
        }
        let what = What::Begin { name, session: session.clone(), max, read: Some(read) };
        self.note(user.clone(), signed_in.device.clone(), what);
        Ok(signed_in)
    }

    fn enter(&self, user: &UserId, device: DeviceId, name: Option<String>, session: &SessionId) -> SignedIn {
        let (revoked, mailbox) = (CancellationToken::new(), Arc::<Mailbox>::default());
        let entry = Entry {
            device: device.clone(),
            name,
            session: session.clone(),
            revoked: revoked.clone(),
            mailbox: Arc::clone(&mailbox),
        };
        let fresh = || Here {
            entries: Vec::with_capacity(1),
            look_at: Instant::now() + jitter(LOOK),
            revision: 0,
            privacy: None,
            blocks: watch::Sender::default(),
        };
        self.lock().entry(user.clone()).or_insert_with(fresh).entries.push(entry);
        let (devices, user, session) = (self.clone(), user.clone(), session.clone());
        let (_, blocks) = watch::channel(Arc::default());
        SignedIn { devices, user, device, session, revoked, mailbox, blocks, lifted: Vec::new(), admitted: false }
    }

    /// Whether nobody is here.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Hands something to each session of a user here.
    pub(crate) fn each_mailbox(&self, user: &str, hand: impl Fn(&Mailbox)) {
        let here = self.lock();
        let entries = here.get(user).map(|here| here.entries.as_slice()).unwrap_or_default();
        entries.iter().for_each(|entry| hand(&entry.mailbox));
    }

    /// Whether the user, who is here, is not to be seen.
    pub(crate) fn is_hidden(&self, user: &UserId) -> bool {
        let privacy = self.lock().get(user).and_then(|here| here.privacy);
        privacy.is_some_and(|privacy| privacy.presence == Audience::Nobody)
    }

    /// The blocks of a user who is here.
    pub(crate) fn blocks(&self, user: &UserId) -> Option<Arc<Blocks>> {
        let here = self.lock();
        let here = here.get(user).filter(|here| here.privacy.is_some())?;
        Some(Arc::clone(&here.blocks.borrow()))
    }

    /// Goes by a user's record, in all their sessions here.
    pub(crate) fn go_by(&self, user: &UserId, read: &ReadRecord) {
        let mut here = self.lock();
        let Some(here) = here.get_mut(user) else { return };
        // Several read at once, and who has read first may come last.
        if here.privacy.is_some() && read.revision() < here.revision {
            return;
        }
        here.revision = read.revision();
        let privacy = read.record.privacy;
        if here.privacy.replace(privacy).is_some_and(|before| before != privacy) {
            self.0.reporter.hide(user, privacy.presence == Audience::Nobody);
        }
        here.blocks.send_if_modified(|known| {
            let differs = **known != read.record.blocks;
            if differs {
                *known = Arc::new(read.record.blocks.clone());
            }
            differs
        });
    }

    fn note(&self, user: UserId, device: DeviceId, what: What) {
        let lane = usize::try_from(self.0.hasher.hash_one(&user)).unwrap_or(0) % LANES;
        if self.0.lanes[lane].try_send(Note { user, device, what }).is_err() {
            metrics::CONNECTION_DEVICE_NOTES_LOST.add(1, []);
        }
    }

    /// Ends the sessions of a device here.
    fn close(&self, user: &UserId, is_revoked: impl Fn(&DeviceId) -> bool) {
        let here = self.lock();
        let entries = here.get(user).map(|here| here.entries.as_slice()).unwrap_or_default();
        entries.iter().filter(|entry| is_revoked(&entry.device)).for_each(|entry| entry.revoked.cancel());
    }

    /// The record, with what is known here and perhaps not yet written.
    async fn read(&self, user: &UserId) -> Result<ReadRecord, String> {
        let mut read = self.0.bus.user_record(user).await?;
        let now = self.0.bus.now_ms();
        let here = self.lock();
        for entry in here.get(user).map(|here| here.entries.as_slice()).unwrap_or_default() {
            read.record.devices.begin(&entry.device, entry.name.as_deref(), &entry.session, now, u32::MAX);
        }
        Ok(read)
    }
}

/// Blocks that were lifted since a device was here.
fn lifted_since(record: &UserRecord, device: &DeviceId) -> Vec<Lifted> {
    let Some(seen) = record.devices.last_seen(device) else { return Vec::new() };
    record.blocks.lifted().iter().filter(|lifted| lifted.at >= seen).cloned().collect()
}

fn refused(refusal: Refusal) -> ErrorBody {
    match refusal {
        Refusal::Revoked => ErrorCode::DeviceRevoked.into(),
        Refusal::TooMany => {
            metrics::CONNECTION_REFUSALS.add(1, ["devices_max".into()]);
            ErrorBody::new(ErrorCode::TooManyDevices).limit("devices_max")
        }
    }
}

/// What users change of what is known of them.
impl Shared {
    /// Changes a user's record, unless it is as wanted already; returns it.
    pub(crate) async fn change_record(
        &self,
        user: &UserId,
        change: impl Fn(&mut UserRecord) -> Result<(), ErrorBody>,
    ) -> Result<UserRecord, ErrorBody> {
        for _ in 0..WRITE_TRIES {
            let mut read = self.bus.user_record(user).await.map_err(unavailable)?;
            let before = read.record.clone();
            change(&mut read.record)?;
            if read.record == before {
                return Ok(before);
            }
            match self.bus.keep_user_record(user, &read).await {
                Ok(()) => return Ok(read.record),
                Err(WriteError::Moved) => tokio::time::sleep(jitter(Duration::from_millis(5))).await,
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(ErrorBody::new(ErrorCode::Unavailable).because("Too much changes at once: try again."))
    }
}

/// What users ask about their devices.
impl Shared {
    pub(crate) async fn devices_of(&self, user: &UserId, asking: Option<&DeviceId>) -> Result<DevicePage, ErrorBody> {
        let read = self.devices.read(user).await.map_err(unavailable)?;
        Ok(DevicePage { devices: read.record.devices.views(asking, self.bus.now_ms()) })
    }

    /// Revokes a device of the user; returns those that are left. Said twice, done once, but told to
    /// the gateways again.
    pub(crate) async fn revoke_device(
        &self,
        user: &UserId,
        device: DeviceId,
        asking: Option<&DeviceId>,
    ) -> Result<DevicePage, ErrorBody> {
        for _ in 0..WRITE_TRIES {
            let mut read = self.devices.read(user).await.map_err(unavailable)?;
            let now = self.bus.now_ms();
            if read.record.devices.revoke(&device, now) {
                match self.bus.keep_user_record(user, &read).await {
                    Ok(()) => {}
                    Err(WriteError::Moved) => continue,
                    Err(error) => return Err(unavailable(error)),
                }
            } else if !read.record.devices.is_revoked(&device) {
                return Err(ErrorBody::new(ErrorCode::NotFound).because("You have no such device."));
            }
            tracing::info!(%device, "a device was revoked");
            self.devices.close(user, |other| *other == device);
            let told = Told::Revoked { user: user.clone(), device };
            // Stored it is: whoever repeats this tells it again.
            self.bus.tell_gateways(&told).await.map_err(unavailable)?;
            return Ok(DevicePage { devices: read.record.devices.views(asking, now) });
        }
        Err(ErrorBody::new(ErrorCode::Unavailable).because("The devices are too busy: try again."))
    }
}
