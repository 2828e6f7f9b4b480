//! What a command answers: a table for a human, or with `--json` an object on each line for a program.
//!
//! Whoever reads the answer may have gone (`| head -0`). What was done is done all the same, so that is no fault.

use std::{
    fmt::Write as _,
    io::{self, ErrorKind, Write as _},
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

/// One line of an answer. Its fields in JSON are stable: fields may be added, and mean what they meant.
pub trait Line: Serialize {
    const COLUMNS: &'static [&'static str];

    /// As many as there are columns.
    fn cells(&self) -> Vec<String>;
}

#[derive(Debug, Clone, Copy, Args)]
pub struct Format {
    /// Answer in JSON, one object a line
    #[arg(long)]
    json: bool,
}

impl Format {
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints lines side by side, or says `none` when there are none. Says whether somebody reads it.
    pub fn print<L: Line>(self, lines: &[L], none: &str) -> anyhow::Result<bool> {
        match (self.json, lines) {
            (true, lines) => write(&json(lines)?),
            (false, []) => write(&format!("{none}\n")),
            (false, lines) => write(&table(lines)),
        }
    }

    /// Prints one thing, a field on each line. Says whether somebody reads it.
    pub fn print_one<L: Line>(self, one: &L) -> anyhow::Result<bool> {
        if self.json {
            return write(&json(std::slice::from_ref(one))?);
        }
        let width = L::COLUMNS.iter().map(|name| name.len()).max().unwrap_or_default();
        let cells = L::COLUMNS.iter().zip(one.cells());
        write(&cells.fold(String::new(), |text, (name, cell)| text + &format!("{name:width$}  {}\n", printable(&cell))))
    }
}

fn json<L: Line>(lines: &[L]) -> anyhow::Result<String> {
    lines.iter().try_fold(String::new(), |text, line| Ok(text + &serde_json::to_string(line)? + "\n"))
}

fn table<L: Line>(lines: &[L]) -> String {
    let head = L::COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    let mut rows: Vec<Vec<String>> = vec![head];
    rows.extend(lines.iter().map(|line| line.cells().iter().map(|cell| printable(cell)).collect()));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..L::COLUMNS.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        // Writing to a string cannot fail.
        writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end()).ok();
    }
    text
}

/// What other servers and senders said could move the cursor of a terminal, or do worse.
fn printable(cell: &str) -> String {
    cell.replace(char::is_control, " ")
}

/// Says whether somebody reads it.
pub fn write(text: &str) -> anyhow::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("the answer could not be written"),
    }
}

/// Says something beside the answer.
pub fn remark(text: &str) {
    writeln!(io::stderr(), "{text}").ok();
}

/// An age for a human.
pub fn age(age: Duration) -> String {
    humantime::format_duration(Duration::from_secs(age.as_secs())).to_string()
}

/// What is not known, for a human.
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Letter {
        sent_to: &'static str,
        words: &'static str,
    }

    impl Line for Letter {
        const COLUMNS: &'static [&'static str] = &["SENT TO", "WORDS"];

        fn cells(&self) -> Vec<String> {
            vec![self.sent_to.to_owned(), self.words.to_owned()]
        }
    }

    const LETTERS: [Letter; 2] =
        [Letter { sent_to: "ada", words: "\u{1b}[2Jgone" }, Letter { sent_to: "grace hopper", words: "ü\nb" }];

    #[test]
    fn a_table_is_aligned_and_moves_no_cursor() {
        assert_eq!(table(&LETTERS), "SENT TO       WORDS\nada            [2Jgone\ngrace hopper  ü b\n");
    }

    #[test]
    fn json_is_an_object_a_line() {
        let lines =
            "{\"sentTo\":\"ada\",\"words\":\"\\u001b[2Jgone\"}\n{\"sentTo\":\"grace hopper\",\"words\":\"ü\\nb\"}\n";
        assert_eq!(json(&LETTERS).unwrap(), lines);
    }
}
