//! What each user of NATS may do, asked of a real nats-server: subject by subject, user by user.

use std::collections::BTreeMap;

use natter_bus::permissions;
use natter_testkit::NatsServer;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

/// The users, in the order of the columns below: connection, presence, delivery, storage, `all`, admin.
const USERS: [(char, &str); 6] =
    [('c', "connection"), ('p', "presence"), ('d', "delivery"), ('s', "storage"), ('+', "all"), ('a', "admin")];
/// Partitions of the log that permissions are made for.
const PARTITIONS: u16 = 2;
const EVERYBODY: &str = "cpds+a";

/// A subject, who may publish to it, and who may subscribe to it. Nobody else may.
#[rustfmt::skip]
const TABLE: &[(&str, &str, &str)] = &[
    // The log: who publishes appends. Nobody reads it but through JetStream.
    ("chat.7.dabc.log",                                  "c+",     ""),
    ("chat.7.dabc.member.u1",                            "c+",     ""),
    ("chat.7.dabc.invite.i1",                            "c+",     ""),
    ("chat.7.dabc.other",                                "",       ""),
    ("chat.>",                                           "",       ""),
    // Live events and their markers.
    ("user.u1.inbox",                                    "d+",     "c+"),
    ("user.*.inbox",                                     "d+",     "c+"),
    ("user.>",                                           "",       ""),
    ("gateway.g1.inbox",                                 "d+",     "c+"),
    ("gateway.*.inbox",                                  "d+",     "c+"),
    ("gateway.>",                                        "",       ""),
    ("delivery.marker",                                  "c+",     "d+"),
    ("delivery.notice",                                  "s+",     ""),
    ("delivery.notice delivery",                         "",       "d+"),
    ("delivery.typing",                                  "c+",     "d+"),
    // Questions to storage: each service only asks what it needs.
    ("storage.ask.backlog",                              "c+",     ""),
    ("storage.ask.history",                              "c+",     ""),
    ("storage.ask.invite",                              "c+",     ""),
    ("storage.ask.invites",                              "c+",     ""),
    ("storage.ask.conversations",                        "c+",     ""),
    ("storage.ask.members",                              "c+",     ""),
    ("storage.ask.membership",                           "c+",     ""),
    ("storage.ask.message",                              "c+",     ""),
    ("storage.ask.pinned",                               "c+",     ""),
    ("storage.ask.reactors",                             "c+",     ""),
    ("storage.ask.acquaintances",                        "c+",     ""),
    ("storage.ask.marks",                                "c+",     ""),
    ("storage.ask.receipts",                             "c+",     ""),
    ("storage.ask.settings",                             "c+",     ""),
    ("storage.ask.overview",                             "c+",     ""),
    ("storage.ask.arrange",                              "c+",     ""),
    ("storage.ask.withheld",                             "c+",     ""),
    ("storage.ask.unblocked",                            "c+",     ""),
    ("storage.ask.latecomers",                           "c+",     ""),
    ("storage.ask.write_marks",                          "c+",     ""),
    ("storage.ask.find_message",                         "cd+",    ""),
    ("storage.ask.roster",                               "d+",     ""),
    ("storage.ask.archived",                             "cs+a",   ""),
    ("storage.ask.other",                                "",       ""),
    ("storage.ask.* storage",                            "",       "s+"),
    ("storage.ask.* other",                              "",       ""),
    ("storage.ask.>",                                    "",       ""),
    ("storage.archived",                                 "s+",     "cs+"),
    // Changes of what gateways know of users.
    ("connection.told",                               "c+",     "cp+"),
    ("connection.>",                                     "",       ""),
    // Presence.
    ("presence.gateway.g1",                              "c+",     "pd+a"),
    ("presence.gateway.*",                               "c+",     "pd+a"),
    ("presence.refresh",                                 "pd+a",   "c+"),
    ("presence.query",                                   "c+a",    ""),
    ("presence.query presence",                          "",       "p+"),
    ("presence.user.u1",                                 "p+",     "c+"),
    ("presence.user.*",                                  "p+",     "c+"),
    ("presence.>",                                       "",       ""),
    // Answers to questions: everybody's own alone (`own` and `another` are filled in).
    ("{own}.answer.1",                                   EVERYBODY, EVERYBODY),
    ("{own}.>",                                          EVERYBODY, EVERYBODY),
    ("{another}.answer.1",                               "",       ""),
    ("{another}.>",                                      "",       ""),
    ("_INBOX.>",                                         "",       ""),
    ("_INBOX.somebody",                                  "",       ""),
    // What everybody may know.
    ("$JS.API.INFO",                                     EVERYBODY, ""),
    ("$JS.API.STREAM.INFO.CHAT-0",                       EVERYBODY, ""),
    ("$JS.API.STREAM.INFO.CHAT-1",                       EVERYBODY, ""),
    ("$JS.API.STREAM.INFO.CHAT-2",                       "",       ""),
    ("$JS.API.STREAM.INFO.KV_LEASES",                    EVERYBODY, ""),
    ("$JS.API.STREAM.INFO.KV_TICKETS",                   EVERYBODY, ""),
    ("$JS.API.STREAM.INFO.KV_LAST_SEEN",                 EVERYBODY, ""),
    ("$JS.API.STREAM.INFO.KV_USERS",                   EVERYBODY, ""),
    ("$JS.API.STREAM.INFO.OTHER",                        "",       ""),
    ("$JS.API.STREAM.NAMES",                             "",       ""),
    ("$JS.API.STREAM.LIST",                              "",       ""),
    ("$JS.API.CONSUMER.INFO.CHAT-1.delivery",            EVERYBODY, ""),
    ("$JS.API.CONSUMER.INFO.CHAT-1.storage",             EVERYBODY, ""),
    ("$JS.API.CONSUMER.INFO.CHAT-1.other",               "",       ""),
    ("$JS.API.CONSUMER.LIST.CHAT-0",                     "",       ""),
    ("$JS.API.CONSUMER.NAMES.CHAT-0",                    "",       ""),
    // What makes, changes and destroys. Nobody deletes a stream.
    ("$JS.API.STREAM.CREATE.CHAT-0",                     "a",      ""),
    ("$JS.API.STREAM.UPDATE.CHAT-1",                     "a",      ""),
    ("$JS.API.STREAM.CREATE.KV_LEASES",                  "a",      ""),
    ("$JS.API.STREAM.UPDATE.KV_TICKETS",                 "a",      ""),
    ("$JS.API.STREAM.CREATE.KV_LAST_SEEN",               "a",      ""),
    ("$JS.API.STREAM.CREATE.KV_USERS",                 "a",      ""),
    ("$JS.API.STREAM.UPDATE.KV_USERS",                 "a",      ""),
    ("$JS.API.STREAM.CREATE.OTHER",                      "",       ""),
    ("$JS.API.STREAM.DELETE.CHAT-0",                     "",       ""),
    ("$JS.API.STREAM.DELETE.KV_LEASES",                  "",       ""),
    ("$JS.API.STREAM.PURGE.CHAT-0",                      "a",      ""),
    ("$JS.API.STREAM.PURGE.KV_LEASES",                   "",       ""),
    ("$JS.API.STREAM.MSG.DELETE.CHAT-0",                 "s+",     ""),
    ("$JS.API.STREAM.MSG.DELETE.CHAT-2",                 "",       ""),
    ("$JS.API.STREAM.MSG.DELETE.KV_LEASES",              "",       ""),
    ("$JS.API.STREAM.MSG.GET.CHAT-0",                    "cs+a",   ""),
    ("$JS.API.STREAM.MSG.GET.KV_TICKETS",                "c+",     ""),
    ("$JS.API.STREAM.MSG.GET.KV_USERS",                "c+",     ""),
    ("$JS.API.STREAM.MSG.GET.KV_LEASES",                 "",       ""),
    ("$JS.API.DIRECT.GET.CHAT-0",                        "",       ""),
    ("$JS.API.DIRECT.GET.CHAT-0.chat.7.dabc.log",        "",       ""),
    ("$JS.API.STREAM.SNAPSHOT.CHAT-0",                   "a",      ""),
    ("$JS.API.STREAM.SNAPSHOT.KV_LAST_SEEN",             "a",      ""),
    ("$JS.API.STREAM.SNAPSHOT.KV_USERS",               "a",      ""),
    ("$JS.API.STREAM.SNAPSHOT.KV_TICKETS",               "",       ""),
    ("$JS.API.STREAM.RESTORE.CHAT-0",                    "a",      ""),
    ("$JS.SNAPSHOT.RESTORE.CHAT-0.x",                    "a",      ""),
    ("$JS.SNAPSHOT.ACK.KV_LAST_SEEN.x",                  "a",      ""),
    ("$JS.SNAPSHOT.ACK.KV_USERS.x",                    "a",      ""),
    ("$JS.API.STREAM.RESTORE.KV_USERS",                "a",      ""),
    ("$JS.SNAPSHOT.RESTORE.KV_USERS.x",                "a",      ""),
    ("$JS.API.STREAM.PEER.REMOVE.CHAT-0",                "",       ""),
    ("$JS.API.STREAM.LEADER.STEPDOWN.CHAT-0",            "",       ""),
    ("$JS.API.META.LEADER.STEPDOWN",                     "",       ""),
    ("$JS.API.ACCOUNT.PURGE.NATTER",                     "",       ""),
    // Consumers: each service its own.
    ("$JS.API.CONSUMER.CREATE.CHAT-0",                   "a",      ""),
    ("$JS.API.CONSUMER.CREATE.CHAT-0.delivery",          "d+a",    ""),
    ("$JS.API.CONSUMER.CREATE.CHAT-0.storage",           "s+a",    ""),
    ("$JS.API.CONSUMER.CREATE.CHAT-0.other",             "",       ""),
    ("$JS.API.CONSUMER.CREATE.CHAT-0.delivery.chat.>",   "",       ""),
    ("$JS.API.CONSUMER.DURABLE.CREATE.CHAT-0.delivery",  "",       ""),
    ("$JS.API.CONSUMER.RESET.CHAT-0.delivery",           "d+",     ""),
    ("$JS.API.CONSUMER.RESET.CHAT-0.storage",            "s+",     ""),
    ("$JS.API.CONSUMER.MSG.NEXT.CHAT-1.delivery",        "d+a",    ""),
    ("$JS.API.CONSUMER.MSG.NEXT.CHAT-1.storage",         "s+a",    ""),
    ("$JS.API.CONSUMER.DELETE.CHAT-0.delivery",          "a",      ""),
    ("$JS.API.CONSUMER.PAUSE.CHAT-0.delivery",           "",       ""),
    // Acknowledgements, in both forms.
    ("$JS.ACK.CHAT-0.delivery.1.2.3.4.5",                "d+",     ""),
    ("$JS.ACK.CHAT-0.storage.1.2.3.4.5",                 "s+",     ""),
    ("$JS.ACK.CHAT-0.other.1.2.3.4.5",                   "",       ""),
    ("$JS.ACK._.hash.CHAT-0.delivery.1.2.3.4.5.6",       "d+",     ""),
    ("$JS.ACK._.hash.CHAT-1.storage.1.2.3.4.5.6",        "s+",     ""),
    ("$JS.ACK.>",                                        "",       ""),
    ("$JS.FC.KV_LEASES.x.y",                             "ds+a",   ""),
    ("$JS.FC.CHAT-0.x.y",                                "",       ""),
    // Buckets.
    ("$KV.LEASES.delivery.partition.0",                  "d+",     ""),
    ("$KV.LEASES.delivery.replica.r1",                   "d+",     ""),
    ("$KV.LEASES.storage.partition.0",                   "s+",     ""),
    ("$KV.LEASES.>",                                     "",       ""),
    ("$JS.API.DIRECT.GET.KV_LEASES.$KV.LEASES.delivery.partition.0", "d+a", ""),
    ("$JS.API.DIRECT.GET.KV_LEASES.$KV.LEASES.storage.partition.0",  "s+a", ""),
    ("$JS.API.CONSUMER.CREATE.KV_LEASES",                "ds+a",   ""),
    ("$JS.API.CONSUMER.CREATE.KV_LEASES.x.$KV.LEASES.delivery.>", "d+a", ""),
    ("$JS.API.CONSUMER.CREATE.KV_LEASES.x.$KV.LEASES.storage.>",  "s+a", ""),
    ("$JS.API.CONSUMER.CREATE.KV_LEASES.x.$KV.LEASES.>", "a",      ""),
    ("$JS.API.CONSUMER.DELETE.KV_LEASES.x",              "ds+a",   ""),
    ("$JS.API.CONSUMER.DELETE.KV_TICKETS.x",             "",       ""),
    ("$JS.API.CONSUMER.CREATE.KV_TICKETS",               "",       ""),
    ("$JS.API.CONSUMER.CREATE.KV_LAST_SEEN",             "",       ""),
    ("$KV.TICKETS.t1",                                   "c+",     ""),
    ("$JS.API.DIRECT.GET.KV_TICKETS.$KV.TICKETS.t1",     "",       ""),
    ("$JS.API.CONSUMER.CREATE.KV_TICKETS.x.$KV.TICKETS.>", "",     ""),
    ("$KV.LAST_SEEN.u1",                                 "p+",     ""),
    ("$JS.API.DIRECT.GET.KV_LAST_SEEN.$KV.LAST_SEEN.u1", "p+",     ""),
    ("$JS.API.CONSUMER.CREATE.KV_LAST_SEEN.x.$KV.LAST_SEEN.>", "", ""),
    ("$KV.USERS.u1",                                   "c+",     ""),
    ("$JS.API.DIRECT.GET.KV_USERS.$KV.USERS.u1",     "",       ""),
    ("$JS.API.STREAM.PURGE.KV_USERS",                  "",       ""),
    ("$JS.API.CONSUMER.CREATE.KV_USERS.x.$KV.USERS.>", "",     ""),
    // Everything, and what belongs to the servers.
    (">",                                                "",       ""),
    ("$SYS.>",                                           "",       ""),
    ("$SYS.REQ.SERVER.PING",                             "",       ""),
    ("anything.else",                                    "",       ""),
];

