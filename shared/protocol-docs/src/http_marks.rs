//! The HTTP API of marks, receipts and settings, as data.

use natter_protocol::{ArrangementDraft, ErrorCode, MarkDraft};

use crate::{
    examples,
    http_api::{Operation, body, conversation, limit, query, reference, seq},
};

pub(crate) fn operations() -> anyhow::Result<Vec<Operation>> {
    Ok(vec![mark()?, receipts()?, marks()?, overview()?, arrange()?, read_settings()?, change_settings()?])
}

fn mark() -> anyhow::Result<Operation> {
    Ok(Operation {
        method: "post",
        path: "/v1/conversations/{conversation}/marks",
        id: "mark",
        summary: "Stores how far the user has come in a conversation.",
        description: "Marks only rise: a smaller number changes nothing, so a client repeats after a failure. Send the \
            newest number alone, not one request for each message.",
        parameters: vec![conversation()],
        body: Some(body("MarkDraft", MarkDraft { delivered: None, read: Some(1205) })?),
        status: 200,
        answer: body("MarkedView", examples::marked())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::NotAMember],
    })
}

fn receipts() -> anyhow::Result<Operation> {
    Ok(Operation {
        method: "get",
        path: "/v1/conversations/{conversation}/receipts",
        id: "readReceipts",
        summary: "Tells who of the other members has received and read an entry, and how many.",
        description: "Ask for the next page with `after` while `more` is true.",
        parameters: vec![
            conversation(),
            seq("seq", "The number of the entry."),
            query("after", reference("UserId"), "The last member of the page before."),
            limit(),
        ],
        body: None,
        status: 200,
        answer: body("ReceiptPage", examples::receipt_page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::NotAMember],
    })
}

fn marks() -> anyhow::Result<Operation> {
    Ok(Operation {
        method: "get",
        path: "/v1/marks",
        id: "readMarks",
        summary: "Reads which marks have changed since an earlier answer.",
        description: "Without `since`: no marks, and where the present is. Repeat at once while `more` is true.",
        parameters: vec![query("since", reference("Position"), "`position` of an earlier answer."), limit()],
        body: None,
        status: 200,
        answer: body("MarkPage", examples::mark_page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::InvalidPosition],
    })
}

fn overview() -> anyhow::Result<Operation> {
    Ok(Operation {
        method: "get",
        path: "/v1/overview",
        id: "readOverview",
        summary: "Lists the user's conversations by last activity, pinned ones first, with what is unread.",
        description: "With `since`: only those in which anything has changed. Ask for the next page with `after` while \
            `next` is there.",
        parameters: vec![
            query("since", reference("OverviewPosition"), "`position` of an earlier answer."),
            query("after", reference("OverviewCursor"), "`next` of the page before."),
            query(
                "limit",
                serde_json::json!({ "type": "integer", "minimum": 1 }),
                "How many at most, up to `overview_items_max`, which is the default too.",
            ),
            query("requests", reference("ShowRequests"), "Whether requests of strangers are among them."),
        ],
        body: None,
        status: 200,
        answer: body("OverviewPage", examples::overview_page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::InvalidPosition],
    })
}

fn arrange() -> anyhow::Result<Operation> {
    let draft = ArrangementDraft { muted_until: None, pinned: Some(true), archived: None, accepted: None };
    Ok(Operation {
        method: "post",
        path: "/v1/conversations/{conversation}/arrangement",
        id: "arrangeConversation",
        summary: "Mutes, pins or puts away a conversation in the user's list, or accepts a request, on all their devices.",
        description: "What is absent stays as it is.",
        parameters: vec![conversation()],
        body: Some(body("ArrangementDraft", draft)?),
        status: 200,
        answer: body("ArrangementView", examples::arranged())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::NotAMember],
    })
}

fn read_settings() -> anyhow::Result<Operation> {
    Ok(Operation {
        method: "get",
        path: "/v1/settings",
        id: "readSettings",
        summary: "Reads the user's settings.",
        description: "",
        parameters: Vec::new(),
        body: None,
        status: 200,
        answer: body("SettingsView", examples::settings())?,
        errors: &[],
    })
}

fn change_settings() -> anyhow::Result<Operation> {
    Ok(Operation {
        method: "post",
        path: "/v1/settings",
        id: "changeSettings",
        summary: "Changes those of the user's settings that are given.",
        description: "Answered by all of them, as they are then.",
        parameters: Vec::new(),
        body: Some(body("SettingsDraft", examples::settings_draft())?),
        status: 200,
        answer: body("SettingsView", examples::settings())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge],
    })
}
