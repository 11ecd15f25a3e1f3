//! Prints the progress of a build on standard error: a bar on a terminal, lines elsewhere.

use hilum_initramfs::progress::Event;
use hilum_initramfs::untrusted::escaped;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The time between two lines about a long step without a terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// Prints events.
pub(crate) struct Reporter {
    started: Instant,
    is_terminal: bool,
    bar: Option<ProgressBar>,
    /// The current long step, and the time of the last line about it.
    told: Option<(String, Instant)>,
}

impl Reporter {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), is_terminal: std::io::stderr().is_terminal(), bar: None, told: None }
    }

    pub(crate) fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::Line(text) => self.line(text),
            Event::Bytes { what, done, total } if self.is_terminal => self.draw(what, done, total),
            Event::Bytes { what, done, total } => self.bytes(what, done, total),
            Event::End => {
                self.told = None;
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }

    fn line(&self, text: &str) {
        let line = format!("{:6.1} s  {}", self.started.elapsed().as_secs_f32(), escaped(text));
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn draw(&mut self, what: &str, done: u64, total: u64) {
        let bar = self.bar.get_or_insert_with(|| ProgressBar::new(0));
        if bar.message() != what {
            let style = match total {
                0 => "{spinner} {msg}  {bytes}  {elapsed}",
                _ => "{spinner} {msg}  {wide_bar} {bytes} of {total_bytes}  {eta}",
            };
            bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(escaped(what));
            bar.reset();
        }
        bar.set_length(total);
        bar.set_position(done);
    }

    /// Prints a line at the beginning of a large step, and one after each pause.
    fn bytes(&mut self, what: &str, done: u64, total: u64) {
        /// Steps of fewer bytes take little time.
        const LARGE: u64 = 64 << 20;
        match &self.told {
            Some((told, when)) if told == what && when.elapsed() < PAUSE => return,
            Some((told, _)) if told == what => {}
            _ if total < LARGE && total > 0 => return,
            // Without a size, it is printed when it takes long.
            _ if total == 0 => {
                self.told = Some((what.to_owned(), Instant::now()));
                return;
            }
            _ => {}
        }
        self.told = Some((what.to_owned(), Instant::now()));
        let of = if total > 0 { format!(" of {}", HumanBytes(total)) } else { String::new() };
        self.line(&format!("{what}: {}{of}", HumanBytes(done)));
    }
}
