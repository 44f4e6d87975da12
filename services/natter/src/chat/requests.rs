//! What the chat asks the gateway for.

use natter_client::{Client, RequestError};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{Change, ConversationView, HistoryPage, MemberView, ReactorView, Role};

use super::{changes::told_in_full, style::Style};

/// How much history is shown at once.
const HISTORY: u32 = 20;
/// Most conversations and members that are listed.
const LISTED_MAX: usize = 1_000;

/// What the chat is about.
#[derive(Debug, Clone)]
pub enum Target {
    /// All conversations.
    Everything,
    User(UserId),
    Room {
        name: String,
        with: Vec<UserId>,
    },
    /// The group that an invite's code leads into.
    Invite(String),
}

/// An open conversation.
#[derive(Debug)]
pub struct Opened {
    pub view: ConversationView,
    pub history: HistoryPage,
}

/// A conversation's name, with a sign for its kind.
pub fn label(view: &ConversationView) -> String {
    match (&view.name, &view.peer) {
        (Some(name), _) => format!("#{}", super::style::clean(name)),
        (None, Some(peer)) => format!("@{}", super::style::clean(peer.as_str())),
        (None, None) => view.conversation.to_string(),
    }
}

/// Opens the conversation to talk in, and reads the end of its history; for as long as it takes.
///
/// # Errors
/// [`RequestError`], when no waiting helps.
pub async fn open(client: &Client, target: &Target) -> Result<Option<Opened>, RequestError> {
    // Made once: a retry after a lost answer must not make a second room.
    let room = client.new_client_id();
    loop {
        let opened = match target {
            Target::Everything => return Ok(None),
            Target::User(user) => client.open_direct(user).await,
            Target::Invite(code) => client.join(code).await,
            Target::Room { name, with } => match find_room(client, name).await {
                Ok(Some(view)) => Ok(view),
                Ok(None) => client.create_group_with_id(room, name, with).await,
                Err(error) => Err(error),
            },
        };
        let history = match &opened {
            Ok(view) => history(client, &view.conversation, None).await,
            Err(error) => Err(error.clone()),
        };
        match (opened, history) {
            (Ok(view), Ok(page)) => return Ok(Some(Opened { view, history: page })),
            (_, Err(RequestError::Timeout)) => {}
            (Err(error), _) | (_, Err(error)) => return Err(error),
        }
    }
}

async fn find_room(client: &Client, name: &str) -> Result<Option<ConversationView>, RequestError> {
    Ok(conversations(client).await?.into_iter().find(|view| view.name.as_deref() == Some(name)))
}

/// The user's conversations.
///
/// # Errors
/// [`RequestError`].
pub async fn conversations(client: &Client) -> Result<Vec<ConversationView>, RequestError> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|view: &ConversationView| view.conversation.clone());
        let page = client.conversations(after.as_ref(), None).await?;
        all.extend(page.conversations);
        if !page.more || all.len() >= LISTED_MAX {
            return Ok(all);
        }
    }
}

/// The page of history before a number, or the newest.
///
/// # Errors
/// [`RequestError`].
pub async fn history(client: &Client, of: &ConversationId, before: Option<Seq>) -> Result<HistoryPage, RequestError> {
    client.history(of, before, None, Some(HISTORY)).await
}

/// Everything after a number. When there is nothing, the last entry, which in a log that was restored from a
/// backup comes before it.
///
/// # Errors
/// [`RequestError`].
pub async fn since(client: &Client, of: &ConversationId, after: Seq) -> Result<HistoryPage, RequestError> {
    let mut all = client.history(of, None, Some(after), None).await?;
    while all.more
        && let Some(last) = all.events.last().map(|event| event.seq)
    {
        let page = client.history(of, None, Some(last), None).await?;
        all.events.extend(page.events);
        all.states.extend(page.states);
        all.more = page.more && all.events.len() < LISTED_MAX;
    }
    if all.events.is_empty() { client.history(of, None, None, Some(1)).await } else { Ok(all) }
}

