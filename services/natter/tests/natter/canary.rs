//! `natter canary --once`.

use crate::process::{Natter, run};

#[tokio::test]
async fn once_goes_through_every_stage_and_says_how_long_each_took() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let data_dir = folder.path().to_str().unwrap();
    let ended = run(&["canary", "--once", "--data-dir", data_dir], &[]).await;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    for stage in ["connect", "accepted", "delivered", "resumed"] {
        let rows = ended.out.lines().filter(|line| line.starts_with(stage) && line.ends_with(" ms")).count();
        assert!(rows >= 2, "{stage}, once for each of the two:\n{}", ended.out);
    }
    assert!(ended.out.ends_with("Every stage passed."), "{}", ended.out);

    // Tokens from files, whoever issues them.
    let files = ["canary-a", "canary-b"].map(|user| folder.path().join(user));
    for file in &files {
        let user = file.file_name().unwrap().to_str().unwrap();
        let token = run(&["token", "--as", user, "--data-dir", data_dir], &[]).await.out;
        std::fs::write(file, format!("{token}\n")).unwrap();
    }
    let [first, second] = files.each_ref().map(|file| file.to_str().unwrap());
    let gateway = natter.value("connection").await;
    let with = async |first: &str, second: &str| {
        let more = ["--url", &gateway, "--token-file", first, "--token-file", second, "--timeout", "3s"];
        let arguments: Vec<_> = ["canary", "--once"].into_iter().chain(more).collect();
        run(&arguments, &[]).await
    };
    let ended = with(first, second).await;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    let ended = with(second, first).await;
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains("the token names `canary-b`, and --pair `canary-a`"), "{}", ended.err);
    std::fs::write(first, "").unwrap();
    let ended = with(first, second).await;
    assert!(ended.code == Some(1) && ended.err.contains("is empty"), "{}", ended.err);
    natter.stop().await;
}

#[tokio::test]
async fn once_fails_with_a_sentence_when_nothing_listens() {
    let folder = tempfile::tempdir().unwrap();
    let secret = ("NATTER_AUTH__HS256_SECRET", "0123456789012345678901234567890123456789");
    let data_dir = folder.path().to_str().unwrap();
    let arguments = ["canary", "--once", "--url", "ws://127.0.0.1:1", "--timeout", "500ms", "--data-dir", data_dir];
    let ended = run(&arguments, &[secret]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.starts_with("natter: connect: ws://127.0.0.1:1: "), "{}", ended.err);
    assert!(ended.err.contains("cannot be reached") && ended.err.contains("is the gateway ready"), "{}", ended.err);
    assert!(ended.out.contains("Not passed: connect, accepted, delivered, resumed."), "{}", ended.out);
}

#[tokio::test]
async fn flags_that_cannot_work_are_refused() {
    let cases: [(&[&str], &str); 4] = [
        (&["--pair", "a,a"], "--pair: takes two different users"),
        (&["--pair", "a"], "--pair: takes two different users"),
        (&["--token-file", "x"], "--token-file: must be given twice"),
        (&["--url", "ws://a", "--url", "ws://b", "--url", "ws://c"], "--url: may be given at most twice"),
    ];
    for (more, sentence) in cases {
        let arguments: Vec<_> = ["canary", "--once"].iter().chain(more).copied().collect();
        let ended = run(&arguments, &[]).await;
        assert_eq!(ended.code, Some(64), "{more:?}: {}", ended.err);
        assert!(ended.err.starts_with(sentence), "{more:?}: {}", ended.err);
    }
}
