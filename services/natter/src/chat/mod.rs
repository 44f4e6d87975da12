//! `natter chat`: a terminal client.
//!
//! One task owns the screen and everything that is shown; requests run beside it and their
//! answers come back to it, because the client's notifications have to be read all the time.

mod account;
mod answers;
mod args;
mod changes;
mod command;
mod gap;
mod groups;
mod input;
mod keys;
mod outbox;
mod place;
mod requests;
mod saying;
mod screen;
mod seen;
mod session;
mod style;
mod transcript;
mod writing;

use std::{process::ExitCode, sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use natter_client::{Client, TokenError, TokenSource};
use natter_config::Config;
use natter_runtime::wait_for_stop;

use crate::{output, tokens};
pub use args::Args;
use input::{Input, Typed};

use place::Place;
use requests::Target;
use session::{Session, Step};
use style::Style;

/// How long a token made here is valid; the client asks for the next one in time.
const TOKEN_TTL: Duration = Duration::from_secs(3600);
/// How long what was said may take to be stored, and what was asked to be answered, once the input has ended.
const LAST_SENDS: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(100);

/// Chats until the input ends, `/quit` or a signal.
///
/// # Errors
/// A sentence, when there is no token, or the gateway refuses for good.
pub async fn run(args: Args, config: &Config) -> anyhow::Result<ExitCode> {
    let place = Place::open(&config.data_dir, &args.user)?;
    let token = token_source(&args, config)?;
    let gateways = if args.gateway.is_empty() { vec![tokens::default_gateway(config)] } else { args.gateway };
    let builder = Client::builder(gateways.clone(), token)
        .device(place.device())
        .device_name(account::device_name())
        .position(place.position());
    let client = tokens::trusting(builder, args.ca_file.as_deref())?.connect()?;
    let style = Style { colour: output::in_colour(), me: args.user.clone(), zone: TimeZone::system() };
    let target = match (args.to, args.room) {
        (Some(user), _) => Target::User(user),
        _ if args.join.is_some() => Target::Invite(args.join.unwrap_or_default()),
        (None, Some(name)) => Target::Room { name, with: args.with },
        (None, None) => Target::Everything,
    };
    let label = match &target {
        Target::Everything => None,
        Target::Invite(_) => Some("#".to_owned()),
        Target::User(user) => Some(format!("@{}", style::clean(user.as_str()))),
        Target::Room { name, .. } => Some(format!("#{}", style::clean(name))),
    };
    let input = Input::start(style.prompt(label.as_deref()))?;
    let client = Arc::new(client);
    let mut session = Session::new(Arc::clone(&client), style, input, place, target, &gateways);
    let result = converse(&client, &mut session).await;
    let unsent = session.end();
    client.close().await;
    drop(session);
    result?;
    if unsent > 0 {
        anyhow::bail!("{unsent} of your messages may not be stored");
    }
    Ok(ExitCode::SUCCESS)
}

fn token_source(args: &Args, config: &Config) -> anyhow::Result<TokenSource> {
    if let Some(token) = &args.token {
        return Ok(TokenSource::fixed(token.clone()));
    }
    // Once now, so that a missing secret is told at once.
    tokens::dev_token(config, &args.user, TOKEN_TTL)?;
    let (config, user) = (config.clone(), args.user.clone());
    Ok(TokenSource::from_fn(move || {
        tokens::dev_token(&config, &user, TOKEN_TTL).map_err(|error| TokenError(error.to_string()))
    }))
}

async fn converse(client: &Client, session: &mut Session) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(wait_for_stop());
    let mut tick = tokio::time::interval(TICK);
    loop {
        let step = tokio::select! {
            () = &mut stop => return Ok(()),
            told = client.next_event() => session.told(told),
            answer = session.answers.recv() => session.answered(answer),
            typed = session.input.next(), if session.takes_input() => match typed {
                Typed::Line(line) => session.typed(line),
                Typed::Writes(writes) => session.writes(writes),
            },
            _ = tick.tick() => session.tick(),
        };
        match step {
            Ok(Step::GoOn) => {}
            Ok(Step::End) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