#[tokio::test]
async fn every_user_may_do_what_it_needs_and_nothing_else() {
    let seeds = seeds();
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start_configured(folder.path(), &config(&seeds)).await;
    let mut wrong = Vec::new();
    for (letter, name) in USERS {
        let mut client = Client::connect(&server.url(), &seeds[name]).await;
        let another = USERS.iter().find(|(other, _)| *other != letter).unwrap().1;
        let (own, another) = (inbox(&seeds[name]), inbox(&seeds[another]));
        for (subject, publishers, subscribers) in TABLE {
            let subject = subject.replace("{own}", &own).replace("{another}", &another);
            let mut tell = |verb: &str, wanted: bool, may: bool| {
                if wanted != may {
                    wrong.push(format!("{name} {} {verb} {subject}", if may { "may" } else { "may not" }));
                }
            };
            if !subject.contains(' ') {
                tell("publish to", publishers.contains(letter), client.publishes(&subject).await);
            }
            tell("subscribe to", subscribers.contains(letter), client.subscribes(&subject).await);
        }
    }
    assert!(wrong.is_empty(), "nats/permissions.toml differs from this table:\n{}", wrong.join("\n"));
}

/// Whoever is asked may answer, once; nobody may write into an inbox unasked.
#[tokio::test]
async fn only_who_was_asked_may_answer_and_only_once() {
    let seeds = seeds();
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start_configured(folder.path(), &config(&seeds)).await;
    let mut gateway = Client::connect(&server.url(), &seeds["connection"]).await;
    let mut storage = Client::connect(&server.url(), &seeds["storage"]).await;
    storage.send("SUB storage.ask.* storage 1000\r\n").await;
    assert!(storage.settled().await);
    let answer_to = format!("{}.1", inbox(&seeds["connection"]));
    assert!(!storage.publishes(&answer_to).await, "nobody has asked");
    gateway.send(&format!("PUB storage.ask.history {answer_to} 0\r\n\r\n")).await;
    assert!(gateway.settled().await);
    storage.until("MSG storage.ask.history").await;
    assert!(storage.publishes(&answer_to).await, "the answer");
    assert!(!storage.publishes(&answer_to).await, "a second answer");
}

