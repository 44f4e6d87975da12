//! What differs between what a server has and what is defined, in words.

use async_nats::jetstream::{consumer, consumer::pull, kv, stream};

type Told = Vec<(&'static str, String)>;

pub(super) fn of_stream(found: &stream::Config, wanted: &stream::Config) -> Vec<String> {
    fn told(config: &stream::Config) -> Told {
        let name = |text: &Option<String>| text.clone().unwrap_or_default();
        let foreign = config.mirror.iter().chain(config.sources.iter().flatten()).map(|source| source.name.clone());
        vec![
            ("retention", format!("{:?}", config.retention)),
            ("replicas", config.num_replicas.to_string()),
            ("placement", placement(config.placement.as_ref())),
            ("max_age", format!("{:?}", config.max_age)),
            ("max_bytes", config.max_bytes.to_string()),
            ("max_msgs", config.max_messages.to_string()),
            ("max_msgs_per_subject", config.max_messages_per_subject.to_string()),
            ("max_msg_size", config.max_message_size.to_string()),
            ("max_consumers", config.max_consumers.to_string()),
            ("duplicate_window", format!("{:?}", config.duplicate_window)),
            ("discard", format!("{:?}", config.discard)),
            ("no_ack", config.no_ack.to_string()),
            ("sealed", config.sealed.to_string()),
            ("deny_delete", config.deny_delete.to_string()),
            ("deny_purge", config.deny_purge.to_string()),
            ("allow_rollup", config.allow_rollup.to_string()),
            ("allow_direct", config.allow_direct.to_string()),
            ("republish", config.republish.as_ref().map(|to| to.destination.clone()).unwrap_or_default()),
            (
                "subject_transform",
                config.subject_transform.as_ref().map(|to| to.destination.clone()).unwrap_or_default(),
            ),
            ("sources", foreign.collect::<Vec<_>>().join(" ")),
            ("description", name(&config.description)),
        ]
    }
    between(told(found), told(wanted))
}

pub(super) fn of_consumer(found: &consumer::Config, wanted: &pull::Config) -> Vec<String> {
    use consumer::IntoConsumerConfig;
    fn told(config: &consumer::Config) -> Told {
        vec![
            ("deliver_subject", config.deliver_subject.clone().unwrap_or_default()),
            ("ack_policy", format!("{:?}", config.ack_policy)),
            ("ack_wait", format!("{:?}", config.ack_wait)),
            ("max_ack_pending", config.max_ack_pending.to_string()),
            ("max_deliver", config.max_deliver.max(0).to_string()),
            ("filter_subject", config.filter_subject.clone()),
            ("filter_subjects", config.filter_subjects.join(" ")),
            ("headers_only", config.headers_only.to_string()),
            ("replicas", config.num_replicas.to_string()),
            ("memory_storage", config.memory_storage.to_string()),
            ("description", config.description.clone().unwrap_or_default()),
        ]
    }
    between(told(found), told(&wanted.clone().into_consumer_config()))
}

pub(super) fn of_bucket(found: &stream::Config, wanted: &kv::Config) -> Vec<String> {
    let found = vec![
        ("ttl", format!("{:?}", found.max_age)),
        ("history", found.max_messages_per_subject.to_string()),
        ("replicas", found.num_replicas.to_string()),
        ("placement", placement(found.placement.as_ref())),
        ("description", found.description.clone().unwrap_or_default()),
    ];
    let wanted = vec![
        ("ttl", format!("{:?}", wanted.max_age)),
        ("history", wanted.history.to_string()),
        ("replicas", wanted.num_replicas.to_string()),
        ("placement", placement(wanted.placement.as_ref())),
        ("description", wanted.description.clone()),
    ];
    between(found, wanted)
}

fn placement(placement: Option<&stream::Placement>) -> String {
    let Some(placement) = placement else { return "anywhere".to_owned() };
    let cluster = placement.cluster.as_deref().filter(|name| !name.is_empty());
    let mut tags = placement.tags.clone();
    tags.sort();
    let words: Vec<_> = cluster.map(str::to_owned).into_iter().chain(tags).collect();
    if words.is_empty() { "anywhere".to_owned() } else { words.join(" ") }
}

fn between(found: Told, wanted: Told) -> Vec<String> {
    let shown = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    let differs = found.into_iter().zip(wanted).filter(|((_, found), (_, wanted))| found != wanted);
    differs.map(|((name, found), (_, wanted))| format!("{name} is {}, not {}", shown(found), shown(wanted))).collect()
}
