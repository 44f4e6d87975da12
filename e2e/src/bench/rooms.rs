//! A large room: what a message costs when it is sent once to each gateway, beside once to each member.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use natter_ids::{ClientId, ConversationId};
use natter_protocol::ServerFrame;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    crowd::name,
    frames::{self, Seen},
    measured::Samples,
    options::Plan,
    process::Natter,
    report::Row,
    say,
    socket::Socket,
};

/// Members that are added at the same time.
const ADDED_AT_ONCE: usize = 64;
const CONNECT_AT_ONCE: usize = 64;
/// How long a message may take to reach everybody.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long delivery may need to know for certain who is online.
const SETTLE: Duration = Duration::from_secs(5);
/// From how many members on, so that it is never.
const NEVER: (&str, &str) = ("NATTER_DELIVERY__GATEWAY_SENDS_MEMBERS_MIN", "4294967295");
/// One user adds everybody.
const UNHURRIED: [(&str, &str); 2] =
    [("NATTER_CONNECTION__USER_REQUESTS_PER_SEC", "1000000"), ("NATTER_CONNECTION__USER_REQUESTS_BURST", "1000000")];

/// Measures processor time and how long a message takes to reach everybody who is online: sent once to
/// each gateway, and once to each member.
///
/// # Errors
/// A run fails.
pub(super) async fn compared(plan: &Plan) -> Result<Vec<Row>> {
    let (members, online, count) = (plan.room_members, plan.room_online, plan.room_messages);
    say(&format!("rooms: {members} members, {online} of them online"));
    let mut together = Room::open(members, online, &UNHURRIED).await?;
    let mut alone = Room::open(members, online, &[&UNHURRIED[..], &[NEVER]].concat()).await?;
    let mut costs = [(); 2].map(|()| [Samples::default(), Samples::default(), Samples::default()]);
    for round in 0..plan.room_rounds {
        let order: [(usize, &mut Room); 2] = match round % 2 {
            0 => [(0, &mut together), (1, &mut alone)],
            _ => [(1, &mut alone), (0, &mut together)],
        };
        for (index, room) in order {
            let told = room.talk(count).await;
            let [natter, nats, seconds] = told.with_context(|| room.natter.last_words())?;
            say(&format!("  {}: natter {natter:.4} s, nats-server {nats:.4} s, {seconds:.3} s each", WAYS[index]));
            costs[index].iter_mut().zip([natter, nats, seconds * 1_000.0]).for_each(|(all, one)| all.push(one));
        }
    }
    together.close().await;
    alone.close().await;
    let mut rows = Vec::new();
    for (way, [natter, nats, latency]) in WAYS.iter().zip(costs) {
        let what = format!("room of {members}, {online} online, sent {way}");
        rows.push(Row::new(format!("{what}: CPU per 1,000 delivered, natter"), "s", natter));
        rows.push(Row::new(format!("{what}: CPU per 1,000 delivered, nats-server"), "s", nats));
        rows.push(Row::new(format!("{what}: until everybody has it"), "ms", latency));
    }
    Ok(rows)
}

/// Measures how long a message takes to reach everybody who is online in the largest room that there may be.
///
/// # Errors
/// A run fails.
pub(super) async fn largest(plan: &Plan) -> Result<Vec<Row>> {
    let (members, online) = (plan.largest_room_members, plan.room_online);
    say(&format!("rooms: {members} members, {online} of them online"));
    let mut room = Room::open(members, online, &UNHURRIED).await?;
    let mut latency = Samples::default();
    for _ in 0..plan.room_rounds {
        let told = room.talk(plan.room_messages).await;
        let [natter, nats, seconds] = told.with_context(|| room.natter.last_words())?;
        say(&format!("  natter {natter:.4} s, nats-server {nats:.4} s, {seconds:.3} s each"));
        latency.push(seconds * 1_000.0);
    }
    room.close().await;
    Ok(vec![Row::new(format!("room of {members}, {online} online: until everybody has it"), "ms", latency)])
}

const WAYS: [&str; 2] = ["once to each gateway", "once to each member"];

/// A deployment with a room, somebody who speaks, and those who listen.
struct Room {
    natter: Natter,
    conversation: ConversationId,
    said: u64,
    heard: Arc<AtomicU64>,
    listeners: JoinSet<Result<()>>,
}

