//! A backup: a folder with a copy of the archive and of the streams.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, bail};
use natter_bus::StreamCopy;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::site::Site;
use crate::output;

/// What the folder holds; written last, so that a folder without it is no backup.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Of this layout.
    version: u32,
    /// Which Natter made it.
    natter: String,
    /// When it was begun.
    begun: String,
    /// How many streams the log has.
    partitions: u16,
    /// The file of the archive.
    archive: String,
    streams: Vec<SavedStream>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedStream {
    name: String,
    #[serde(flatten)]
    copy: StreamCopy,
}

const VERSION: u32 = 1;
const MANIFEST: &str = "backup.json";
const SQLITE: &str = "archive.db";
const POSTGRES: &str = "archive.pgdump";

/// What a copy would be put over.
#[derive(Debug, thiserror::Error)]
#[error("{0}; nothing was changed")]
pub struct Occupied(String);

/// A backup's folder.
pub struct Folder<'a> {
    pub path: &'a Path,
    /// The folder of `pg_dump` and `pg_restore`; absent: they are looked for in the path.
    pub postgres_bin: Option<&'a Path>,
}

impl Folder<'_> {
    /// Makes the folder.
    ///
    /// # Errors
    /// [`Occupied`] when there is something in it.
    pub fn create(&self) -> anyhow::Result<()> {
        let cannot = || format!("{} cannot be made", self.path.display());
        std::fs::create_dir_all(self.path).with_context(cannot)?;
        if std::fs::read_dir(self.path).with_context(cannot)?.next().is_some() {
            bail!(Occupied(format!("{} is not empty: name a new folder", self.path.display())));
        }
        // Messages are nobody else's business.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(self.path, private).with_context(cannot)
    }

    /// Copies archive, then log: whatever the archive lacks, the log has, being newer.
    ///
    /// # Errors
    /// A sentence; the folder is then no backup.
    pub async fn save(&self, site: &Site) -> anyhow::Result<()> {
        let begun = jiff::Timestamp::now().to_string();
        let archive = self.save_archive(site).await.context("the archive cannot be copied")?;
        let mut streams = Vec::new();
        for name in site.bus.kept_streams() {
            output::say(&format!("copying stream {name}"));
            let mut file = BufWriter::new(self.make(&self.stream(&name))?);
            let copy = site.bus.save_stream(&name, |chunk| file.write_all(chunk)).await?;
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            streams.push(SavedStream { name, copy });
        }
        let (partitions, natter) = (site.bus.partitions(), env!("CARGO_PKG_VERSION").to_owned());
        let manifest = Manifest { version: VERSION, natter, begun, partitions, archive, streams };
        let mut file = self.make(&self.path.join(MANIFEST))?;
        file.write_all(&serde_json::to_vec_pretty(&manifest)?)?;
        Ok(file.sync_all()?)
    }

    async fn save_archive(&self, site: &Site) -> anyhow::Result<String> {
        output::say("copying the archive");
        let url = site.config.storage.url.as_deref().unwrap_or_default();
        if site.config.storage.sqlite_file()?.is_some() {
            let store = site.archive().await?;
            store.copy_sqlite(&self.path.join(SQLITE)).await?;
            store.close().await;
            return Ok(SQLITE.to_owned());
        }
        let mut dump = self.program("pg_dump", url);
        dump.args(["--format=custom", "--no-owner", "--file"]).arg(self.path.join(POSTGRES));
        run(dump, "pg_dump").await?;
        Ok(POSTGRES.to_owned())
    }

    /// Reads what the folder holds.
    ///
    /// # Errors
    /// A sentence, when it is no backup or one of another deployment.
    pub fn open(&self, site: &Site) -> anyhow::Result<Manifest> {
        let path = self.path.join(MANIFEST);
        let no_backup = || format!("{} is no whole backup: {MANIFEST} cannot be read", self.path.display());
        let manifest: Manifest =
            serde_json::from_slice(&std::fs::read(&path).with_context(no_backup)?).with_context(no_backup)?;
        if manifest.version != VERSION {
            bail!("{} was made by Natter {}, which this one does not understand", self.path.display(), manifest.natter);
        }
        if manifest.partitions != site.bus.partitions() {
            bail!("the backup has `nats.partitions` = {}: set it so", manifest.partitions);
        }
        let sqlite = site.config.storage.sqlite_file()?.is_some();
        if sqlite != (manifest.archive == SQLITE) {
            bail!("the archive of the backup is {}: `storage.url` names another kind of database", manifest.archive);
        }
        Ok(manifest)
    }

    /// Puts everything back, where nothing is.
    ///
    /// # Errors
    /// [`Occupied`] before anything is changed; a sentence, when something fails.
    pub async fn load(&self, site: &Site, manifest: Manifest) -> anyhow::Result<()> {
        let storage = &site.config.storage;
        if !storage.is_unused().await.context("storage.url: the database cannot be used")? {
            let said = "the database of `storage.url` is not empty: put it aside, or leave out `--from`";
            bail!(Occupied(said.to_owned()));
        }
        for SavedStream { name, .. } in &manifest.streams {
            if site.bus.has_stream(name).await? {
                bail!(Occupied(format!("NATS has a stream {name}: put its store aside, or leave out `--from`")));
            }
        }
        output::say(&format!("putting back what was copied at {}", manifest.begun));
        // The streams first: they can be deleted by a command when the archive fails.
        for SavedStream { name, copy } in manifest.streams {
            output::say(&format!("putting back stream {name}"));
            let path = self.stream(&name);
            let file = File::open(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            let mut file = BufReader::new(file);
            site.bus.load_stream(&name, copy, |chunk| file.read(chunk)).await?;
        }
        output::say("putting back the archive");
        self.load_archive(site, &manifest.archive).await.context("the archive cannot be put back")
    }

    async fn load_archive(&self, site: &Site, archive: &str) -> anyhow::Result<()> {
        let from = self.path.join(archive);
        if let Some(file) = site.config.storage.sqlite_file()? {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            // Whole or not at all.
            let beside = file.with_extension("restoring");
            std::fs::copy(&from, &beside)?;
            File::open(&beside)?.sync_all()?;
            return Ok(std::fs::rename(beside, file)?);
        }
        let url = site.config.storage.url.as_deref().unwrap_or_default();
        let mut restore = self.program("pg_restore", url);
        restore.args(["--single-transaction", "--exit-on-error", "--no-owner"]).arg(from);
        run(restore, "pg_restore").await
    }

    fn stream(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.snapshot"))
    }

    fn make(&self, path: &Path) -> anyhow::Result<File> {
        File::create_new(path).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// A program of PostgreSQL's for this database. The password does not go where other users
    /// of the machine could read it.
    fn program(&self, name: &str, url: &str) -> Command {
        let path = self.postgres_bin.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        let (url, password) = without_password(url);
        let mut command = Command::new(path);
        command.arg("--dbname").arg(url).stdin(Stdio::null());
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        command
    }
}

async fn run(mut command: Command, name: &str) -> anyhow::Result<()> {
    let ended = command.output().await.with_context(|| {
        format!("{name} cannot be run: install PostgreSQL's client programs, or name their folder in --postgres-bin")
    })?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    bail!("{}", said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing"));
}

/// A URL without its password, and the password.
fn without_password(url: &str) -> (String, Option<String>) {
    let parts = || {
        let (scheme, rest) = url.split_once("://")?;
        let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        let (user, _) = authority.rsplit_once('@')?;
        let (name, password) = user.split_once(':')?;
        Some((format!("{scheme}://{name}{}", &rest[user.len()..]), decoded(password)))
    };
    parts().map_or_else(|| (url.to_owned(), None), |(url, password)| (url, Some(password)))
}

/// Percent-encoding undone (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_taken_out() {
        let told = |url: &str| without_password(url);
        let plain = "postgres://natter@db/natter?sslmode=require";
        assert_eq!(told(plain), (plain.to_owned(), None));
        let secret = ("postgres://natter@db:5432/natter".to_owned(), Some("a:b%c d".to_owned()));
        assert_eq!(told("postgres://natter:a:b%25c%20d@db:5432/natter"), secret);
        assert_eq!(told("postgres:///natter?host=/run").1, None);
    }
}
