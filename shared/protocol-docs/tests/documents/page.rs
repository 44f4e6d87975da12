//! What `docs/protocol.md` shows is what the types read and write.

use std::{collections::BTreeSet, fs};

use natter_protocol::{
    AcceptedView, ArrangementView, BacklogPage, BlockPage, ClientFrame, CloseCode, ConversationPage, ConversationView,
    DevicePage, ErrorBody, ErrorCode, HistoryPage, InvitePage, InviteView, MarkPage, MarkedView, MemberPage,
    OverviewPage, PresencePage, PrivacyView, ReactorPage, ReceiptPage, ServerFrame, SettingsView, TicketGrant,
    decode_client_frame,
};
use natter_protocol_docs::docs_dir;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::examples::{client_types, server_types};

fn page() -> String {
    fs::read_to_string(docs_dir().join("protocol.md")).unwrap()
}

/// Fenced blocks: the label and the text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap_or((block, ""))).collect()
}

/// A text is the very JSON that the type writes: nothing misspelt, nothing more.
fn assert_is<T: Serialize + DeserializeOwned>(text: &str) {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let read: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(serde_json::to_value(&read).unwrap(), value, "the type does not write this");
}

fn assert_is_client_frame(text: &str) {
    decode_client_frame(text).unwrap_or_else(|refused| panic!("{}: {text}", refused.error));
    assert_is::<ClientFrame>(text);
}

#[test]
fn every_example_parses_as_what_it_is_said_to_be() {
    let page = page();
    let mut types = BTreeSet::new();
    for (label, text) in blocks(&page).into_iter().filter_map(|(label, text)| Some((label.strip_prefix("json")?, text)))
    {
        match label.trim() {
            "client" => assert_is_client_frame(text),
            "server" => assert_is::<ServerFrame>(text),
            "PostedAnswer" => {
                assert_is::<ServerFrame>(text);
                continue;
            }
            "ErrorBody" => assert_is::<ErrorBody>(text),
            "TicketGrant" => assert_is::<TicketGrant>(text),
            "BacklogPage" => assert_is::<BacklogPage>(text),
            "ConversationPage" => assert_is::<ConversationPage>(text),
            "ConversationView" => assert_is::<ConversationView>(text),
            "InvitePage" => assert_is::<InvitePage>(text),
            "InviteView" => assert_is::<InviteView>(text),
            "ReactorPage" => assert_is::<ReactorPage>(text),
            "MemberPage" => assert_is::<MemberPage>(text),
            "HistoryPage" => assert_is::<HistoryPage>(text),
            "AcceptedView" => assert_is::<AcceptedView>(text),
            "MarkedView" => assert_is::<MarkedView>(text),
            "MarkPage" => assert_is::<MarkPage>(text),
            "ReceiptPage" => assert_is::<ReceiptPage>(text),
            "OverviewPage" => assert_is::<OverviewPage>(text),
            "ArrangementView" => assert_is::<ArrangementView>(text),
            "SettingsView" => assert_is::<SettingsView>(text),
            "PresencePage" => assert_is::<PresencePage>(text),
            "DevicePage" => assert_is::<DevicePage>(text),
            "PrivacyView" => assert_is::<PrivacyView>(text),
            "BlockPage" => assert_is::<BlockPage>(text),
            other => panic!("a JSON block must say what it is; `{other}` is not known: {text}"),
        }
        let value: Value = serde_json::from_str(text).unwrap();
        types.extend(value["type"].as_str().map(|kind| format!("{} {kind}", label.trim())));
    }
    let client = client_types().into_iter().map(|kind| format!("client {kind}"));
    let expected: BTreeSet<_> = client.chain(server_types().into_iter().map(|kind| format!("server {kind}"))).collect();
    assert_eq!(types, expected, "every frame has an example on the page");
}

#[test]
fn the_session_shown_is_made_of_real_frames() {
    let page = page();
    let lines: Vec<_> = page.lines().filter(|line| line.starts_with(['→', '←'])).collect();
    assert!(lines.len() > 10, "only {} frames were found", lines.len());
    for line in lines {
        match line.split_once(' ').unwrap() {
            ("→", text) => assert_is_client_frame(text),
            (_, text) => assert_is::<ServerFrame>(text),
        }
    }
}

/// The session shown obeys the rules of the page.
#[test]
fn the_session_shown_has_no_hole_and_answers_every_request() {
    let page = page();
    let frame = |line: &str| serde_json::from_str::<Value>(line.split_once(' ').unwrap().1).unwrap();
    let lines: Vec<_> = page.lines().filter(|line| line.starts_with(['→', '←'])).collect();
    let (sent, received): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with('→'));
    let received: Vec<_> = received.into_iter().map(&frame).collect();
    for id in sent.into_iter().filter_map(|line| frame(line)["id"].as_u64()) {
        assert_eq!(received.iter().filter(|answer| answer["id"] == id).count(), 1, "answers to {id}");
    }
    let events: Vec<_> = received.iter().filter(|frame| frame["type"] == "event").collect();
    assert!(events.windows(2).all(|pair| pair[1]["prev"] == pair[0]["seq"]), "a hole");
}

/// A row for each code, with its number; the rows are generated, the headings are not.
#[test]
fn the_tables_hold_every_code() {
    let page = page();
    let section =
        |heading: &str| page.split_once(&format!("\n## {heading}\n")).unwrap().1.split("\n## ").next().unwrap();
    let errors = section("Error codes");
    for code in ErrorCode::ALL {
        assert!(errors.contains(&format!("\n| `{code}` | {} |", code.http_status())), "{code}");
    }
    let closes = section("Close codes");
    for code in CloseCode::ALL {
        assert!(closes.contains(&format!("\n| {} | `{}` |", code.number(), code.reason())), "{code:?}");
    }
}

/// Links inside the page lead somewhere.
#[test]
fn links_resolve() {
    let page = page();
    let headings = page.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()));
    let anchor = |heading: &str| -> String {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|it| it.is_alphanumeric() || *it == '-' || *it == '_').collect()
    };
    let anchors: BTreeSet<_> = headings.map(anchor).collect();
    for link in page.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(anchors.contains(link), "`#{link}` leads nowhere");
    }
    for file in page.split("](protocol/").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(docs_dir().join("protocol").join(file).exists(), "{file}");
    }
}
