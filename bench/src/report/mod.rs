//! What is told: on the terminal, and as a page with charts.

mod chart;
mod number;
mod page;
mod svg;
mod table;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};

use crate::{ground::machine, options::Choice, row::Row};

pub(crate) struct Report {
    began: DateTime<Utc>,
    /// What it ran on.
    facts: Vec<String>,
    json: bool,
    quick: bool,
    directory: Option<PathBuf>,
}

impl Report {
    pub(crate) fn begin(facts: Vec<String>, choice: &Choice) -> Self {
        let directory = choice.report.clone();
        Self { began: Utc::now(), facts, json: choice.json, quick: choice.quick, directory }
    }

    /// What is not all of it is no page.
    pub(crate) fn tell(mut self, rows: &[Row], took: Duration, all: bool) -> Result<()> {
        self.facts.push(format!("load average when it ended: {}", machine::load()));
        self.facts.push(format!("{} s, {}", took.as_secs(), self.how(all)));
        if self.json {
            for row in rows {
                println!("{}", row.json());
            }
        } else {
            println!("\n{}\n{}", table::plain(rows), self.facts.join("\n"));
        }
        let Some(directory) = self.directory.as_ref().filter(|_| all) else { return Ok(()) };
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        fs::write(directory.join("results.md"), page::write(self.began, &self.facts, rows))?;
        for (name, picture) in chart::all(self.began, rows) {
            fs::write(directory.join(name), picture)?;
        }
        eprintln!("{}", directory.join("results.md").display());
        Ok(())
    }

    fn how(&self, all: bool) -> &'static str {
        match (all, self.quick) {
            (false, _) => "not to the end",
            (true, true) => "--quick: shows that everything works, measures little",
            (true, false) => "whole rounds",
        }
    }
}
