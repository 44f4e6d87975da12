//! `natter backup` and `natter restore`.

mod copies;
mod site;

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use natter_bus::{Bus, FRESH_ID_AGE_MS, FUTURE_ID_MS, definitions};
use natter_config::Config;
use natter_ids::Partition;
use natter_storage::{Restorer, Survey};

pub use copies::Occupied;
pub use site::Running;

use crate::{
    cli::{BackupArgs, RestoreArgs},
    output,
};
use copies::Folder;
use site::Site;

/// After so many archived entries the progress is told again.
const TOLD_EVERY: u64 = 100_000;

const IDS_MS: u64 = FRESH_ID_AGE_MS + FUTURE_ID_MS;

/// `natter backup`.
///
/// # Errors
/// A sentence with what to do next.
pub async fn backup(args: &BackupArgs, config: Config) -> anyhow::Result<ExitCode> {
    let folder = Folder { path: &args.folder, postgres_bin: args.postgres_bin.as_deref() };
    let site = Site::open(config).await?;
    let saved = async {
        folder.create()?;
        folder.save(&site).await
    };
    let saved = saved.await;
    site.close().await;
    saved?;
    output::say(&format!("Backed up into {}.", args.folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// `natter restore`.
///
/// # Errors
/// A sentence with what to do next.
pub async fn restore(args: &RestoreArgs, config: Config) -> anyhow::Result<ExitCode> {
    let site = Site::open(config).await?;
    let restored = async {
        if let Some(from) = &args.from {
            let folder = Folder { path: from, postgres_bin: args.postgres_bin.as_deref() };
            let manifest = folder.open(&site)?;
            site.nobody_runs().await?;
            folder.load(&site, manifest).await?;
        }
        reconcile(&site, args.check).await
    };
    let restored = restored.await;
    site.close().await;
    restored.map(|()| ExitCode::SUCCESS)
}

async fn reconcile(site: &Site, check: bool) -> anyhow::Result<()> {
    if !check {
        site.nobody_runs().await?;
    }
    if check && is_lost(&site.bus).await? {
        output::say("The log is lost; `natter restore` makes a new one that goes on behind the archive.");
        return Ok(());
    }
    if !check {
        for change in definitions::apply(&site.bus, false).await.context("the streams cannot be made")? {
            output::say(&format!("{} {}: done", change.what, change.difference));
        }
    }
    let store = site.archive().await?;
    let restorer = Restorer::new(site.bus.clone(), store.clone());
    // All are looked at before the first is changed.
    let mut surveys = Vec::new();
    for partition in Partition::all(site.bus.partitions()) {
        surveys.push(restorer.survey(partition).await?);
    }
    surveys.iter().for_each(tell);
    if !check {
        for survey in &surveys {
            carry_out(&restorer, survey).await?;
        }
        wait_for_ids(&surveys).await;
        output::say("Restored. Services may run again.");
    }
    store.close().await;
    Ok(())
}

async fn is_lost(bus: &Bus) -> anyhow::Result<bool> {
    for partition in Partition::all(bus.partitions()) {
        if bus.log_extent(partition).await?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn tell(survey: &Survey) {
    let Survey { partition, found, plan, .. } = survey;
    let log = match found.first <= found.last {
        true => format!("the log holds {} to {}", found.first, found.last),
        false => format!("the log ends at {} and is empty", found.last),
    };
    let difference = match found.last.cmp(&found.archived) {
        std::cmp::Ordering::Less => format!(", {} behind the archive", found.archived - found.last),
        std::cmp::Ordering::Equal => String::new(),
        std::cmp::Ordering::Greater => format!(", {} to be archived", plan.entries()),
    };
    output::say(&format!(
        "partition {partition}: archived to {}, {log}{difference}; goes on at {}",
        found.archived, plan.jump.next
    ));
    if let Some(lost) = plan.lost {
        let count = match plan.lost_entries() {
            Some(1) => "1 entry is".to_owned(),
            Some(count) => format!("{count} entries are"),
            None => "nobody knows how many entries are".to_owned(),
        };
        output::complain(&format!(
            "partition {partition}: {count} LOST: neither the log nor the archive holds what is between {} and {}",
            lost.after, lost.next
        ));
    }
}

async fn carry_out(restorer: &Restorer, survey: &Survey) -> anyhow::Result<()> {
    let (partition, all) = (survey.partition, survey.plan.entries());
    let mut told = 0;
    let progress = |done: u64| {
        if done == all || done >= told + TOLD_EVERY {
            told = done;
            output::say(&format!("partition {partition}: archived {done} of {all}"));
        }
    };
    let restored = restorer.carry_out(survey, progress).await;
    restored.context("not finished; run `natter restore` again")
}

/// See [`Survey::ids_are_old_at`].
async fn wait_for_ids(surveys: &[Survey]) {
    let until = surveys.iter().map(Survey::ids_are_old_at).max().map_or(Duration::ZERO, Duration::from_millis);
    let wait = until.saturating_sub(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    // A clock that was wrong when the newest message came must not hold this up for ever.
    let wait = wait.min(Duration::from_millis(IDS_MS));
    if wait.is_zero() {
        return;
    }
    let seconds = wait.as_secs() + 1;
    output::say(&format!(
        "waiting {seconds} s: the newest messages are so new that a retry of one could become a second"
    ));
    tokio::time::sleep(wait).await;
}
