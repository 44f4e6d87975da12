//! Starts both servers, tells where they are, and hangs: what a test that is killed in the middle
//! looks like to its servers.

use natter_testkit::{NatsServer, postgres};

#[tokio::main]
async fn main() {
    let (nats, database) = (NatsServer::start().await, postgres::database().await);
    #[allow(clippy::print_stdout, reason = "the test that kills this process reads it")]
    {
        println!("servers {} {database}", nats.url());
    }
    std::future::pending::<()>().await;
}
