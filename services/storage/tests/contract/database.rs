//! A database of the test's own.

use natter_storage::{Config, Store};

pub const PARTITIONS: u16 = 3;

pub struct Database {
    pub config: Config,
    /// The SQLite file's folder; removed with the value.
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A folder that is missing is made.
        let url = format!("sqlite://{}", folder.path().join("deep/archive.db").display());
        Self::new(url, Some(folder))
    }

    pub async fn postgres() -> Self {
        Self::new(natter_testkit::postgres::database().await, None)
    }

    fn new(url: String, folder: Option<tempfile::TempDir>) -> Self {
        let config = Config { url: Some(url), connections_max: 4, acquire_timeout_ms: 20_000, ..Config::default() };
        Self { config, _folder: folder }
    }

    /// What one more replica has.
    pub async fn open(&self) -> Store {
        Store::connect(&self.config, PARTITIONS).await.unwrap()
    }
}
