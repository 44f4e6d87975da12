//! What strangers begin with users who want to be asked.

use natter_bus::{
    Notice,
    storage_api::{Marks, Membership, Overview, Receipts, Settings, UserMark, Withheld},
};
use natter_ids::{ConversationId, Partition, Position, Seq, UserId};
use natter_protocol::{
    ArrangementDraft, Change, MarkDraft, OverviewPage, OverviewPosition, SettingsDraft, ShowRequests, Strangers,
};
use natter_storage::{Accepted, Store, WrittenMarks};

use crate::{
    changes::reacted,
    database::{Database, PARTITIONS},
    log::{Log, user},
    overview::arrange,
};

async fn set(store: &Store, who: &str, strangers: Strangers) {
    let draft = SettingsDraft { strangers: Some(strangers), ..SettingsDraft::default() };
    let (settings, _) = store.settings(&Settings { user: user(who), draft }).await.unwrap();
    assert_eq!((settings.strangers, settings.read_receipts), (strangers, true));
}

async fn page(store: &Store, who: &str, requests: ShowRequests, since: Option<OverviewPosition>) -> OverviewPage {
    let asked = Overview { user: user(who), since, after: None, limit: 1_000, requests, blocks: Vec::new() };
    store.overview(&asked).await.unwrap()
}

async fn listed(store: &Store, who: &str, requests: ShowRequests) -> Vec<ConversationId> {
    let mut all = Vec::new();
    for item in page(store, who, requests, None).await.conversations {
        assert!(requests == ShowRequests::With || item.arrangement.request == (requests == ShowRequests::Only));
        all.push(item.view.conversation);
    }
    all.sort();
    all
}

fn sorted(conversations: &[&ConversationId]) -> Vec<ConversationId> {
    let mut all: Vec<_> = conversations.iter().map(|it| (*it).clone()).collect();
    all.sort();
    all
}

async fn mark(store: &Store, who: &str, conversation: &ConversationId, upto: Seq) -> WrittenMarks {
    let mark = MarkDraft { delivered: None, read: Some(upto) };
    let mark = UserMark { user: user(who), conversation: conversation.clone(), mark, held: false };
    store.write_marks(Partition::of(conversation, PARTITIONS), &[mark], 100).await.unwrap()
}

/// Decided once, when it begins, for the one who did not begin it: by what they have set, and by whether they share
/// another conversation with the one who did.
pub async fn what_strangers_begin_is_a_request(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    set(&store, "a", Strangers::Request).await;
    log.group("a", "friends", &["a", "friend"]);
    let left = log.group("a", "left", &["a", "former"]);
    log.remove(&left, "a", "former");
    log.archive(&store).await;
    let (stranger, former) = (log.direct("stranger", "a"), log.direct("former", "a"));
    let (friend, begun) = (log.direct("friend", "a"), log.direct("a", "x"));
    let (notes, others) = (log.direct("a", "a"), log.direct("stranger", "b"));
    log.archive(&store).await;
    // Neither what is set later changes it, nor whom one comes to know.
    set(&store, "a", Strangers::Allow).await;
    set(&store, "b", Strangers::Request).await;
    let later = log.direct("later", "a");
    log.group("a", "new friends", &["a", "stranger"]);
    log.archive(&store).await;
    assert_eq!(listed(&store, "a", ShowRequests::Only).await, sorted(&[&stranger, &former]));
    let without = listed(&store, "a", ShowRequests::Without).await;
    for conversation in [&friend, &begun, &notes, &later] {
        assert!(without.contains(conversation), "{conversation}");
    }
    assert_eq!(without.len() + 2, listed(&store, "a", ShowRequests::With).await.len());
    assert_eq!(listed(&store, "b", ShowRequests::Only).await, []);
    assert_eq!(listed(&store, "stranger", ShowRequests::Only).await, []);
    assert!(listed(&store, "stranger", ShowRequests::Without).await.contains(&others));
    for (who, conversation, expected) in
        [("a", &stranger, true), ("stranger", &stranger, false), ("a", &friend, false), ("a", &later, false)]
    {
        let asked = Membership { user: user(who), conversation: conversation.clone(), at_least: 0 };
        assert_eq!(store.membership(&asked).await.unwrap().unwrap().request, expected, "{who} {conversation}");
    }
    let withheld = async |who: &str, others: &[&str]| {
        let others = others.iter().map(|name| user(name)).collect();
        store.withheld(&Withheld { user: user(who), others }).await.unwrap()
    };
    assert_eq!(withheld("stranger", &["b", "a", "stranger"]).await, [user("a")]);
    assert_eq!(withheld("a", &["stranger", "former"]).await, [] as [UserId; 0], "who asks is not hidden");
    assert_eq!(withheld("friend", &["a"]).await, [] as [UserId; 0]);
    assert_eq!(withheld("friend", &[]).await, [] as [UserId; 0]);
}

