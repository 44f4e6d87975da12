//! Flags of `natter chat`.

use clap::Args as ClapArgs;
use natter_ids::UserId;

use crate::cli::user;

/// Chats in the terminal. Messages are stored before they get their mark; the connection comes
/// back by itself, to any gateway; what was missed is shown on the next visit.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  natter chat --as alice --to bob
  natter chat --as alice --room lunch --with bob --with carol
  natter chat --as alice                       list conversations, watch all of them
  echo 'on my way' | natter chat --as alice --to bob
  natter chat --as alice --to bob --gateway ws://gw1:8080 --gateway ws://gw2:8080

Type a line to say it. /help lists what else there is.")]
pub struct Args {
    /// Who you are.
    #[arg(long = "as", value_name = "USER", value_parser = user)]
    pub user: UserId,
    /// Talk with this user.
    #[arg(long, value_name = "USER", value_parser = user, conflicts_with_all = ["room", "with"])]
    pub to: Option<UserId>,
    /// Talk in the group of this name; it is created when you are in no such group.
    #[arg(long, value_name = "NAME")]
    pub room: Option<String>,
    /// A member of the group, if it has to be created; may be repeated.
    #[arg(long, value_name = "USER", value_parser = user, requires = "room")]
    pub with: Vec<UserId>,
    /// Join the group that this invite's code leads into, and talk there.
    #[arg(long, value_name = "CODE", conflicts_with_all = ["to", "room", "with"])]
    pub join: Option<String>,
    /// A gateway; may be repeated. Without one, the one that `natter serve` runs here.
    #[arg(long, value_name = "URL")]
    pub gateway: Vec<String>,
    /// Trust only gateways with certificates of these, in a PEM file; without it, as browsers do.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<std::path::PathBuf>,
    /// A token; without one, one is made as by `natter token`.
    #[arg(long, env = "NATTER_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
}
