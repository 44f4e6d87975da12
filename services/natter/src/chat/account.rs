//! What is the user's own, whatever the conversation: their devices.

use natter_client::{Client, Fatal, RequestError};
use natter_ids::DeviceId;
use natter_protocol::{CloseCode, DeviceView, ErrorCode};

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
            _ => {}
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
