//! A guest who comes and goes.

use std::time::Duration;

use natter_client::RequestError;
use natter_ids::{ConversationId, Seq, UserId};
use tokio::{sync::watch, time::timeout};

use super::person::Person;

/// How long the guest stays, and stays away.
const PAUSE: Duration = Duration::from_millis(700);

/// Adds a guest and removes them, again and again; in the end they are there.
pub(super) async fn host(
    host: &Person,
    group: &ConversationId,
    guest: &UserId,
    done: impl Fn(Seq),
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let refused = |what: &str, error| format!("{} cannot {what} {guest}: {error}", host.user());
    loop {
        let added = host.add(group, guest).await;
        let ends = timeout(PAUSE, stopped.wait_for(|stopped| *stopped)).await.is_ok();
        match added {
            Ok(seq) => {
                done(seq);
                if ends {
                    return Ok(());
                }
            }
            Err(RequestError::Timeout) => continue,
            Err(error) => return Err(refused("add", error)),
        }
        match host.remove(group, guest).await {
            Ok(seq) => done(seq),
            Err(RequestError::Timeout) => {}
            Err(error) => return Err(refused("remove", error)),
        }
        let _ = timeout(PAUSE, stopped.wait_for(|stopped| *stopped)).await;
    }
}
