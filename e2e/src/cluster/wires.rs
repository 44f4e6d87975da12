//! Wires between processes that tests make go bad.

use natter_testkit::{Proxy, postgres};

use crate::{folder::Folder, nats::Nats};

/// Wires that tests make go bad.
pub(super) struct Wires {
    pub(super) nats: Proxy,
    /// With the URL that leads through it.
    pub(super) database: Option<(Proxy, String)>,
}

impl Wires {
    pub(super) async fn start(folder: &Folder, nats: &Nats, database: &str) -> Self {
        let server = nats.url().strip_prefix("nats://").expect("one server").to_owned();
        let database = postgres::socket(database).map(|(socket, through)| {
            let listens = folder.path().join(socket.file_name().unwrap_or_default());
            (Proxy::unix(&listens, &socket), through(folder.path()))
        });
        Self { nats: Proxy::tcp(&server).await, database }
    }

    pub(super) fn nats_url(&self) -> String {
        format!("nats://{}", self.nats.address())
    }
}
