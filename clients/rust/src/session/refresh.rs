//! Replacing the session's token before it expires.

use std::{future::pending, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use natter_protocol::RequestId;
use tokio::time::{Instant, timeout};

use crate::{TokenSource, backoff::spread};

/// How long until the source is asked again, when it had no newer token or the gateway did not
/// take it.
const RETRY: Duration = Duration::from_secs(2);

/// A token, or why there is none.
pub(crate) type Fetched = Result<String, String>;

/// Asks for a token, for so long.
pub(crate) fn fetch(source: &TokenSource, limit: Duration) -> BoxFuture<'static, Fetched> {
    let token = source.get();
    async move {
        match timeout(limit, token).await {
            Ok(token) => token.map_err(|error| error.to_string()),
            Err(_) => Err("the source of tokens does not answer".to_owned()),
        }
    }
    .boxed()
}

/// How far a refresh has come.
#[derive(Default)]
pub(crate) enum Refresh {
    /// The token is good for long.
    #[default]
    Idle,
    Fetching(BoxFuture<'static, Fetched>),
    Asked {
        id: RequestId,
        token: String,
    },
    Waiting(Instant),
}

impl Refresh {
    /// Begins, unless it has begun.
    pub fn begin(&mut self, source: &TokenSource, limit: Duration) {
        if matches!(self, Self::Idle) {
            *self = Self::Fetching(fetch(source, limit));
        }
    }

    /// The token asked for; pending while none is. Cancel safe.
    pub async fn fetched(&mut self) -> Fetched {
        match self {
            Self::Fetching(token) => token.await,
            Self::Idle | Self::Asked { .. } | Self::Waiting(_) => pending().await,
        }
    }

    /// The gateway was asked to take a token.
    pub fn asked(&mut self, id: RequestId, token: String) {
        *self = Self::Asked { id, token };
    }

    /// The gateway took the token: returns it.
    pub fn accepted(&mut self, answer: RequestId) -> Option<String> {
        match std::mem::take(self) {
            Self::Asked { id, token } if id == answer => Some(token),
            other => {
                *self = other;
                None
            }
        }
    }

    /// The gateway refused the token asked about. `false` when the refusal is of something else.
    pub fn refused(&mut self, answer: RequestId) -> bool {
        let ours = matches!(self, Self::Asked { id, .. } if *id == answer);
        if ours {
            self.wait();
        }
        ours
    }

    /// Tries again later.
    pub fn wait(&mut self) {
        *self = Self::Waiting(Instant::now() + spread(RETRY));
    }

    /// When to try again.
    pub fn due(&self) -> Option<Instant> {
        match self {
            Self::Waiting(at) => Some(*at),
            Self::Idle | Self::Fetching(_) | Self::Asked { .. } => None,
        }
    }

    /// Tries again if it is time.
    pub fn on_time(&mut self, now: Instant, source: &TokenSource, limit: Duration) {
        if self.due().is_some_and(|at| at <= now) {
            *self = Self::Fetching(fetch(source, limit));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_replaced_later() {
        let source = TokenSource::fixed("new");
        let mut refresh = Refresh::default();
        refresh.begin(&source, LIMIT);
        assert_eq!(refresh.fetched().await.unwrap(), "new");
        refresh.asked(7, "new".to_owned());
        refresh.begin(&source, LIMIT);
        assert!(!refresh.refused(8), "another request's");
        assert_eq!(refresh.accepted(8), None);
        assert!(refresh.refused(7));
        let due = refresh.due().unwrap();
        refresh.on_time(Instant::now(), &source, LIMIT);
        assert_eq!(refresh.due(), Some(due), "not yet");
        refresh.on_time(due, &source, LIMIT);
        assert_eq!(refresh.fetched().await.unwrap(), "new");
        refresh.asked(9, "new".to_owned());
        assert_eq!(refresh.accepted(9).as_deref(), Some("new"));
        assert!(matches!(refresh, Refresh::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_is_given_up() {
        let source = TokenSource::from_async(std::future::pending);
        assert!(fetch(&source, LIMIT).await.is_err());
    }
}
