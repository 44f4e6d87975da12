//! `natter-bench`: see `--help` and `docs/benchmarks.md`.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    natter_e2e::bench::run(natter_e2e::bench::Options::parse()).await
}
