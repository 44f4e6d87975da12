//! Random values of marks and of the list of conversations.

use super::*;

pub(super) fn mark_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (conversation(), option::of(seq()), option::of(seq()))
            .prop_map(|(conversation, delivered, read)| Request::Mark { conversation, delivered, read }),
        (option::of(position()), option::of(any::<u32>())).prop_map(|(since, limit)| Request::Marks { since, limit }),
        (conversation(), seq(), option::of(user()), option::of(any::<u32>()))
            .prop_map(|(conversation, seq, after, limit)| Request::Receipts { conversation, seq, after, limit }),
        (option::of(any::<bool>()), option::of(strangers())).prop_map(|(read_receipts, strangers)| {
            Request::ChangeSettings { draft: SettingsDraft { read_receipts, strangers } }
        }),
        (option::of(overview_position()), option::of(cursor()), option::of(any::<u32>()), show())
            .prop_map(|(since, after, limit, requests)| Request::Overview { since, after, limit, requests }),
        (conversation(), option::of(any::<u64>()), vec(option::of(any::<bool>()), 3)).prop_map(
            |(conversation, muted_until, said)| {
                let (pinned, archived, accepted) = (said[0], said[1], said[2]);
                Request::Arrange { conversation, draft: ArrangementDraft { muted_until, pinned, archived, accepted } }
            }
        ),
    ]
}

fn strangers() -> impl Strategy<Value = Strangers> {
    select([Strangers::Allow, Strangers::Request].as_slice())
}

fn show() -> impl Strategy<Value = ShowRequests> {
    select([ShowRequests::Without, ShowRequests::With, ShowRequests::Only].as_slice())
}

fn settings() -> impl Strategy<Value = SettingsView> {
    (any::<bool>(), strangers()).prop_map(|(read_receipts, strangers)| SettingsView { read_receipts, strangers })
}

pub(super) fn overview_position() -> impl Strategy<Value = OverviewPosition> {
    (1_usize..64).prop_flat_map(|count| (vec(seq(), count), vec(seq(), count))).prop_map(|(entries, marks)| {
        OverviewPosition { entries: Position::from_seqs(entries), marks: Position::from_seqs(marks) }
    })
}

pub(super) fn cursor() -> impl Strategy<Value = OverviewCursor> {
    (any::<bool>(), any::<u64>(), conversation(), overview_position()).prop_map(
        |(pinned, active_at, conversation, position)| OverviewCursor { pinned, active_at, conversation, position },
    )
}

pub(super) fn arrangement() -> impl Strategy<Value = Arrangement> {
    (option::of(any::<u64>()), any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(muted_until, pinned, archived, request)| Arrangement { muted_until, pinned, archived, request })
}

pub(super) fn overview_item() -> impl Strategy<Value = OverviewItem> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), seq(), seq(), any::<bool>());
    (conversation_view(), option::of(event()), marks_view(), arrangement(), numbers).prop_map(
        |(view, last, marks, arrangement, (active_at, unread, mentions, delivered, read, cut))| OverviewItem {
            view,
            active_at,
            last,
            cut,
            unread,
            mentions,
            delivered,
            read,
            marks: marks.marks,
            arrangement,
        },
    )
}

pub(super) fn overview_frame() -> impl Strategy<Value = ServerFrame> {
    let arranged = || {
        (conversation(), arrangement())
            .prop_map(|(conversation, arrangement)| ArrangementView { conversation, arrangement })
    };
    let page = (vec(overview_item(), 0..3), vec(conversation(), 0..3), overview_position(), option::of(cursor()))
        .prop_map(|(conversations, gone, position, next)| OverviewPage { conversations, gone, position, next });
    prop_oneof![
        (any::<u64>(), page).prop_map(|(id, page)| ServerFrame::Overview { id, page }),
        (any::<u64>(), arranged()).prop_map(|(id, arranged)| ServerFrame::Arranged { id, arranged }),
        arranged().prop_map(|arranged| ServerFrame::ArrangementChanged { arranged }),
    ]
}

pub(super) fn marks_view() -> impl Strategy<Value = MarksView> {
    let mark = (user(), seq(), seq()).prop_map(|(user, delivered, read)| MarkView { user, delivered, read });
    (conversation(), vec(mark, 0..3)).prop_map(|(conversation, marks)| MarksView { conversation, marks })
}

pub(super) fn mark_frame() -> impl Strategy<Value = ServerFrame> {
    prop_oneof![
        (any::<u64>(), conversation(), seq(), seq()).prop_map(|(id, conversation, delivered, read)| {
            ServerFrame::Marked { id, marked: MarkedView { conversation, delivered, read } }
        }),
        (any::<u64>(), vec(marks_view(), 0..3), position(), any::<bool>()).prop_map(
            |(id, conversations, position, more)| {
                ServerFrame::Marks { id, page: MarkPage { conversations, position, more } }
            }
        ),
        marks_view().prop_map(|marks| ServerFrame::MarksChanged { marks }),
        (any::<u64>(), marks_view(), seq(), any::<[u32; 3]>(), any::<bool>()).prop_map(
            |(id, MarksView { conversation, marks }, seq, [members, delivered, read], more)| {
                let page = ReceiptPage { conversation, seq, members, delivered, read, marks, more };
                ServerFrame::Receipts { id, page }
            }
        ),
        (any::<u64>(), settings()).prop_map(|(id, settings)| ServerFrame::Settings { id, settings }),
        settings().prop_map(|settings| ServerFrame::SettingsChanged { settings }),
    ]
}
