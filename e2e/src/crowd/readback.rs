//! Reading everything back once it is over: by resuming from the start, from history, and from the
//! rows of the archive.

use std::{sync::Arc, time::Duration};

use natter_checker::{Reading, Recorder, Source};
use natter_client::{Client, ClientBuilder, DisconnectReason, Notification, RequestError};
use natter_ids::{ConversationId, DeviceId, Position, UserId};
use natter_protocol::{ErrorBody, Event, HistoryPage};
use natter_testkit::archive;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Talk,
    person::{Person, seen_by},
};
use crate::{Cluster, Http};

/// How long reading in one way may take: thousands of messages, six times, in a debug build.
const LIMIT: Duration = Duration::from_secs(60);
/// Entries asked for at once.
const PAGE: u32 = 200;

/// What somebody read, and why they could not read more.
type Read = (Vec<Reading>, Option<String>);

/// Reads back what everybody may see, at another gateway than they talked through, and records it.
/// Returns why something could not be read.
///
/// New devices come first: once they are caught up, everything that anybody was sent is archived.
pub(super) async fn read_back(
    cluster: &Cluster,
    people: &[Arc<Person>],
    talks: &Arc<[Talk]>,
    recorder: &Recorder,
) -> Vec<String> {
    let (mut devices, mut histories) = (JoinSet::new(), JoinSet::new());
    let other_gateway = |number: usize| (number + 1) % cluster.gateways().len();
    for (number, person) in people.iter().enumerate() {
        let client = cluster.client(person.user().as_str(), &[other_gateway(number)]);
        devices.spawn(resume(client, Arc::clone(person), Arc::clone(talks), recorder.clone()));
    }
    let mut problems = recorded(devices, recorder).await;
    for (number, person) in people.iter().enumerate() {
        let http = cluster.http(person.user().as_str(), other_gateway(number));
        histories.spawn(histories_of(http, person.user().clone(), Arc::clone(talks)));
    }
    problems.extend(recorded(histories, recorder).await);
    match archive::entries(cluster.database_url()).await {
        Ok(rows) => talks.iter().for_each(|talk| recorder.reading(part(Source::Archive, talk, &rows))),
        Err(error) => problems.push(format!("the archive cannot be read: {error:#}")),
    }
    problems
}

async fn recorded(mut readers: JoinSet<Read>, recorder: &Recorder) -> Vec<String> {
    let mut problems = Vec::new();
    while let Some(ended) = readers.join_next().await {
        let (readings, problem) = ended.unwrap_or_else(|error| (Vec::new(), Some(error.to_string())));
        readings.into_iter().for_each(|reading| recorder.reading(reading));
        problems.extend(problem);
    }
    problems
}

/// The conversation's part of what was read.
fn part(source: Source, talk: &Talk, all: &[Event]) -> Reading {
    let events = all.iter().filter(|event| event.conversation == talk.conversation).cloned().collect();
    Reading { source, conversation: talk.conversation.clone(), events, states: Vec::new() }
}

/// What a new device is sent that presents the position before the first entry; and which marks it is
/// told of when it asks.
async fn resume(client: ClientBuilder, person: Arc<Person>, talks: Arc<[Talk]>, recorder: Recorder) -> Read {
    let user = person.user();
    let mut sent = Vec::new();
    let everything = async {
        let partitions = person.position().ok_or("it never had a position")?.partitions();
        let client = client.position(Position::start(partitions)).connect().map_err(|error| error.to_string())?;
        loop {
            match client.next_event().await {
                Some(Notification::Event(event, _)) => sent.push(*event),
                Some(Notification::CaughtUp(_)) => break,
                // It would begin anew and meet the same one for ever.
                Some(Notification::Disconnected { reason: reason @ DisconnectReason::Hole, .. }) => {
                    return Err(format!("{reason:?} behind entry {}", sent.last().map_or(0, |event| event.seq)));
                }
                Some(Notification::Fatal(fatal)) => return Err(fatal.to_string()),
                Some(_) => {}
                None => return Err("it was closed".to_owned()),
            }
        }
        let marks = marks(&client, user, &recorder).await;
        client.close().await;
        marks.map_err(|error| format!("the marks: {error}"))
    };
    let late = |_| Err(format!("not caught up in {LIMIT:?}"));
    let problem = timeout(LIMIT, everything).await.unwrap_or_else(late).err();
    let own = talks.iter().filter(|talk| talk.has_seen(user));
    let readings = own.map(|talk| part(Source::Resume(user.clone()), talk, &sent)).collect();
    (readings, problem.map(|why| format!("a new device of {user}: {why}")))
}

async fn marks(client: &Client, user: &UserId, recorder: &Recorder) -> Result<(), RequestError> {
    let device = DeviceId::random();
    let mut since = None;
    loop {
        let page = client.marks(since.as_ref(), None).await?;
        for view in page.conversations {
            for mark in &view.marks {
                recorder.mark(seen_by(user, &device, true, &view.conversation, mark));
            }
        }
        if !page.more {
            return Ok(());
        }
        since = Some(page.position);
    }
}

async fn histories_of(http: Http, user: UserId, talks: Arc<[Talk]>) -> Read {
    let mut readings = Vec::new();
    let everything = async {
        for talk in talks.iter().filter(|talk| talk.has_seen(&user)) {
            let conversation = talk.conversation.clone();
            let pages = history(&http, &conversation).await.map_err(|refused| refused.to_string())?;
            let (events, states) =
                pages.into_iter().rev().map(|page| (page.events, page.states)).unzip::<_, _, Vec<_>, Vec<_>>();
            let (events, states) = (events.into_iter().flatten().collect(), states.into_iter().flatten().collect());
            readings.push(Reading { source: Source::History(user.clone()), conversation, events, states });
        }
        Ok(())
    };
    let late = |_| Err(format!("not read in {LIMIT:?}"));
    let problem = timeout(LIMIT, everything).await.unwrap_or_else(late).err();
    (readings, problem.map(|why| format!("the history that {user} reads: {why}")))
}

/// From the newest page back to the oldest, as an application shows it to somebody who scrolls.
async fn history(http: &Http, conversation: &ConversationId) -> Result<Vec<HistoryPage>, ErrorBody> {
    let mut pages: Vec<HistoryPage> = Vec::new();
    loop {
        let oldest = pages.last().and_then(|page| page.events.first()).map(|event| event.seq);
        let before = oldest.map(|seq| format!("before={seq}&")).unwrap_or_default();
        match http.history(conversation, &format!("{before}limit={PAGE}")).await {
            Ok(page) => {
                let last = page.events.is_empty() || !page.more;
                pages.push(page);
                if last {
                    return Ok(pages);
                }
            }
            Err(refused) => {
                let Some(ms) = refused.retry_after_ms else { return Err(refused) };
                sleep(Duration::from_millis(ms.into())).await;
            }
        }
    }
}
