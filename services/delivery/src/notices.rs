//! Sends what storage has to tell to the inboxes of who is online: marks and settings. Nothing here
//! is kept or repeated; who misses something asks storage for what has changed.

use natter_bus::{Bus, Note, Notice, Notices};
use natter_ids::UserId;
use natter_telemetry::metrics;
use tokio_util::sync::CancellationToken;

use crate::online::Online;

pub(crate) async fn run(bus: Bus, online: Online, mut notices: Notices, cancel: CancellationToken) {
    while let Some(Some(notice)) = cancel.run_until_cancelled(notices.next()).await {
        if let Err(error) = send(&bus, &online, notice).await {
            tracing::debug!(error, "a notice could not be sent on");
        }
    }
}

async fn send(bus: &Bus, online: &Online, notice: Notice) -> Result<(), String> {
    match notice {
        Notice::Marks(change) => {
            for recipient in change.recipients.iter().filter(|recipient| online.may_be_online(&recipient.user)) {
                note(bus, &recipient.user, &Note::Marks(change.view(recipient))).await?;
            }
        }
        Notice::Settings { user, settings } if online.may_be_online(&user) => {
            note(bus, &user, &Note::Settings(settings)).await?;
        }
        Notice::Arrangement { user, arranged } if online.may_be_online(&user) => {
            note(bus, &user, &Note::Arrangement(arranged)).await?;
        }
        Notice::Settings { .. } | Notice::Arrangement { .. } => {}
    }
    Ok(())
}

async fn note(bus: &Bus, user: &UserId, note: &Note) -> Result<(), String> {
    bus.send_note(user, note).await?;
    metrics::DELIVERY_NOTES.add(1, []);
    Ok(())
}
