//! What happens, as lines on the terminal: when, who, what.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Who does or says something.
#[derive(Clone, Copy)]
pub(crate) enum Who {
    Proxy,
    Meshim,
    Application,
}

/// One play.
pub(crate) struct Timeline {
    began: Instant,
    /// For the threads that listen; gone once nobody is to be listened to any more.
    sender: Option<Sender<(Who, Instant, String)>>,
    heard: Receiver<(Who, Instant, String)>,
    at: Instant,
}

impl Timeline {
    /// Shows the command that is played and starts the clock.
    pub(crate) fn begin(command: &str) -> Self {
        print(&format!("$ {command}\n\n  seconds  who          what"));
        let (sender, heard) = channel();
        let began = Instant::now();
        Self { began, sender: Some(sender), heard, at: began }
    }

    /// Takes in what comes out of a pipe, line by line, until its end.
    pub(crate) fn listen(&mut self, who: Who, pipe: Option<impl Read + Send + 'static>) {
        let (Some(sender), Some(pipe)) = (self.sender.clone(), pipe) else { return };
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let _ = sender.send((who, Instant::now(), line));
            }
        });
    }

    /// Something happens now. What was heard before is shown before.
    pub(crate) fn happens(&mut self, who: Who, what: &str) {
        let now = Instant::now();
        while let Ok((who, at, line)) = self.heard.try_recv() {
            self.at = at;
            self.say(who, &line);
        }
        self.at = now;
        self.say(who, what);
    }

    /// The next line that was heard; `None` when all pipes are at their end.
    pub(crate) fn next(&mut self) -> Option<(Who, String)> {
        self.sender = None;
        let (who, at, line) = self.heard.recv().ok()?;
        self.at = at;
        Some((who, line))
    }

    /// Shows a line at the time of the last event.
    pub(crate) fn say(&self, who: Who, what: &str) {
        let who = match who {
            Who::Proxy => "proxy",
            Who::Meshim => "meshim",
            Who::Application => "application",
        };
        let seconds = self.at.saturating_duration_since(self.began).as_secs_f64();
        print(&format!(
            "{seconds:>9.3}  {who:<11}  {}",
            what.strip_prefix("meshim: ").unwrap_or(what)
        ));
    }
}

/// Shows what it came to.
pub(crate) fn end(lag: Duration) {
    let milliseconds = lag.as_secs_f64() * 1000.0;
    print(&format!(
        "\nThe application's first instruction came {milliseconds:.1} ms after the proxy was LIVE. \
         A loop that sleeps for a second would have taken half a second on average."
    ));
}

fn print(line: &str) {
    // Nobody there to read it: then it need not be said.
    let _ = writeln!(std::io::stdout(), "{line}");
}
