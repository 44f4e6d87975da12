//! What is the user's own, whatever the conversation: their devices.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use natter_client::{Client, Fatal, RequestError};
use natter_ids::{ConversationId, DeviceId, UserId};
use natter_protocol::{CloseCode, DeviceView, ErrorCode};

use super::{answers::Answer, command::Line, session::Session, style::Style};

/// How long it is no news that somebody writes.
const WRITING_AGAIN: Duration = Duration::from_secs(15);
/// Most people who are remembered to write.
const WRITING_MAX: usize = 32;

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
            _ => {}
        }
    }
}

/// Who was said to be writing lately, so that it is not said again and again.
#[derive(Debug, Default)]
pub struct Writing(HashMap<(ConversationId, UserId), Instant>);

impl Writing {
    /// Whether it is news that somebody writes.
    fn is_news(&mut self, conversation: &ConversationId, user: &UserId, now: Instant) -> bool {
        self.0.retain(|_, said| now.duration_since(*said) < WRITING_AGAIN);
        if self.0.len() >= WRITING_MAX || self.0.contains_key(&(conversation.clone(), user.clone())) {
            return false;
        }
        self.0.insert((conversation.clone(), user.clone()), now);
        true
    }
}

impl Session {
    /// Says that somebody writes in the open conversation.
    pub(super) fn somebody_writes(&mut self, conversation: &ConversationId, user: &UserId) {
        let here = self.transcript.as_ref().is_some_and(|transcript| transcript.conversation == *conversation);
        if here && self.input.is_terminal() && self.writing.is_news(conversation, user, Instant::now()) {
            let line = self.style.name(user);
            self.notice(&format!("{line} is writing"));
        }
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
