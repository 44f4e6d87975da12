//! Many devices return at once, each with a backlog.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use natter_ids::{ConversationId, Position};
use natter_protocol::ServerFrame;
use tokio::{task::JoinSet, time::timeout};

use super::{
    frames::{self, Seen},
    options::Plan,
    process::Natter,
    socket::Socket,
};

/// Users who are prepared at the same time.
const AT_ONCE: usize = 64;
/// Messages of one writer that wait for their answer.
const IN_FLIGHT: usize = 16;
/// How long everybody may take to catch up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Devices that have missed messages and are away.
pub struct Away {
    positions: Vec<Position>,
    missed: usize,
}

/// How devices caught up.
#[derive(Debug, Clone, Copy)]
pub struct Drained {
    /// From the first connection until the last missed message, in seconds.
    pub seconds: f64,
    /// Missed messages received, per second.
    pub rate: f64,
    /// Processor seconds of `natter`.
    pub natter_cpu: f64,
}

fn reader(number: usize) -> String {
    format!("reader-{number}")
}

/// Lets devices connect once and leave, then has somebody write to each of them.
///
/// # Errors
/// A session ends or a message is refused.
pub async fn prepare(natter: &Natter, plan: &Plan) -> Result<Away> {
    let (url, missed) = (&natter.address, plan.drain_messages);
    let everybody = |number: usize| async move {
        let index = u32::try_from(number)?;
        let mut writer = Socket::open(url, &format!("writer-{number}"), index, None).await?;
        let conversation = writer.open_direct(&reader(number)).await?;
        visit(url, number).await.map(|position| (index, writer, conversation, position))
    };
    let met: Vec<_> = stream::iter((0..plan.drain_devices).map(everybody)).buffered(AT_ONCE).try_collect().await?;
    let mut writing = JoinSet::new();
    let mut positions = Vec::with_capacity(met.len());
    for (index, writer, conversation, position) in met {
        positions.push(position);
        writing.spawn(write(writer, index, conversation, missed));
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    natter.archived().await?;
    Ok(Away { positions, missed })
}

/// A reader's device is there once; returns where it stopped.
async fn visit(url: &str, number: usize) -> Result<Position> {
    let mut socket = Socket::open(url, &reader(number), u32::try_from(number)?, None).await?;
    let position = socket.caught_up().await?;
    socket.close().await?;
    Ok(position)
}

async fn write(mut socket: Socket, number: u32, conversation: ConversationId, messages: usize) -> Result<()> {
    let (mut sent, mut answered) = (0, 0);
    let all = async {
        while answered < messages {
            while sent < messages && sent - answered < IN_FLIGHT {
                sent += 1;
                socket.feed(frames::send(sent as u64, &conversation, number, 0)).await?;
            }
            socket.flush().await?;
            let frame = socket.next().await?;
            match frames::read(&frame) {
                Seen::Accepted => answered += 1,
                Seen::Refused(frame) => bail!("a message was refused: {frame}"),
                Seen::Message { .. } | Seen::Other => {}
            }
        }
        Ok(())
    };
    timeout(PATIENCE, all).await.context("the messages to miss are not accepted in time")??;
    socket.close().await
}

/// All devices return at once with their old position. May be repeated.
///
/// # Errors
/// A session ends, or a device misses a message, gets one twice or one of somebody else.
pub async fn drain(natter: &Natter, away: &Away) -> Result<Drained> {
    let (begin, before) = (Instant::now(), natter.cpu()?);
    let mut returning = JoinSet::new();
    for (number, position) in away.positions.iter().enumerate() {
        returning.spawn(catch_up(natter.address.clone(), number, position.clone(), away.missed));
    }
    let mut last = begin;
    let mut devices = Vec::with_capacity(away.positions.len());
    while let Some(returned) = returning.join_next().await {
        let (socket, received) = returned??;
        last = last.max(received);
        devices.push(socket);
    }
    let natter_cpu = natter.cpu()? - before;
    let leaving = devices.into_iter().map(|socket| Box::pin(socket.close()));
    stream::iter(leaving).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let seconds = (last - begin).as_secs_f64();
    Ok(Drained { seconds, rate: (away.positions.len() * away.missed) as f64 / seconds, natter_cpu })
}

/// Returns the session and when its last missed message came.
async fn catch_up(url: String, number: usize, position: Position, missed: usize) -> Result<(Socket, Instant)> {
    let mut socket = Box::pin(Socket::open(&url, &reader(number), u32::try_from(number)?, Some(&position))).await?;
    let (mut received, mut last) = (0, Instant::now());
    let all = async {
        loop {
            let frame = socket.next().await?;
            match frames::read(&frame) {
                Seen::Message { sender, .. } if sender as usize == number => {
                    received += 1;
                    last = Instant::now();
                }
                Seen::Message { sender, .. } => bail!("{} got a message of writer-{sender}", reader(number)),
                Seen::Refused(frame) => bail!("{} was refused: {frame}", reader(number)),
                Seen::Accepted => {}
                Seen::Other => {
                    if let Ok(ServerFrame::CaughtUp { .. }) = serde_json::from_str(&frame) {
                        return Ok(());
                    }
                }
            }
        }
    };
    timeout(PATIENCE, all).await.with_context(|| format!("{} does not catch up in time", reader(number)))??;
    ensure!(received == missed, "{} got {received} of {missed} missed messages", reader(number));
    Ok((socket, last))
}
