//! `natter ready`: a health check for where there is no shell and no HTTP client, as in the image.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::Args as ClapArgs;
use natter_config::{Config, ConfigError};
use natter_runtime::paths;

use crate::output;

/// Asks the process that runs here with the same configuration whether it is ready, at
/// `admin.listen`.
///
/// Prints `ready` or what the process waits for. Exit code 1 when it is not ready or does not
/// answer, else 0.
#[derive(Debug, ClapArgs)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  natter ready
  natter ready --timeout 1s --set admin.listen=127.0.0.1:9090"
)]
pub struct Args {
    /// How long the answer may take.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}

/// Asks once.
///
/// # Errors
/// A sentence, when there is no answer.
pub async fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let listen = config.admin.listen.filter(|listen| listen.port() != 0);
    let listen = listen.ok_or_else(|| ConfigError::key("admin.listen", "must name the address that is to be asked"))?;
    let scheme = if config.admin.tls().is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}{}", reachable(listen), paths::READY);
    // Nothing leaves this machine, and certificates are made for names that others use: as with the
    // probes of Kubernetes, any will do.
    let http = reqwest::Client::builder().timeout(args.timeout).no_proxy().tls_danger_accept_invalid_certs(true);
    let answer = http.build()?.get(&url).send().await.with_context(|| format!("{url} does not answer"))?;
    let ready = answer.status().is_success();
    output::say(answer.text().await.with_context(|| format!("{url} broke off"))?.trim_end());
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where a process that listens there is reached on its own machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_here() {
        for (listen, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.1.2.3:9090", "10.1.2.3:9090"),
            ("[fd00::1]:9090", "[fd00::1]:9090"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
