//! Who has received and read what one said, and the list of conversations.

use std::collections::HashMap;

use natter_client::{Client, RequestError};
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{ArrangementDraft, Change, MarksView, OverviewItem, ShowRequests, Strangers};

use super::{
    answers::Answer,
    command::Line,
    requests::label,
    session::Session,
    style::{Style, clean, now_ms},
};

/// A long time: until somebody says otherwise.
const MUTED_FOR_GOOD: u64 = i64::MAX as u64;

/// What was told of others' marks in the open conversation.
#[derive(Debug, Default)]
pub struct Seen(HashMap<UserId, (Seq, Seq)>);

impl Seen {
    /// What there is to tell about one's newest message: once that it has come, once that it is read.
    fn news(&mut self, marks: &MarksView, newest: Seq, style: &Style) -> Vec<String> {
        let mut lines = Vec::new();
        for mark in marks.marks.iter().filter(|mark| mark.user != style.me && newest > 0) {
            let told = self.0.entry(mark.user.clone()).or_default();
            let who = style.name(&mark.user);
            if mark.read >= newest && told.1 < newest {
                lines.push(style.dim(&format!("  ✓✓ read by {who}")));
                *told = (newest, newest);
            } else if mark.delivered >= newest && told.0 < newest {
                lines.push(style.dim(&format!("  ✓✓ delivered to {who}")));
                told.0 = newest;
            }
        }
        lines
    }
}

impl Session {
    /// Others have come further.
    pub(super) fn marks_changed(&mut self, marks: &MarksView) {
        let Some(transcript) = &self.transcript else { return };
        if transcript.conversation != marks.conversation {
            return;
        }
        let lines = self.seen.news(marks, transcript.newest_own(), &self.style);
        lines.iter().for_each(|line| self.print(line));
    }

    /// Everything on the screen is read.
    pub(super) fn tell_read(&self) {
        if let Some(transcript) = &self.transcript
            && let Some(newest) = transcript.newest()
        {
            self.client.read(&transcript.conversation, newest);
        }
    }

    /// Asks who has seen one's newest message.
    pub(super) fn ask_seen(&mut self) {
        let Some(transcript) = &self.transcript else { return };
        let (here, newest, style) = (transcript.conversation.clone(), transcript.newest_own(), self.style.clone());
        if newest > 0 {
            self.ask(|client| async move { Answer::Lines(seen(&client, &here, newest, &style).await) });
        }
    }

    /// Commands that need no open conversation.
    pub(super) fn act_anywhere(&mut self, line: &Line) -> bool {
        let style = self.style.clone();
        match line {
            Line::List => {
                self.ask(|client| async move { Answer::Lines(list(&client, ShowRequests::Without, &style).await) })
            }
            Line::Requests => {
                self.ask(|client| async move { Answer::Lines(list(&client, ShowRequests::Only, &style).await) })
            }
            Line::Strangers(wanted) => {
                let wanted = *wanted;
                self.ask(|client| async move { Answer::Lines(strangers(&client, wanted, &style).await) });
            }
            Line::Receipts(on) => {
                let on = *on;
                self.ask(|client| async move { Answer::Lines(receipts(&client, on, &style).await) });
            }
            _ => return false,
        }
        true
    }

    /// Arranges the open conversation.
    pub(super) fn arrange(&mut self, here: ConversationId, draft: ArrangementDraft) {
        let style = self.style.clone();
        self.ask(|client| async move {
            let arranged = client.arrange(&here, draft).await;
            Answer::Lines(
                arranged.map(|arranged| vec![style.notice(&flags(&arranged.arrangement, "in your list as before"))]),
            )
        });
    }
}

/// The change that a command stands for.
pub fn draft(line: &Line) -> Option<ArrangementDraft> {
    Some(match line {
        Line::Mute(seconds) => {
            let until = match seconds {
                0 => 0,
                seconds => now_ms().saturating_add(seconds.saturating_mul(1_000)).min(MUTED_FOR_GOOD),
            };
            ArrangementDraft { muted_until: Some(until), ..ArrangementDraft::default() }
        }
        Line::Top(on) => ArrangementDraft { pinned: Some(*on), ..ArrangementDraft::default() },
        Line::Archive(on) => ArrangementDraft { archived: Some(*on), ..ArrangementDraft::default() },
        Line::Accept => ArrangementDraft { accepted: Some(true), ..ArrangementDraft::default() },
        _ => return None,
    })
}

fn flags(arrangement: &natter_protocol::Arrangement, none: &str) -> String {
    let muted = arrangement.muted_until.is_some_and(|until| until > now_ms());
    let all = [
        ("request", arrangement.request),
        ("pinned", arrangement.pinned),
        ("muted", muted),
        ("archived", arrangement.archived),
    ];
    let flags: Vec<_> = all.into_iter().filter_map(|(name, set)| set.then_some(name)).collect();
    if flags.is_empty() { none.to_owned() } else { flags.join(", ") }
}

