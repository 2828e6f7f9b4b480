//! One line for each service: a spinner that turns into a result on a terminal, plain lines everywhere else, or nothing.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const REDRAW: Duration = Duration::from_millis(120);

pub(crate) enum Board {
    Terminal(MultiProgress),
    Plain,
    Silent,
}

impl Board {
    pub(crate) fn new() -> Self {
        if std::io::stderr().is_terminal() { Self::Terminal(MultiProgress::new()) } else { Self::Plain }
    }

    pub(crate) fn line(&self, name: &'static str) -> Line {
        let shown = match self {
            Self::Terminal(lines) => Shown::Bar(spinner(lines, name)),
            Self::Plain => Shown::Plain,
            Self::Silent => Shown::Nowhere,
        };
        Line { name, shown, started: Instant::now() }
    }
}

fn spinner(lines: &MultiProgress, name: &'static str) -> ProgressBar {
    let bar = lines.add(ProgressBar::new_spinner());
    bar.set_style(
        ProgressStyle::with_template("{spinner} {prefix:<11} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar.set_prefix(name);
    bar.enable_steady_tick(REDRAW);
    bar
}

pub(crate) struct Line {
    name: &'static str,
    shown: Shown,
    started: Instant,
}

enum Shown {
    Bar(ProgressBar),
    Plain,
    Nowhere,
}

impl Line {
    /// A step worth a line of its own in a log.
    pub(crate) fn step(&self, text: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.set_message(text.to_owned()),
            Shown::Plain => println!("  {:<11} {text}", self.name),
            Shown::Nowhere => {}
        }
    }

    /// A detail that only a terminal can show without filling pages.
    pub(crate) fn detail(&self, text: &str) {
        if let Shown::Bar(bar) = &self.shown {
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
        match &self.shown {
            Shown::Bar(bar) => {
                let plain = ProgressStyle::with_template("{prefix:<14} {wide_msg}");
                bar.set_style(plain.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_prefix(format!("{mark} {}", self.name));
                bar.finish_with_message(text.to_owned());
            }
            Shown::Plain => println!("{mark} {:<11} {text}", self.name),
            Shown::Nowhere => {}
        }
    }
}