/// How far the user has come is told to their own devices alone, in every way there is; and to the other one once it
/// is accepted, from then on and at once.
pub async fn nothing_is_shown_until_it_is_accepted(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    set(&store, "a", Strangers::Request).await;
    let talk = log.direct("s", "a");
    let said = log.say(&talk, "s", "hello");
    log.archive(&store).await;
    let known = page(&store, "s", ShowRequests::Without, None).await.position;
    let (mine, requests) = (
        page(&store, "a", ShowRequests::Without, None).await.position,
        page(&store, "a", ShowRequests::Only, None).await.position,
    );
    let marks = async |who: &str| {
        let asked = Marks { user: user(who), since: Some(Position::start(PARTITIONS)), limit: 100 };
        let page = store.marks(&asked, 100).await.unwrap();
        let all = page.conversations.into_iter().flat_map(|view| view.marks);
        all.map(|mark| (mark.user.to_string(), mark.read)).collect::<Vec<_>>()
    };
    let receipts = async || {
        let asked = Receipts { user: user("s"), conversation: talk.clone(), seq: said, after: None, limit: 9 };
        let page = store.receipts(&asked).await.unwrap();
        (page.members, page.delivered, page.read, page.marks[0].read)
    };
    let written = mark(&store, "a", &talk, said).await;
    assert_eq!(written.stored[0].as_ref().unwrap().read, said);
    let told: Vec<_> = written.changes.iter().flat_map(|change| &change.recipients).map(|it| &it.user).collect();
    assert_eq!(told, [&user("a")], "her own devices");
    assert_eq!(mark(&store, "s", &talk, said).await.changes[0].recipients.len(), 2, "the stranger hides nothing");
    assert_eq!(marks("a").await, [("a".to_owned(), said), ("s".to_owned(), said)]);
    assert_eq!(marks("s").await, [("s".to_owned(), said)]);
    assert_eq!(receipts().await, (1, 0, 0, 0));
    let theirs = async |since| page(&store, "s", ShowRequests::Without, since).await.conversations;
    assert_eq!(theirs(None).await[0].marks, []);
    let after_own = page(&store, "s", ShowRequests::Without, Some(known.clone())).await.position;
    mark(&store, "a", &talk, said).await;
    assert_eq!(theirs(Some(after_own.clone())).await, [], "that she has read is no change");
    assert_eq!(page(&store, "a", ShowRequests::Only, Some(requests.clone())).await.conversations[0].read, said);

    let muted = ArrangementDraft { muted_until: Some(7), ..ArrangementDraft::default() };
    assert!(arrange(&store, "a", &talk, muted).await.0.request, "only accepting accepts");
    let accept = ArrangementDraft { accepted: Some(true), ..ArrangementDraft::default() };
    assert!(!arrange(&store, "s", &talk, accept).await.1, "not the stranger's to accept");
    let (arranged, changed) = arrange(&store, "a", &talk, accept).await;
    assert!(changed && !arranged.request && arranged.muted_until == Some(7));
    assert!(!arrange(&store, "a", &talk, accept).await.1, "said twice, done once");
    let accepted = Accepted { user: user("a"), conversation: talk.clone() };
    let notices = store.accepted_notices(&accepted).await.unwrap();
    let [Notice::Arrangement { user: whose, arranged: told }, Notice::Marks(change)] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert_eq!((whose, told.arrangement), (&user("a"), arranged));
    assert_eq!((change.marks[0].shown, change.recipients.len()), (said, 2));
    assert!(marks("s").await.contains(&("a".to_owned(), said)));
    assert_eq!(receipts().await, (1, 1, 1, said));
    assert_eq!(theirs(Some(after_own)).await[0].marks[0].read, said);
    let gone = page(&store, "a", ShowRequests::Only, Some(requests)).await;
    assert_eq!((gone.conversations.len(), gone.gone), (0, vec![talk.clone()]), "from the list of requests");
    let came = page(&store, "a", ShowRequests::Without, Some(mine)).await;
    assert_eq!((came.conversations[0].view.conversation.clone(), came.gone), (talk.clone(), vec![]), "into the other");
    let again = page(&store, "a", ShowRequests::Only, Some(gone.position)).await;
    assert_eq!(again.gone, [], "once");
}

/// A message, a reaction, whatever the one who is asked puts into it accepts it, in the batch of its beginning too;
/// what the stranger says does not.
pub async fn whatever_one_says_accepts(database: &Database) {
    let store = database.open().await;
    let mut log = Log::default();
    set(&store, "a", Strangers::Request).await;
    let (answered, liked, open) = (log.direct("s1", "a"), log.direct("s2", "a"), log.direct("s3", "a"));
    let first = log.say(&liked, "s2", "hello");
    log.say(&open, "s3", "hello");
    log.append(&answered, "a", Change::message("who are you?"));
    log.archive(&store).await;
    assert_eq!(listed(&store, "a", ShowRequests::Only).await, sorted(&[&liked, &open]));
    let known = page(&store, "a", ShowRequests::Only, None).await.position;
    log.append(&liked, "a", reacted(first, "👍", true));
    log.say(&open, "s3", "are you there?");
    log.archive(&store).await;
    let changed = page(&store, "a", ShowRequests::Only, Some(known)).await;
    assert_eq!((changed.conversations.len(), changed.gone), (1, vec![liked.clone()]));
    assert_eq!(listed(&store, "a", ShowRequests::Only).await, sorted(&[&open]));
    assert_eq!(listed(&store, "a", ShowRequests::Without).await, sorted(&[&answered, &liked]));
}
