//! Each action of an operator leaves one line, also when it fails, and no secret in it.

use std::path::Path;

use natter_testkit::NatsServer;
use serde_json::Value;

use crate::process::run;

const SECRET: &str = "0123456789012345678901234567890123456789";

struct Book {
    folder: tempfile::TempDir,
    seen: usize,
}

impl Book {
    fn file(&self) -> String {
        self.folder.path().join("audit.jsonl").display().to_string()
    }

    /// Runs a command and returns the one line that it left.
    async fn one_line(&mut self, arguments: &[&str], code: i32) -> Value {
        let (file, pod) = (self.file(), "natter-admin-0");
        let variables = [
            ("NATTER_AUDIT__FILE", file.as_str()),
            ("NATTER_AUTH__HS256_SECRET", SECRET),
            ("NATTER_STORAGE__URL", "postgres://natter:pass-word@127.0.0.1:1/natter"),
            ("POD_NAME", pod),
        ];
        let ended = run(arguments, &variables).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}{}", ended.out, ended.err);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(SECRET) && !text.contains("pass-word"), "{text}");
        assert!(ended.out.is_empty() || !text.contains(ended.out.as_str()), "no token and no output: {text}");
        let lines: Vec<_> = text.lines().skip(self.seen).collect();
        assert_eq!(lines.len(), 1, "{arguments:?}: {text}");
        self.seen += 1;
        let line: Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(line["outcome"], if code == 0 { "done" } else { "failed" }, "{line}");
        assert_eq!(line["error"].is_string(), code != 0, "{line}");
        assert!(line["time"].as_str().unwrap().ends_with('Z') && line["who"]["uid"].is_u64(), "{line}");
        assert!(line["who"]["pod"] == pod && line["storage"] == "postgres://127.0.0.1:1/natter", "{line}");
        line
    }
}

#[tokio::test]
async fn every_command_leaves_exactly_one_line() {
    let server = NatsServer::start().await;
    let mut book = Book { folder: tempfile::tempdir().unwrap(), seen: 0 };
    let at = server.url().replace("nats://", "nats://user:pass-word@");
    let url = format!("nats.url={at}");
    let apply = ["nats", "apply", "--set", &url];

    let line = book.one_line(&apply, 0).await;
    assert!(line["action"] == "nats apply" && line["nats"] == server.url().as_str(), "{line}");
    assert!(line["parameters"]["differences"].as_array().unwrap().len() > 4, "{line}");
    let destructive = ["nats", "apply", "--set", &url, "--set", "nats.partitions=2"];
    let line = book.one_line(&destructive, 65).await;
    assert!(line["error"].as_str().unwrap().contains("would lose stored messages"), "{line}");

    let line = book.one_line(&["token", "--as", "alice", "--ttl", "90s"], 0).await;
    assert_eq!(
        (line["parameters"]["user"].as_str(), line["parameters"]["ttl_secs"].as_u64()),
        (Some("alice"), Some(90))
    );

    let backup = book.folder.path().join("backup");
    let backup = backup.to_str().unwrap();
    let line = book.one_line(&["backup", backup, "--set", &url, "--set", "storage.acquire_timeout_ms=500"], 1).await;
    assert!(line["action"] == "backup" && line["parameters"]["folder"] == backup, "{line}");
    let restore = ["restore", "--check", "--set", &url, "--set", "storage.acquire_timeout_ms=500"];
    let line = book.one_line(&restore, 1).await;
    assert!(line["action"] == "restore" && line["parameters"]["check"] == true, "{line}");

    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(Path::new(&book.file())).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

/// What cannot be written down is not done.
#[tokio::test]
async fn without_its_book_nothing_is_done() {
    let variables = [("NATTER_AUDIT__FILE", "/nowhere/at/all"), ("NATTER_AUTH__HS256_SECRET", SECRET)];
    let ended = run(&["token", "--as", "alice"], &variables).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{}", ended.err);
    assert!(
        ended.err.contains("audit.file: /nowhere/at/all") && ended.err.contains("nothing was done"),
        "{}",
        ended.err
    );
    // On standard error it is one line as well, beside what the command prints.
    let variables = [("NATTER_AUDIT__FILE", "-"), ("NATTER_AUTH__HS256_SECRET", SECRET)];
    let ended = run(&["token", "--as", "alice"], &variables).await;
    let line: Value = serde_json::from_str(&ended.err).unwrap();
    assert!(ended.code == Some(0) && line["action"] == "token" && !ended.err.contains(&ended.out), "{}", ended.err);
}
