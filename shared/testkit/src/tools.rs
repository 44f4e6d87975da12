//! Where the programs are.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// The `nats-server` to test with: what `NATTER_NATS_SERVER` names, else the workspace's
/// `.tools/bin/nats-server`, else the one on `PATH`.
///
/// # Panics
/// When there is none, saying how to get it.
pub fn nats_server() -> PathBuf {
    let fetched = || {
        let path = workspace().join(".tools/bin/nats-server");
        path.is_file().then_some(path)
    };
    named("NATTER_NATS_SERVER", |path| path.is_file())
        .or_else(fetched)
        .or_else(|| on_path("nats-server"))
        .expect("no nats-server: `./justw tools` fetches it, or NATTER_NATS_SERVER names one")
}

/// An older `nats-server`, such as 2.14.6.
///
/// # Panics
/// When it is not there, saying how to get it.
pub fn previous_nats_server(version: &str) -> PathBuf {
    let path = workspace().join(format!(".tools/nats-server-{version}/nats-server"));
    assert!(path.is_file(), "{} is missing: `./justw previous-nats` fetches it", path.display());
    path
}

/// The folder with PostgreSQL's `initdb` and `postgres`: what `NATTER_POSTGRES_BIN` names, else
/// what `pg_config --bindir` says, else the newest of `/usr/lib/postgresql/*/bin`, else where
/// `PATH` has them.
///
/// # Panics
/// When there is none, saying how to get it.
pub fn postgres_bin() -> PathBuf {
    named("NATTER_POSTGRES_BIN", has_postgres)
        .or_else(pg_config)
        .or_else(packaged)
        .or_else(|| on_path("initdb").and_then(|path| path.parent().map(Path::to_owned)))
        .expect(
            "no PostgreSQL server: `apt-get install postgresql` (or the like) installs it, \
             or NATTER_POSTGRES_BIN names the folder with `initdb` and `postgres`",
        )
}

/// The root of the workspace, which the tests are built in.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn has_postgres(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

/// What a variable names. A wrong value is refused: silently taking another program would be worse.
fn named(variable: &str, works: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(variable).filter(|value| !value.is_empty())?);
    assert!(works(&path), "{variable} names {}, where it is not", path.display());
    Some(path)
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    // `pg_config` also comes with the client's headers alone.
    has_postgres(&folder).then_some(folder)
}

/// Debian and its children keep each version in a folder of its own, outside `PATH`.
fn packaged() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|entry| Some(entry.ok()?.path()));
    let version = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let mut known: Vec<_> = folders.filter_map(|path| Some((version(&path)?, path.join("bin")))).collect();
    known.sort();
    known.into_iter().rev().map(|(_, folder)| folder).find(|folder| has_postgres(folder))
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
