//! What is the user's own, whatever the conversation: their devices.

use natter_client::{Client, Fatal, RequestError};
use natter_ids::{ConversationId, DeviceId, Seq, UserId};
use natter_protocol::{Audience, BlockView, CloseCode, DeviceView, ErrorCode, PresenceView, PrivacyView};

use super::{answers::Answer, command::Line, session::Session, style::Style};

/// What this device is called in the list of devices.
pub fn device_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().filter(|c| !c.is_control()).take(64).collect();
    if host.is_empty() { "natter chat".to_owned() } else { format!("natter chat on {host}") }
}

/// Whether the client gave up because the device was signed out.
pub fn is_signed_out(fatal: &Fatal) -> bool {
    match fatal {
        Fatal::Closed(code) => *code == CloseCode::DeviceRevoked,
        Fatal::Refused(error) => error.code == ErrorCode::DeviceRevoked,
        Fatal::ClosedUnknown(_) => false,
    }
}

impl Session {
    /// Handles a typed line that concerns no conversation.
    pub(super) fn account(&mut self, line: Line) {
        let style = self.style.clone();
        match line {
            Line::Devices => self.ask(|client| async move { Answer::Lines(devices(&client, &style, None).await) }),
            Line::Revoke(device) => {
                self.ask(|client| async move { Answer::Lines(devices(&client, &style, Some(device)).await) });
            }
            Line::Block(user) => self.ask(|client| async move {
                let said = style
                    .notice(&format!("in your direct conversation you hear nothing more from {}", style.name(&user)));
                Answer::Lines(client.block(&user).await.map(|_| vec![said]))
            }),
            Line::Unblock(user) => self.ask(|client| async move {
                let said = style.notice(&format!("{} is not blocked", style.name(&user)));
                Answer::Lines(client.unblock(&user).await.map(|_| vec![said]))
            }),
            Line::Blocks => self.ask(|client| async move {
                let line = |block: &BlockView| {
                    format!("  {}: blocked since {}", style.name(&block.user), style.day_and_time(block.since))
                };
                Answer::Lines(client.blocks().await.map(|page| page.blocks.iter().map(line).collect()))
            }),
            Line::Away(away) => {
                self.away = away;
                self.ask(|client| async move {
                    let said = style.notice(if away { "you are away" } else { "you are here" });
                    Answer::Lines(client.set_away(away).await.map(|()| vec![said]))
                });
            }
            Line::Hide(hide) => self.ask(|client| async move {
                let presence = if hide { Audience::Nobody } else { Audience::Contacts };
                let said = if hide {
                    "nobody sees whether you are online"
                } else {
                    "whom you talk with sees whether you are online"
                };
                let said = style.notice(said);
                Answer::Lines(client.set_privacy(PrivacyView { presence }).await.map(|_| vec![said]))
            }),
            _ => {}
        }
    }
}

impl Session {
    /// Shows what somebody said while they were blocked.
    pub(super) fn unblocked(&mut self, user: UserId, conversation: ConversationId, after: Seq) {
        let name = self.style.name(&user);
        self.notice(&format!("{name} is blocked no more"));
        let style = self.style.clone();
        self.ask(|client| async move {
            let page = client.history(&conversation, None, Some(after), None).await;
            Answer::Lines(page.map(|page| {
                let theirs = page.events.iter().filter(|event| event.entry.sender == user);
                let said: Vec<_> = theirs.filter_map(|event| style.event(event)).collect();
                let rule = (!said.is_empty()).then(|| style.rule(&format!("{name} said meanwhile")));
                let more = page.more.then(|| style.notice("there is more: /history shows it in the conversation"));
                rule.into_iter().chain(said).chain(more).collect()
            }))
        });
    }

    /// Says again that the user is away, who has said so before: a new session knows nothing of it.
    pub(super) fn still_away(&mut self) {
        if self.away {
            self.ask(|client| async move { Answer::Changed(client.set_away(true).await) });
        }
    }

    /// Watches the other one of a direct conversation.
    pub(super) fn watch(&mut self, peer: &UserId) {
        if *peer == self.style.me {
            return;
        }
        let peer = peer.clone();
        self.ask(|client| async move { Answer::Seen(client.watch_presence(&[peer]).await) });
    }

    /// Says how somebody is, when that is news.
    pub(super) fn somebody_came_or_went(&mut self, view: &PresenceView) {
        let state = presence(&self.style, view);
        if self.presence.as_ref() == Some(&state) {
            return;
        }
        self.presence = Some(state.clone());
        let name = self.style.name(&view.user);
        self.notice(&format!("{name}: {state}"));
    }
}

/// How somebody is, in words.
pub fn presence(style: &Style, view: &PresenceView) -> String {
    match view {
        PresenceView { online: true, away: true, .. } => "away".to_owned(),
        PresenceView { online: true, .. } => "online".to_owned(),
        PresenceView { last_seen: Some(at), .. } => format!("last seen {}", style.day_and_time(*at)),
        _ => "offline".to_owned(),
    }
}

/// The devices as lines, once one was revoked.
async fn devices(client: &Client, style: &Style, revoked: Option<DeviceId>) -> Result<Vec<String>, RequestError> {
    let mut lines = Vec::new();
    let page = match &revoked {
        Some(device) => {
            lines.push(style.notice(&format!("{device} is signed out")));
            client.revoke_device(device).await?
        }
        None => client.devices().await?,
    };
    lines.extend(page.devices.iter().map(|device| line(style, device)));
    Ok(lines)
}

fn line(style: &Style, view: &DeviceView) -> String {
    let DeviceView { device, name, last_seen, connected, current, .. } = view;
    let name = name.as_ref().map(|name| format!(" ({})", super::style::clean(name))).unwrap_or_default();
    let state = match (current, connected) {
        (true, _) => "this device".to_owned(),
        (false, true) => "connected".to_owned(),
        (false, false) => format!("last seen {}", style.day_and_time(*last_seen)),
    };
    format!("  {device}{name}: {state}")
}