impl Room {
    async fn open(members: usize, online: usize, variables: &[(&str, &str)]) -> Result<Self> {
        let natter = Natter::start_with(variables).await?;
        let mut speaker = Socket::open(&natter.address, &name(0), 0, None).await?;
        speaker.caught_up().await?;
        let conversation = speaker.create_group(ClientId::now(), "room").await?;
        fill(&mut speaker, &conversation, members).await.with_context(|| natter.last_words())?;
        let (heard, address) = (Arc::new(AtomicU64::new(0)), &natter.address);
        let connecting = (1..=online).map(|user| async move {
            let number = u32::try_from(user)?;
            let mut socket = Socket::open(address, &name(user), number, None).await?;
            socket.caught_up().await?;
            anyhow::Ok(socket)
        });
        let sockets: Vec<_> = stream::iter(connecting).buffer_unordered(CONNECT_AT_ONCE).try_collect().await?;
        let mut listeners = JoinSet::new();
        for socket in sockets {
            listeners.spawn(listen(socket, Arc::clone(&heard)));
        }
        // Nobody would answer its pings while the other room is filled.
        speaker.close().await?;
        sleep(SETTLE).await;
        Ok(Self { natter, conversation, said: 0, heard, listeners })
    }

    async fn close(mut self) {
        self.listeners.shutdown().await;
    }

    /// Says so many things, each once everybody has heard the one before; returns seconds of processor time
    /// per 1,000 delivered, of natter and of nats-server, and seconds until everybody had it.
    async fn talk(&mut self, count: usize) -> Result<[f64; 3]> {
        let mut speaker = Socket::open(&self.natter.address, &name(0), 0, None).await?;
        speaker.caught_up().await?;
        let before = (self.natter.cpu()?, self.natter.nats.cpu()?, self.heard.load(Relaxed));
        let began = Instant::now();
        for _ in 0..count {
            self.said += 1;
            speaker.send(frames::send(self.said, &self.conversation, 0, 0)).await?;
            let expected = self.said * self.listeners.len() as u64;
            timeout(PATIENCE, self.until_heard(&mut speaker, expected)).await.context("not everybody hears it")??;
        }
        let seconds = began.elapsed().as_secs_f64() / count as f64;
        let delivered = (self.heard.load(Relaxed) - before.2) as f64;
        let per_thousand = |cpu: f64| cpu / delivered * 1_000.0;
        let (natter, nats) = (self.natter.cpu()? - before.0, self.natter.nats.cpu()? - before.1);
        speaker.close().await?;
        Ok([per_thousand(natter), per_thousand(nats), seconds])
    }

    async fn until_heard(&mut self, speaker: &mut Socket, expected: u64) -> Result<()> {
        loop {
            tokio::select! {
                frame = speaker.next() => if let Seen::Refused(why) = frames::read(&frame?) {
                    bail!("a message was refused: {why}");
                },
                Some(ended) = self.listeners.join_next() => ended??,
                () = sleep(Duration::from_millis(1)) => {}
            }
            if self.heard.load(Relaxed) >= expected {
                return Ok(());
            }
        }
    }
}

async fn listen(mut socket: Socket, heard: Arc<AtomicU64>) -> Result<()> {
    loop {
        if let Seen::Message { .. } = frames::read(&socket.next().await?) {
            heard.fetch_add(1, Relaxed);
        }
    }
}

/// Adds members until there are so many.
async fn fill(speaker: &mut Socket, room: &ConversationId, members: usize) -> Result<()> {
    let (began, mut asked, mut done) = (Instant::now(), 1, 1);
    while done < members {
        while asked < members && asked - done < ADDED_AT_ONCE {
            let add = serde_json::json!({"type": "add_member", "id": asked, "conversation": room, "user": name(asked)});
            speaker.feed(add.to_string()).await?;
            asked += 1;
        }
        speaker.flush().await?;
        match frames::read(&speaker.next().await?) {
            Seen::Accepted => done += 1,
            Seen::Refused(why) => bail!("member {done} was refused: {why}"),
            _ => continue,
        }
        if done % 10_000 == 0 {
            say(&format!("  {done} members, {:.0}/s", done as f64 / began.elapsed().as_secs_f64()));
        }
    }
    ensure!(done == members, "{done} members instead of {members}");
    // What is accepted is archived soon; whoever listens must be a member by then.
    let page = serde_json::json!({"type": "members", "id": 0, "conversation": room, "after": name(members - 1)});
    speaker.send(page.to_string()).await?;
    speaker.wait_for("members", |frame| matches!(frame, ServerFrame::Members { .. }).then_some(())).await
}
