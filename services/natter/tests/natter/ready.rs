//! `natter ready`, as the health check of a container.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::process::{Ended, Natter, run};

async fn ready(listen: &str) -> Ended {
    run(&["ready", "--set", &format!("admin.listen={listen}")], &[]).await
}

#[tokio::test]
async fn it_asks_the_process_that_runs_here() {
    let folder = tempfile::tempdir().unwrap();
    let natter = Natter::serve(folder.path()).await;
    let admin = natter.value("admin").await;
    let port = admin.rsplit_once(':').unwrap().1;
    // As a container is told: everywhere.
    let ended = ready(&format!("0.0.0.0:{port}")).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "ready"), "{}", ended.err);
    natter.stop().await;
    let ended = ready(&format!("127.0.0.1:{port}")).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains("/health/ready does not answer"), "{}", ended.err);
}

#[tokio::test]
async fn it_says_what_the_process_waits_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = ready(&address);
    let answered = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0, "it left");
        }
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 20\r\n\r\nwaiting for storage\n";
        socket.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    };
    let (ended, request) = tokio::join!(asked, answered);
    assert!(request.starts_with("GET /health/ready HTTP/1.1\r\n"), "{request}");
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), "waiting for storage"), "{}", ended.err);
}

#[tokio::test]
async fn it_needs_to_know_whom_to_ask() {
    for listen in [&[][..], &["--set", "admin.listen=127.0.0.1:0"]] {
        let arguments: Vec<_> = ["ready"].iter().chain(listen).copied().collect();
        let ended = run(&arguments, &[]).await;
        assert_eq!(ended.code, Some(64), "{}", ended.err);
        assert!(ended.err.starts_with("admin.listen: "), "{}", ended.err);
    }
}
