//! Checks of the archive.

use natter_bus::{Bus, storage_api::Archived};
use natter_ids::{Partition, Seq};
use natter_storage::DatabaseReport;

use super::{finding::Finding, patient::Patient};

/// Entries that the archive may be behind before it is worth a look, and before it is a fault.
const LAG: (u64, u64) = (1_000, 100_000);

pub fn reachable(patient: &Patient) -> Finding {
    match &patient.database {
        None => Finding::skip("`storage.url` is not set: run this where storage runs"),
        Some(Ok(report)) => {
            Finding::ok(format!("{} answers in {:.1} ms", report.version, report.round_trip.as_secs_f64() * 1000.0))
        }
        Some(Err(error)) => Finding::fail(
            error.as_str(),
            "is the database up, do user and password fit, may this machine reach it? Live messages go on meanwhile, \
             and missed ones come later",
        ),
    }
}

pub fn migrations(report: &DatabaseReport) -> Finding {
    let migrations = &report.migrations;
    if !migrations.damaged.is_empty() {
        return Finding::fail(
            format!("migrations {:?} were broken off, or are of another build", migrations.damaged),
            "restore the database from a backup; a migration must never be edited",
        );
    }
    if !migrations.missing.is_empty() {
        return Finding::fail(
            format!("migrations {:?} are missing", migrations.missing),
            "start `natter serve storage` of this release: it brings the tables up to date, and the release before goes on \
             meanwhile",
        );
    }
    if !migrations.later.is_empty() {
        let said = format!("up to date, and a later release has added {:?}", migrations.later);
        return Finding::ok(said);
    }
    Finding::ok(format!("all {} are applied", migrations.applied.len()))
}

pub fn pool(patient: &Patient, report: &DatabaseReport) -> Finding {
    let Some((used, most)) = report.connections else {
        return Finding::ok("a file: connections are this process's own");
    };
    let said = format!(
        "{used} of the server's {most} connections are in use; each storage replica takes up to {}",
        patient.config.storage.connections_max
    );
    let next = "lower storage.connections_max, run fewer replicas, or raise max_connections of PostgreSQL";
    match used * 100 / most.max(1) {
        percent if percent >= 95 => Finding::fail(said, next),
        percent if percent >= 80 => Finding::warn(said, next),
        _ => Finding::ok(said),
    }
}

/// How far each partition is archived, from the database or from whoever has one.
async fn checkpoints(patient: &Patient, bus: &Bus) -> Result<Box<dyn Fn(Partition) -> Seq + Send>, Finding> {
    match &patient.database {
        Some(Ok(report)) if report.archived.is_some() => {
            let report = report.clone();
            Ok(Box::new(move |partition| report.checkpoint(partition).unwrap_or(0)))
        }
        Some(_) => Err(Finding::skip("needs the archive")),
        None => match bus.ask(&Archived {}).await {
            Ok(position) => Ok(Box::new(move |partition| position.get(partition))),
            Err(_) => Err(Finding::skip("needs a storage replica that answers")),
        },
    }
}

pub async fn against_the_log(patient: &Patient, bus: &Bus) -> Finding {
    let archived = match checkpoints(patient, bus).await {
        Ok(archived) => archived,
        Err(skipped) => return skipped,
    };
    let (mut apart, mut behind) = (Vec::new(), 0);
    for partition in Partition::all(bus.partitions()) {
        let Ok(Some(log)) = bus.log_extent(partition).await else { continue };
        let archived = archived(partition);
        if archived > log.last {
            apart.push(format!("partition {partition} is archived to {archived}, and the log ends at {}", log.last));
        } else if log.first > archived + 1 && log.first <= log.last {
            apart.push(format!("partition {partition}: nobody has what is between {archived} and {}", log.first));
        }
        behind += log.last.saturating_sub(archived.max(log.first.saturating_sub(1)));
    }
    let said = format!("{behind} entries of the log are not archived yet");
    let late = "look at the log of storage: is the database slow, or is storage down?";
    let found = match behind {
        behind if behind >= LAG.1 => Finding::fail(said, late),
        behind if behind >= LAG.0 => Finding::warn(said, late),
        _ => Finding::ok(said),
    };
    let next = "log and archive are from different moments: stop every service and run `natter restore --check`";
    found.unless(&apart, |said| Finding::fail(said, next))
}
