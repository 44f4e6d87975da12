//! What goes wrong before anything starts: one sentence, and the right exit code.

use std::path::Path;

use crate::process::run;

const SECRET: &str = "0123456789012345678901234567890123456789";

/// Arguments, environment, and a word of the complaint.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

#[tokio::test]
async fn a_bad_value_stops_the_start_with_one_sentence_and_exit_code_64() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("natter.toml");
    std::fs::write(&file, "[storage]\nconnections_max = 0\n").unwrap();
    let file = file.to_str().unwrap();
    let nats = ["--nats-url", "nats://127.0.0.1:1"];
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: &[Case<'_>] = &[
        (&["serve", "--config", file], &[], "storage.connections_max: must be at least 1"),
        (&["serve"], &[("NATTER_CONFIG", file)], "storage.connections_max: must be at least 1"),
        (&["serve", "--set", "nats.partitions=65"], &[], "nats.partitions: must be at most 64"),
        (&["serve", "--listen", "here"], &[], "connection.listen: "),
        (&["serve", "--set", "nonsense"], &[], "nonsense: `--set` takes section.key=VALUE"),
        (&["serve"], &[("NATTER_STORAGE__CONECTIONS_MAX", "1")], "storage.conections_max: there is no such key"),
        (
            &["token", "--as", "a", "--set", "auth.hs256_secret=short"],
            &[],
            "auth.hs256_secret: must have at least 32 bytes",
        ),
        (&["serve", "connection"], &[], "nats.url: must be set to run single services"),
        (&["serve", nats[0], nats[1]], &[], "auth.hs256_secret: this, auth.jwks_url or auth.jwks_file must be set"),
        (&["serve", "--listen", &taken], &[("NATTER_DATA_DIR", "/nowhere/at/all")], "connection.listen: 127.0.0.1:"),
        (&["nats", "apply"], &[], "nats.url: must name the servers"),
    ];
    for (arguments, variables, sentence) in cases {
        let ended = run(arguments, variables).await;
        assert_eq!(ended.code, Some(64), "{arguments:?}: {}", ended.err);
        assert!(ended.err.starts_with(sentence), "{arguments:?}: {}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{arguments:?}: {}", ended.err);
        assert_eq!(ended.out, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn later_layers_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("natter.toml");
    std::fs::write(&file, "[nats]\npartitions = 65\n").unwrap();
    let arguments = ["nats", "apply", "--config", file.to_str().unwrap()];
    let said = async |more: &[&str], variables: &[(&str, &str)]| {
        let arguments: Vec<_> = arguments.iter().chain(more).copied().collect();
        run(&arguments, variables).await.err
    };
    let good = ("NATTER_NATS__PARTITIONS", "8");
    assert!(said(&[], &[]).await.starts_with("nats.partitions: must be at most 64"));
    assert!(said(&[], &[good]).await.starts_with("nats.url: "));
    assert!(said(&["--set", "nats.partitions=0"], &[good]).await.starts_with("nats.partitions: must be at least 1"));
}

#[tokio::test]
async fn wrong_usage_is_64_and_help_is_0() {
    for arguments in [&["dance"][..], &["serve", "--colour"], &["token"], &["token", "--as", ""], &[]] {
        assert_eq!(run(arguments, &[]).await.code, Some(64), "{arguments:?}");
    }
    for command in ["serve", "token", "nats", "config", "chat", "replay"] {
        let ended = run(&[command, "--help"], &[]).await;
        assert_eq!(ended.code, Some(0), "{command}");
    }
    let help = run(&["help"], &[]).await.out;
    assert!(help.contains("natter chat --as alice --to bob") && help.contains("64 wrong usage"), "{help}");
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let url = format!("postgres://natter:{SECRET}@127.0.0.1:1/x?nonsense=1");
    let cases: &[&[(&str, &str)]] = &[
        &[("NATTER_AUTH__HS256_SECRET", &SECRET[..20])],
        &[("NATTER_STORAGE__URL", &format!("mysql://{SECRET}"))],
        &[("NATTER_STORAGE__URL", &url), ("NATTER_NATS__URL", "nats://127.0.0.1:1"), ("NATTER_NATS__PARTITIONS", "0")],
    ];
    for variables in cases {
        let ended = run(&["serve"], variables).await;
        assert_eq!(ended.code, Some(64));
        assert!(!ended.err.contains(&SECRET[..20]) && !ended.out.contains(&SECRET[..20]), "{}", ended.err);
    }
}

#[tokio::test]
async fn tokens_need_a_secret_and_name_the_user() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let ended = run(&["token", "--as", "alice", "--data-dir", data_dir], &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("run `natter serve` first"), "{}", ended.err);
    let ended = run(&["token", "--as", "alice", "--ttl", "90s"], &[("NATTER_AUTH__HS256_SECRET", SECRET)]).await;
    assert_eq!((ended.code, ended.out.split('.').count()), (Some(0), 3), "{}", ended.err);
    let config = natter_auth::Config { hs256_secret: Some(natter_auth::Secret::new(SECRET)), ..Default::default() };
    let claims = natter_auth::Verifier::new(config).unwrap().verify(&ended.out).await.unwrap();
    assert_eq!(claims.subject, "alice");
}

#[tokio::test]
async fn the_checked_in_table_is_the_generated_one() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let generated = run(&["config", "--format", "markdown"], &[]).await.out;
    let checked_in = std::fs::read_to_string(page).unwrap();
    assert_eq!(checked_in.trim_end(), generated, "run `./justw generate`");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate/metrics.md");
    let checked_in = std::fs::read_to_string(page).unwrap();
    assert_eq!(checked_in.trim_end(), run(&["metrics"], &[]).await.out, "run `./justw generate`");
    let schema = run(&["config", "--format", "json"], &[]).await.out;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert!(schema["properties"]["connection"].is_object());
    let text = run(&["config"], &[]).await.out;
    assert!(text.contains("connection.limits.message_bytes_max  (number, default 65536)"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}