fn seeds() -> BTreeMap<String, String> {
    let users = permissions::users().unwrap();
    assert_eq!(users.len(), USERS.len(), "each user has a column in the table");
    users.into_iter().map(|user| (user.name, permissions::new_seed().unwrap())).collect()
}

fn inbox(seed: &str) -> String {
    format!("_INBOX.{}", permissions::public_key(seed).unwrap())
}

fn config(seeds: &BTreeMap<String, String>) -> String {
    let keys = seeds.iter().map(|(name, seed)| (name.clone(), permissions::public_key(seed).unwrap())).collect();
    let users = permissions::server_config(&keys, PARTITIONS).unwrap();
    format!("accounts {{ NATTER {{ jetstream: enabled\n{users} }} }}\n")
}

/// Speaks the protocol of NATS itself, so that each refusal belongs to one command.
struct Client {
    stream: BufStream<TcpStream>,
    subscriptions: u32,
}

impl Client {
    async fn connect(url: &str, seed: &str) -> Self {
        let tcp = TcpStream::connect(url.trim_start_matches("nats://")).await.unwrap();
        let mut client = Self { stream: BufStream::new(tcp), subscriptions: 0 };
        let info = client.until("INFO ").await;
        let info: serde_json::Value = serde_json::from_str(info.trim_start_matches("INFO ")).unwrap();
        let (key, signature) = permissions::sign(seed, info["nonce"].as_str().unwrap()).unwrap();
        let hello = serde_json::json!({
            "verbose": false, "pedantic": false, "protocol": 1, "headers": true, "no_responders": true,
            "nkey": key, "sig": signature, "lang": "test", "version": "0",
        });
        client.send(&format!("CONNECT {hello}\r\n")).await;
        assert!(client.settled().await, "the key is not taken");
        client
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).await.unwrap() > 0, "the server has closed the connection");
        line.trim_end().to_owned()
    }

    async fn until(&mut self, beginning: &str) -> String {
        loop {
            let line = self.line().await;
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// Whether the server has taken everything without a complaint.
    async fn settled(&mut self) -> bool {
        self.send("PING\r\n").await;
        let mut fine = true;
        loop {
            match self.line().await {
                line if line == "PONG" => return fine,
                line if line.starts_with("-ERR") => {
                    assert!(line.to_lowercase().contains("permissions violation"), "{line}");
                    fine = false;
                }
                _ => {}
            }
        }
    }

    async fn publishes(&mut self, subject: &str) -> bool {
        self.send(&format!("PUB {subject} 0\r\n\r\n")).await;
        self.settled().await
    }

    async fn subscribes(&mut self, subject: &str) -> bool {
        self.subscriptions += 1;
        let id = self.subscriptions;
        self.send(&format!("SUB {subject} {id}\r\nUNSUB {id}\r\n")).await;
        self.settled().await
    }
}