async fn seen(client: &Client, of: &ConversationId, seq: Seq, style: &Style) -> Result<Vec<String>, RequestError> {
    let page = client.receipts(of, seq, None, None).await?;
    let names = |wanted: fn(&natter_protocol::MarkView) -> Seq| {
        let names = page.marks.iter().filter(|mark| wanted(mark) >= seq).map(|mark| style.name(&mark.user));
        names.collect::<Vec<_>>().join(", ")
    };
    if page.delivered == 0 {
        return Ok(vec![style.dim("  ✓ sent")]);
    }
    let mut lines =
        vec![format!("  ✓✓ delivered to {} of {}: {}", page.delivered, page.members, names(|mark| mark.delivered))];
    if page.read > 0 {
        lines.push(format!("  ✓✓ read by {} of {}: {}", page.read, page.members, names(|mark| mark.read)));
    }
    Ok(lines.iter().map(|line| style.dim(line)).collect())
}

async fn receipts(client: &Client, on: bool, style: &Style) -> Result<Vec<String>, RequestError> {
    let settings = client.settings(Some(on)).await?;
    let said = match settings.read_receipts {
        true => "others see what you read, and you what they read",
        false => "others do not see what you read, nor you what they read",
    };
    Ok(vec![style.notice(said)])
}

/// The list of conversations, as lines.
///
/// # Errors
/// [`RequestError`].
async fn list(client: &Client, requests: ShowRequests, style: &Style) -> Result<Vec<String>, RequestError> {
    let overview = client.overview_showing(requests, None).await?;
    if overview.conversations.is_empty() && requests == ShowRequests::Only {
        return Ok(vec![style.notice("nobody waits for you to accept")]);
    }
    Ok(overview.conversations.iter().map(|item| line(item, style)).collect())
}

async fn strangers(client: &Client, wanted: Strangers, style: &Style) -> Result<Vec<String>, RequestError> {
    let said = match client.set_strangers(wanted).await?.strangers {
        Strangers::Request => "what strangers begin waits in /requests until you accept it",
        Strangers::Allow => "what strangers begin is a conversation like any other",
    };
    Ok(vec![style.notice(said)])
}

/// A conversation of the list.
pub fn line(item: &OverviewItem, style: &Style) -> String {
    let unread = if item.unread > 0 { format!(", {} unread", item.unread) } else { String::new() };
    let mentions = if item.mentions > 0 { format!(" @{}", item.mentions) } else { String::new() };
    let flags = flags(&item.arrangement, "");
    let flags = if flags.is_empty() { flags } else { format!(" ({flags})") };
    let last = item.last.as_ref().and_then(|event| match &event.entry.change {
        Change::Message { text, .. } => {
            let first = clean(text.lines().next().unwrap_or_default());
            Some(format!(": {} {first}{}", style.name(&event.entry.sender), if item.cut { "…" } else { "" }))
        }
        _ => None,
    });
    format!("  {}{unread}{mentions}{flags}{}", label(&item.view), style.dim(&last.unwrap_or_default()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::tz::TimeZone;
    use natter_protocol::{Arrangement, ConversationView, MarkView, Role};

    use super::*;

    #[test]
    fn the_list_tells_what_waits() {
        let user = |name: &str| UserId::new(name).unwrap();
        let style = Style { colour: false, me: user("alice"), zone: TimeZone::UTC };
        let view = ConversationView {
            conversation: ConversationId::direct(&user("alice"), &user("bob")),
            name: Some("friends".to_owned()),
            peer: None,
            group: None,
            timer_seconds: None,
            role: Role::Member,
            last_seq: 9,
        };
        let arrangement = Arrangement { pinned: true, ..Arrangement::default() };
        let (delivered, read, marks) = (0, 0, Vec::new());
        let mut item = OverviewItem {
            view,
            active_at: 0,
            last: None,
            cut: false,
            unread: 5,
            mentions: 2,
            delivered,
            read,
            marks,
            arrangement,
        };
        assert_eq!(line(&item, &style), "  #friends, 5 unread @2 (pinned)");
        (item.unread, item.mentions) = (0, 0);
        assert_eq!(line(&item, &style), "  #friends (pinned)");
    }

    #[test]
    fn each_thing_is_told_once_and_only_of_the_newest() {
        let user = |name: &str| UserId::new(name).unwrap();
        let style = Style { colour: false, me: user("alice"), zone: TimeZone::UTC };
        let mut seen = Seen::default();
        let mut news = |name: &str, delivered, read, newest| {
            let marks = vec![MarkView { user: user(name), delivered, read }];
            let conversation = ConversationId::direct(&user("alice"), &user("bob"));
            seen.news(&MarksView { conversation, marks }, newest, &style).join("|")
        };
        assert_eq!(news("bob", 3, 3, 4), "", "not the newest");
        assert_eq!(news("alice", 4, 4, 4), "", "one's own");
        assert_eq!(news("bob", 4, 3, 4), "  ✓✓ delivered to bob");
        assert_eq!(news("bob", 4, 3, 4), "");
        assert_eq!(news("bob", 4, 4, 4), "  ✓✓ read by bob");
        assert_eq!(news("bob", 5, 5, 5), "  ✓✓ read by bob", "which tells that it was delivered");
        assert_eq!(news("carol", 5, 0, 5), "  ✓✓ delivered to carol");
    }
}
