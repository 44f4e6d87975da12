//! Precedence of the layers, and the sentence for everything that can be wrong.

use std::io::Write;

use super::*;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Loads from a file's text, variables and flags.
fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    let overrides = Overrides { file: Some(written.path().to_owned()), values: pairs(flags) };
    let path = written.path().display().to_string();
    Config::load(&overrides, &pairs(environment)).map_err(|error| error.to_string().replace(&path, "FILE"))
}

const KEY: &str = "connection.limits.message_bytes_max";
const VARIABLE: &str = "NATTER_CONNECTION__LIMITS__MESSAGE_BYTES_MAX";

#[test]
fn later_layers_win() {
    let bytes = |file, environment: &[_], flags: &[_]| {
        load(file, environment, flags).unwrap().connection.limits.message_bytes_max
    };
    let file = "[connection.limits]\nmessage_bytes_max = 2000\n";
    assert_eq!(bytes("", &[], &[]), 64 * 1024);
    assert_eq!(bytes(file, &[], &[]), 2000);
    assert_eq!(bytes(file, &[(VARIABLE, "3000")], &[]), 3000);
    assert_eq!(bytes(file, &[(VARIABLE, "3000")], &[(KEY, "4000")]), 4000);
    assert_eq!(bytes(file, &[(VARIABLE, "3000")], &[(KEY, "4000"), (KEY, "5000")]), 5000);
    // What one layer sets does not reset its neighbours.
    let config = load(file, &[("NATTER_CONNECTION__LISTEN", "127.0.0.1:9")], &[]).unwrap();
    assert_eq!((config.connection.limits.message_bytes_max, config.connection.listen.port()), (2000, 9));
}

#[test]
fn text_from_variables_becomes_what_the_key_wants() {
    let config = load(
        "",
        &[
            ("NATTER_DATA_DIR", "/data"),
            ("NATTER_AUTH__HS256_SECRET", "12345678901234567890123456789012"),
            ("NATTER_AUTH__ALGORITHMS", "ES256, EdDSA"),
            ("NATTER_CONNECTION__ORIGINS", "https://a.example,https://b.example"),
            ("NATTER_NATS__CREDENTIALS_FILE", "/creds"),
            ("NATTER_STORAGE__SQLITE_SYNC", "full"),
            ("NATTER_ADMIN__LISTEN", "[::1]:9000"),
            // Not ours, or empty: left alone.
            ("NATTER_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("NATTER_NATS_SERVER", "/bin/nats-server"),
            ("NATTER_STORAGE__URL", ""),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/data"));
    assert_eq!(config.auth.hs256_secret.unwrap().reveal(), "12345678901234567890123456789012");
    assert_eq!(config.auth.algorithms, [natter_auth::KeyAlgorithm::ES256, natter_auth::KeyAlgorithm::EdDSA]);
    assert_eq!(config.connection.origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.storage.sqlite_sync, natter_storage::SqliteSync::Full);
    assert_eq!(config.admin.listen.unwrap().to_string(), "[::1]:9000");
    assert_eq!(config.storage.url, None);
}

#[test]
fn every_bad_value_is_one_sentence_that_begins_with_the_key() {
    let variable = |name, value| load("", &[(name, value)], &[]).unwrap_err();
    let flag = |key, value| load("", &[], &[(key, value)]).unwrap_err();
    let file = |text| load(text, &[], &[]).unwrap_err();
    let cases = [
        (
            variable(VARIABLE, "many"),
            "connection.limits.message_bytes_max: must be a whole number from 0 to 4294967295, not `many` (from NATTER_CONNECTION__LIMITS__MESSAGE_BYTES_MAX)",
        ),
        (
            flag(KEY, "-1"),
            "connection.limits.message_bytes_max: must be a whole number from 0 to 4294967295, not `-1` (from the command line)",
        ),
        (
            flag(KEY, "262145"),
            "connection.limits.message_bytes_max: must be at most 262144: NATS carries messages up to 1 MiB",
        ),
        (flag("connection.listen", "8080"), "connection.listen: invalid socket address syntax (from the command line)"),
        (
            flag("connection.lisen", "8080"),
            "connection.lisen: there is no such key; `natter config` lists all (from the command line)",
        ),
        (
            variable("NATTER_SERVER__PORT", "1"),
            "server.port: there is no such key; `natter config` lists all (from NATTER_SERVER__PORT)",
        ),
        (
            file("[connection.limits]\nbytes = 1\n"),
            "connection.limits.bytes: there is no such key; `natter config` lists all (from FILE)",
        ),
        (file("colour = 1\n"), "colour: there is no such key; `natter config` lists all (from FILE)"),
        (
            file("[nats]\npartitions = \"four\"\n"),
            "nats.partitions: must be a whole number from 0 to 65535, not `four` (from FILE)",
        ),
        (file("[nats]\npartitions = 0\n"), "nats.partitions: must be at least 1"),
        (
            file("[storage]\nsqlite_sync = \"never\"\n"),
            "storage.sqlite_sync: must be `normal` or `full`, not `never` (from FILE)",
        ),
        (
            file("[presence]\nlease_ms = 1\n"),
            "presence.lease_ms: must be at least 5000: gateways report every 2 seconds",
        ),
        (
            file("[telemetry]\nlog = \"loud,,=\"\n"),
            "telemetry.log: must be a level, or levels by target such as `info,natter_delivery=debug`",
        ),
        (
            file("[storage]\nurl = \"mysql://root:hunter2@db/x\"\n"),
            "storage.url: must begin with postgres:// or sqlite: and name a file or a server",
        ),
        (flag("auth.hs256_secret", "short-secret"), "auth.hs256_secret: must have at least 32 bytes"),
        (file("[auth]\nhs256_secret = 12345\n"), "auth.hs256_secret: must be text (from FILE)"),
        (file("data_dir = \"\"\n"), "data_dir: must not be empty"),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}

#[test]
fn an_unreadable_file_is_one_sentence() {
    let said = load("[nats\n", &[], &[]).unwrap_err();
    assert!(said.starts_with("FILE: ") && said.lines().count() == 1, "{said}");
    let said = load("\"a\\nb\" = 1\n", &[], &[]).unwrap_err();
    assert!(said.lines().count() == 1, "a key with a line in it: {said}");
    let said = load("[connection]\nlisten = \"a\\nb\"\n[storage]\nsqlite_sync = \"a\\nb\"\n", &[], &[]).unwrap_err();
    assert!(said.lines().count() == 1, "a value with a line in it: {said}");
    let overrides = Overrides { file: Some("/nowhere/natter.toml".into()), values: Vec::new() };
    let said = Config::load(&overrides, &[]).unwrap_err().to_string();
    assert!(said.starts_with("--config /nowhere/natter.toml: cannot be read: "), "{said}");
}

#[test]
fn every_key_is_documented() {
    let keys = schema::Keys::new();
    for section in &keys.sections {
        assert!(section.path.is_empty() || !section.meaning.is_empty(), "section {}", section.path);
        for key in &section.keys {
            assert!(key.meaning.len() > 10, "{}", key.path);
            assert!(markdown().contains(&format!("| `{}` |", key.path)), "{}", key.path);
        }
    }
    assert_eq!(keys.kind(KEY), Some(&schema::Kind::Number));
    assert!(keys.sections.iter().map(|section| section.keys.len()).sum::<usize>() > 40);
}
