//! `docs/configuration.md`: a table of every variable, made from what the binaries ask for and from the words of
//! `.env.example`. When it has to change, the test says how.

use std::{collections::BTreeMap, fs};

use shared::config::variable::{UnlessSet, Variable};

use super::{of_api, of_worker, required};
use crate::harness::source::root;

const HEAD: &str = "\
# Configuration

Every variable of both binaries, made from what they ask for and from the words of `.env.example`: to change it, change
those, run `cargo dev test configuration`, and copy the file that it names.

Unset and empty mean the same. Durations are written 200ms, 15s, 2m, 12h. A **secret** can be given as a file instead, by
its name with `_FILE` behind it (`DATABASE_URL_FILE=/run/secrets/database`). What is wrong is told all at once, before
anything is started, with exit code 64:

```sh
usher-api config check                        # what is wrong, or else what holds, secrets left out; --json
usher-worker config check
```
";

#[test]
fn the_reference_is_what_the_code_says() {
    let made = reference();
    let checked_in = fs::read_to_string(root().join("docs/configuration.md")).unwrap_or_default();
    if checked_in != made {
        fs::write(root().join("target/configuration.md"), made).expect("target/ takes a file");
        panic!("docs/configuration.md is out of date: cp target/configuration.md docs/configuration.md");
    }
}

fn reference() -> String {
    let settings = required();
    let asked = Asked { api: by_name(of_api(&settings)), worker: by_name(of_worker(&settings)) };
    let tables: Vec<_> = sections().iter().map(|section| table(section, &asked)).collect();
    format!("{HEAD}{}", tables.concat())
}

/// By whom a variable is asked for.
struct Asked {
    api: BTreeMap<&'static str, Variable>,
    worker: BTreeMap<&'static str, Variable>,
}

fn by_name(asked: Vec<Variable>) -> BTreeMap<&'static str, Variable> {
    asked.into_iter().map(|variable| (variable.name, variable)).collect()
}

impl Asked {
    /// What is asked for under this name, by all of whom the title speaks.
    fn find(&self, title: &str, name: &str) -> Option<&Variable> {
        let (api, worker) = (self.api.get(name), self.worker.get(name));
        match title {
            "Of both" => api.filter(|_| worker.is_some()),
            "Of usher-api" => api,
            _ => worker,
        }
    }
}

fn table(section: &Section, asked: &Asked) -> String {
    let head = format!("\n## {}\n\n| variable | is | unless set | what for |\n|---|---|---|---|\n", section.title);
    let rows = section.variables.iter().map(|(name, words)| {
        let variable = asked.find(&section.title, name);
        row(variable.unwrap_or_else(|| panic!("{name} is not asked for by those {}", section.title)), words)
    });
    rows.fold(head, |text, row| text + row.as_str())
}

fn row(variable: &Variable, words: &str) -> String {
    let Variable { name, expected, unless_set, is_secret, .. } = variable;
    let secret = if *is_secret { ", **secret**" } else { "" };
    let unless_set = match unless_set {
        UnlessSet::Fault => "required".to_owned(),
        UnlessSet::Nothing => "–".to_owned(),
        UnlessSet::Is(value) => format!("`{value}`"),
        UnlessSet::Derived(told) => (*told).to_owned(),
    };
    let (expected, words) = (literal(expected), literal(words.trim_start_matches("Secret. ")));
    format!("| `{name}` | {expected}{secret} | {unless_set} | {words} |\n")
}

/// What would end a cell, or begin an address, stands for itself.
fn literal(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<")
}

struct Section {
    title: String,
    /// With the words before each.
    variables: Vec<(String, String)>,
}

/// `.env.example` as it is written: a line for each section, and words before one variable or several.
fn sections() -> Vec<Section> {
    let example = fs::read_to_string(root().join(".env.example")).expect("the example is there");
    let mut sections: Vec<Section> = Vec::new();
    let (mut words, mut are_new) = (String::new(), true);
    for line in example.lines() {
        if let Some(title) = line.strip_prefix("# --- ").and_then(|title| title.split(" -").next()) {
            sections.push(Section { title: format!("Of {title}"), variables: Vec::new() });
        } else if let Some(more) = line.strip_prefix("# ") {
            words = if are_new { more.to_owned() } else { format!("{words} {more}") };
            are_new = false;
            continue;
        } else if let (Some((name, _)), Some(section)) =
            (line.trim_start_matches('#').split_once('='), sections.last_mut())
        {
            let words = if are_new { "as above".to_owned() } else { words.clone() };
            section.variables.push((name.to_owned(), words));
        }
        are_new = true;
    }
    sections
}
