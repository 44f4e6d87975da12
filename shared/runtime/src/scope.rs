//! Every long-lived task belongs to a scope: it has a name, and a policy for its end.

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

/// What follows when a task ends although nobody asked it to, or panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEnd {
    /// The process cannot do its work without the task: everything stops.
    StopProcess,
    /// It is logged. For tasks that end by themselves.
    Log,
}

/// A set of tasks that stop together. Cheap to clone; clones are the same scope.
#[derive(Debug, Clone)]
pub struct Scope {
    cancel: CancellationToken,
    tasks: TaskTracker,
    failed: watch::Sender<Option<&'static str>>,
}

impl Default for Scope {
    fn default() -> Self {
        Self::new()
    }
}

impl Scope {
    /// A scope of its own.
    pub fn new() -> Self {
        Self { cancel: CancellationToken::new(), tasks: TaskTracker::new(), failed: watch::Sender::new(None) }
    }

    /// A scope that stops with this one or before it, and whose failures are this one's.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { cancel: self.cancel.child_token(), tasks: TaskTracker::new(), failed: self.failed.clone() }
    }

    /// Starts a task. It should end soon after [`Scope::cancel_token`] is cancelled.
    pub fn spawn<F>(&self, name: &'static str, on_end: OnEnd, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (cancel, failed) = (self.cancel.clone(), self.failed.clone());
        // Not an async block: that would hold the task twice, as what it takes and as what it awaits.
        let supervised = AssertUnwindSafe(task).catch_unwind().map(move |ended| {
            let panicked = ended.is_err();
            if panicked {
                tracing::error!(task = name, "a task panicked");
            }
            if (panicked || on_end == OnEnd::StopProcess) && !cancel.is_cancelled() {
                tracing::error!(task = name, "a task that must not end has ended");
                failed.send_replace(Some(name));
            }
        });
        let span = match on_end {
            OnEnd::StopProcess => tracing::info_span!("task", name),
            // There may be very many of these, and a span costs memory as long as its task lives.
            OnEnd::Log => tracing::debug_span!("task", name),
        };
        self.tasks.spawn(supervised.instrument(span));
    }

    /// Cancelled when the scope stops.
    pub fn cancel_token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Asks every task to end.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits until a task ended that must not, and returns its name.
    pub async fn failed(&self) -> &'static str {
        let mut failed = self.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(name) => name.unwrap_or("unknown"),
            // The sender lives in `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Asks every task to end and waits for them, up to `grace`. Whether all ended.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.cancel();
        self.tasks.close();
        tokio::time::timeout(grace, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_must_not_end_is_reported() {
        let scope = Scope::new();
        scope.spawn("quiet", OnEnd::Log, async {});
        scope.spawn("vital", OnEnd::StopProcess, async {});
        assert_eq!(scope.failed().await, "vital");
    }

    #[tokio::test]
    async fn a_panic_is_reported_whatever_the_policy() {
        let scope = Scope::new();
        scope.child().spawn("broken", OnEnd::Log, async { panic!("on purpose") });
        assert_eq!(scope.failed().await, "broken");
    }

    #[tokio::test]
    async fn stopping_waits_for_tasks() {
        let scope = Scope::new();
        let cancel = scope.cancel_token();
        scope.spawn("polite", OnEnd::StopProcess, async move { cancel.cancelled().await });
        assert!(scope.stop(Duration::from_secs(5)).await);
        let scope = Scope::new();
        scope.spawn("deaf", OnEnd::StopProcess, std::future::pending());
        assert!(!scope.stop(Duration::from_millis(10)).await);
    }
}
