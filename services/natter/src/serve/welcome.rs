//! What a person who just started Natter wants to know.

use std::path::{Path, PathBuf};

use natter_config::Config;

use crate::output;

/// Says, on standard output, how two people can chat now.
pub fn print(config: &Config, gateway: &str) {
    let (bold, dim, reset) = if output::in_colour() { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    let (alice, bob) = commands(config);
    output::say(&format!(
        "\n{bold}Natter runs.{reset} Two people can chat now, each in a terminal of their own:\n\n  \
         {bold}{alice}{reset}\n  {bold}{bob}{reset}\n\n\
         {dim}Gateway {gateway}, everything kept in {}. Ctrl-C stops.{reset}",
        config.data_dir.display()
    ));
}

fn commands(config: &Config) -> (String, String) {
    let kept_elsewhere = config.data_dir != Config::default().data_dir;
    if Path::new("justw").is_file() && !kept_elsewhere {
        return ("./justw chat alice bob".to_owned(), "./justw chat bob alice".to_owned());
    }
    let program = shell_word(&program().display().to_string());
    let place = if kept_elsewhere {
        format!(" --data-dir {}", shell_word(&config.data_dir.display().to_string()))
    } else {
        String::new()
    };
    let command = |me: &str, you: &str| format!("{program} chat{place} --as {me} --to {you}");
    (command("alice", "bob"), command("bob", "alice"))
}

/// This program, as a path that works from here.
fn program() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("natter"));
    let here = std::env::current_dir().unwrap_or_default();
    match exe.strip_prefix(&here) {
        Ok(inside) if !here.as_os_str().is_empty() => Path::new(".").join(inside),
        _ => exe,
    }
}

fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted_into_a_shell() {
        assert_eq!(shell_word("/opt/natter/bin"), "/opt/natter/bin");
        assert_eq!(shell_word("my data"), "'my data'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }
}
