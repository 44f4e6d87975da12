//! Lines from a terminal, with editing, or from a pipe.

use std::{
    io::{BufRead, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::{Editor, ExternalPrinter, history::DefaultHistory};
use tokio::sync::mpsc;

use super::keys::Keys;

/// Lines that wait to be handled. When it is full the reader waits.
const LINES: usize = 16;

/// Signs that somebody is writing that wait to be handled; more are dropped.
const SIGNS: usize = 4;

/// Prints above the line that is being edited.
type Print = Box<dyn FnMut(&str) + Send>;

/// Plain and in colour.
type Prompt = (String, String);

/// What a person does.
pub enum Typed {
    /// A whole line; none at the end.
    Line(Option<String>),
    /// They begin or go on to write something to say; or have taken it back.
    Writes(bool),
}

/// Where lines come from, and how to print meanwhile.
pub struct Input {
    lines: mpsc::Receiver<String>,
    writes: mpsc::Receiver<bool>,
    more: mpsc::Sender<()>,
    print: Print,
    prompt: Arc<Mutex<Prompt>>,
    is_terminal: bool,
    before: Option<Termios>,
}

impl Input {
    /// Starts reading standard input; in a terminal, behind the prompt.
    ///
    /// # Errors
    /// A sentence, when the terminal cannot be used.
    pub fn start(prompt: Prompt) -> anyhow::Result<Self> {
        let prompt = Arc::new(Mutex::new(prompt));
        let (sender, lines) = mpsc::channel(LINES);
        let (more, go_on) = mpsc::channel(1);
        let (tell, writes) = mpsc::channel(SIGNS);
        // Both ends: with a piped output there is nothing to edit on.
        let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        if !is_terminal {
            tokio::task::spawn_blocking(move || read_pipe(&sender));
            let print: Print = Box::new(crate::output::say);
            return Ok(Self { lines, writes, more, print, prompt, is_terminal, before: None });
        }
        let before = tcgetattr(std::io::stdin()).ok();
        let mut editor = Editor::new()?;
        editor.set_helper(Some(Keys::new(tell)));
        let mut printer = editor.create_external_printer()?;
        // A closed terminal has no reader.
        let print: Print = Box::new(move |text| drop(printer.print(format!("{text}\n"))));
        let of_reader = Arc::clone(&prompt);
        tokio::task::spawn_blocking(move || read_terminal(&mut editor, &of_reader, &sender, go_on));
        Ok(Self { lines, writes, more, print, prompt, is_terminal, before })
    }

    /// Whether a person types.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The next line, or sign that one is being written. Cancel safe. In a terminal the prompt comes
    /// back after a line with [`Input::go_on`].
    pub async fn next(&mut self) -> Typed {
        tokio::select! {
            biased;
            Some(writes) = self.writes.recv() => Typed::Writes(writes),
            line = self.lines.recv() => Typed::Line(line),
        }
    }

    /// The line has been handled: the prompt may come back.
    pub fn go_on(&self) {
        let _ = self.more.try_send(());
    }

    /// Changes the prompt of the next line.
    pub fn set_prompt(&self, prompt: Prompt) {
        *self.prompt.lock().unwrap_or_else(PoisonError::into_inner) = prompt;
    }

    /// Prints whole lines above the prompt.
    pub fn print(&mut self, text: &str) {
        (self.print)(text);
    }
}

impl Drop for Input {
    /// The reading thread may still be in the middle of a line, with the terminal set up for it.
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn read_pipe(lines: &mpsc::Sender<String>) {
    let mut stdin = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        match stdin.read_until(b'\n', &mut line) {
            Ok(count) if count > 0 => {
                let text = String::from_utf8_lossy(&line);
                if lines.blocking_send(text.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

fn read_terminal(
    editor: &mut Editor<Keys, DefaultHistory>,
    prompt: &Mutex<Prompt>,
    lines: &mpsc::Sender<String>,
    mut go_on: mpsc::Receiver<()>,
) {
    let current = || prompt.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut prompt = current();
    // Ctrl-C and Ctrl-D end the chat.
    while let Ok(line) = editor.readline(&prompt) {
        erase(editor, prompt.0.chars().count() + line.chars().count());
        let _ = editor.add_history_entry(line.as_str());
        editor.helper().into_iter().for_each(Keys::line_ends);
        if lines.blocking_send(line).is_err() || go_on.blocking_recv().is_none() {
            return;
        }
        prompt = current();
    }
}

/// Takes the typed line off the screen: it comes back as a message, in its place among others'.
fn erase(editor: &mut Editor<Keys, DefaultHistory>, columns: usize) {
    let width = editor.dimensions().map_or(80, |(width, _)| usize::from(width)).max(1);
    let rows = columns / width + 1;
    let mut stdout = std::io::stdout().lock();
    let _ = write!(stdout, "\x1b[{rows}A\r\x1b[J").and_then(|()| stdout.flush());
}