/// What a message said at first, and after each edit, as lines.
///
/// # Errors
/// [`RequestError`].
pub async fn edits(
    client: &Client,
    of: &ConversationId,
    target: Seq,
    style: &Style,
) -> Result<Vec<String>, RequestError> {
    let (mut lines, mut after, mut read) = (Vec::new(), target.saturating_sub(1), 0);
    loop {
        let page = client.history_with_edits(of, None, Some(after), None).await?;
        read += page.events.len();
        for event in &page.events {
            let text = match &event.entry.change {
                Change::Message { text, .. } if event.seq == target => text,
                Change::Edited { target: of, text, .. } if *of == target => text,
                _ => continue,
            };
            lines.push(format!("  {}: {}", style.day_and_time(event.entry.time), super::style::clean(text)));
        }
        match page.events.last() {
            Some(last) if page.more && read < LISTED_MAX => after = last.seq,
            _ => break,
        }
    }
    Ok(if lines.is_empty() { vec![style.notice("there is no such message")] } else { lines })
}

/// The pinned messages of a conversation as lines.
///
/// # Errors
/// [`RequestError`].
pub async fn pinned(client: &Client, of: &ConversationId, style: &Style) -> Result<Vec<String>, RequestError> {
    let page = told_in_full(client.pinned(of, None, None).await?);
    if page.events.is_empty() {
        return Ok(vec![style.notice("nothing is pinned")]);
    }
    let line = |event: &natter_protocol::Event| Some(format!("  #{} {}", event.seq, style.event(event)?));
    Ok(page.events.iter().filter_map(line).collect())
}

/// Who has reacted to a message, as lines.
///
/// # Errors
/// [`RequestError`].
pub async fn reactors(
    client: &Client,
    of: &ConversationId,
    target: Seq,
    style: &Style,
) -> Result<Vec<String>, RequestError> {
    let (mut lines, mut after) = (Vec::new(), None);
    loop {
        let page = client.reactors((of, target), None, after.as_ref(), None).await?;
        let line = |view: &ReactorView| {
            format!("  {}: {}", style.name(&view.user), super::style::clean(&view.emoji.join(" ")))
        };
        lines.extend(page.reactors.iter().map(line));
        after = page.reactors.into_iter().next_back().map(|view| view.user);
        if !page.more || after.is_none() || lines.len() >= LISTED_MAX {
            break;
        }
    }
    Ok(if lines.is_empty() { vec![style.notice("nobody has reacted")] } else { lines })
}

/// The members of a conversation.
///
/// # Errors
/// [`RequestError`].
pub async fn member_list(client: &Client, of: &ConversationId) -> Result<Vec<MemberView>, RequestError> {
    let mut members = Vec::new();
    loop {
        let after = members.last().map(|member: &MemberView| member.user.clone());
        let page = client.members(of, after.as_ref(), None).await?;
        members.extend(page.members);
        if !page.more || members.len() >= LISTED_MAX {
            return Ok(members);
        }
    }
}

/// The members of a conversation as lines: who, in which role, whether online.
///
/// # Errors
/// [`RequestError`].
pub async fn members(
    client: &Client,
    of: &ConversationId,
    style: &Style,
    only_online: bool,
) -> Result<Vec<String>, RequestError> {
    let members = member_list(client, of).await?;
    let mut lines = Vec::new();
    // As many as one question may name by default.
    for some in members.chunks(200) {
        let users: Vec<_> = some.iter().map(|member| member.user.clone()).collect();
        let presence = client.presence(&users).await?;
        for member in some {
            let known = presence.iter().find(|view| view.user == member.user);
            let online = member.user == style.me || known.is_some_and(|view| view.online);
            if only_online && !online {
                continue;
            }
            let role = match member.role {
                Role::Owner => ", owner",
                Role::Admin => ", admin",
                Role::Member => "",
            };
            let state = match known {
                Some(view) if member.user != style.me => super::account::presence(style, view),
                _ if online => "online".to_owned(),
                _ => "offline".to_owned(),
            };
            lines.push(format!("  {}{role}: {state}", style.name(&member.user)));
        }
    }
    Ok(lines)
}
