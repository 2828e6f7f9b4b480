//! One line for each service: a spinner that turns into a result on a terminal, plain lines everywhere else.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const REDRAW: Duration = Duration::from_millis(120);

pub(crate) struct Board {
    lines: Option<MultiProgress>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self { lines: std::io::stderr().is_terminal().then(MultiProgress::new) }
    }

    pub(crate) fn line(&self, name: &'static str) -> Line {
        let bar = self.lines.as_ref().map(|lines| {
            let bar = lines.add(ProgressBar::new_spinner());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {prefix:<11} {wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.set_prefix(name);
            bar.enable_steady_tick(REDRAW);
            bar
        });
        Line { name, bar, started: Instant::now() }
    }
}

pub(crate) struct Line {
    name: &'static str,
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Line {
    /// A step worth a line of its own in a log.
    pub(crate) fn step(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => println!("  {:<11} {text}", self.name),
        }
    }

    /// A detail that only a terminal can show without filling pages.
    pub(crate) fn detail(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    pub(crate) fn done(&self, text: &str) {
        self.finish("ok", &format!("{text} ({:.1} s)", self.started.elapsed().as_secs_f32()));
    }

    pub(crate) fn unchanged(&self, text: &str) {
        self.finish("ok", text);
    }

    pub(crate) fn failed(&self) {
        self.finish("!!", "failed");
    }

    fn finish(&self, mark: &str, text: &str) {
        match &self.bar {
            Some(bar) => {
                let plain = ProgressStyle::with_template("{prefix:<14} {wide_msg}");
                bar.set_style(plain.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_prefix(format!("{mark} {}", self.name));
                bar.finish_with_message(text.to_owned());
            }
            None => println!("{mark} {:<11} {text}", self.name),
        }
    }
}
