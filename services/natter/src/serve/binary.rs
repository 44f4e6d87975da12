//! Finding a nats-server that is new enough.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use tokio::{process::Command, time::timeout};

const NAME: &str = "nats-server";
const VARIABLE: &str = "NATTER_NATS_SERVER";
/// Older ones lack what the log relies on.
const OLDEST: (u32, u32) = (2, 14);

/// Where to look, in order.
struct Places {
    variable: Option<PathBuf>,
    rest: Vec<PathBuf>,
}

fn places() -> Places {
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let tools = std::env::current_dir().ok().map(|here| here.join(".tools").join("bin"));
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let folders = tools.into_iter().chain(beside).chain(std::env::split_paths(&on_path));
    Places { variable, rest: folders.map(|folder| folder.join(NAME)).collect() }
}

/// Finds the nats-server to start.
///
/// # Errors
/// A sentence that says where it was looked for, or which version was found.
pub async fn find() -> anyhow::Result<PathBuf> {
    let Places { variable, rest } = places();
    let found = match variable {
        Some(path) if path.is_file() => path,
        Some(path) => bail!("{VARIABLE} names {}, which is no file", path.display()),
        None => rest.into_iter().find(|path| path.is_file()).ok_or_else(|| {
            anyhow!(
                "nats-server {}.{} or newer was not found in .tools/bin, next to this program or on the PATH: \
                 install it, name it with {VARIABLE}, or set nats.url to use one that runs",
                OLDEST.0,
                OLDEST.1
            )
        })?,
    };
    let version = version_of(&found).await?;
    match parse_version(&version) {
        Some(parsed) if parsed >= OLDEST => Ok(found),
        _ => bail!(
            "{} is \"{version}\", and {}.{} or newer is needed: install a newer one, or name it with {VARIABLE}",
            found.display(),
            OLDEST.0,
            OLDEST.1
        ),
    }
}

async fn version_of(path: &Path) -> anyhow::Result<String> {
    let asked = Command::new(path).arg("--version").kill_on_drop(true).output();
    let cannot = || format!("{} cannot be run", path.display());
    let output = timeout(Duration::from_secs(10), asked).await.with_context(cannot)?.with_context(cannot)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Major and minor out of `nats-server: v2.15.1`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (_, numbers) = text.rsplit_once('v')?;
    let mut parts = numbers.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("nats-server: v2.15.1"), Some((2, 15)));
        assert_eq!(parse_version("nats-server: v2.14.0-RC.2"), Some((2, 14)));
        for odd in ["", "nats-server", "v", "v2", "vx.y"] {
            assert_eq!(parse_version(odd), None, "{odd}");
        }
        assert!(parse_version("nats-server: v2.9.25") < Some(OLDEST));
    }
}
