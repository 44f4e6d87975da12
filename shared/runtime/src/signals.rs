//! When the process is asked to stop.

/// Waits for SIGINT or SIGTERM. From then on, another one ends the process at once.
pub async fn wait_for_stop() {
    stop_signal().await;
    #[allow(clippy::disallowed_methods, reason = "lives until the process ends")]
    tokio::spawn(async {
        stop_signal().await;
        std::process::exit(130);
    });
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}
