//! `cargo dev logs`, and the end of a log for the message of a failure.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{services, stack::Stack};

const FAILURE_LINES: usize = 20;
const SHOWN_LINES: usize = 200;
const POLL: Duration = Duration::from_millis(200);

/// The last lines of a log, indented to stand out in a message; none from before `position`.
pub(crate) fn tail(stack: &Stack, name: &str, mut position: u64) -> String {
    let text = since(&stack.log_file(name), &mut position).unwrap_or_default();
    last_lines(&text, FAILURE_LINES).map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

pub(crate) async fn show(stack: &Stack, name: Option<&str>, follow: bool) -> Result<()> {
    let mut logs = opened(stack, name)?;
    let shown = if logs.len() == 1 { SHOWN_LINES } else { FAILURE_LINES };
    for log in &mut logs {
        let text = since(&log.path, &mut log.position).unwrap_or_default();
        log.print(last_lines(&text, shown))?;
    }
    if follow { follow_for_ever(logs).await } else { Ok(()) }
}

async fn follow_for_ever(mut logs: Vec<Log>) -> Result<()> {
    loop {
        tokio::time::sleep(POLL).await;
        for log in &mut logs {
            let text = since(&log.path, &mut log.position).unwrap_or_default();
            log.print(text.lines())?;
        }
    }
}

struct Log {
    /// Shown in front of each line when there is more than one log.
    label: Option<String>,
    path: PathBuf,
    position: u64,
}

impl Log {
    fn print<'a>(&self, lines: impl Iterator<Item = &'a str>) -> Result<()> {
        let mut out = std::io::stdout().lock();
        for line in lines {
            match &self.label {
                Some(label) => writeln!(out, "{label:<11} {line}")?,
                None => writeln!(out, "{line}")?,
            }
        }
        Ok(())
    }
}

fn opened(stack: &Stack, name: Option<&str>) -> Result<Vec<Log>> {
    let Some(name) = name else {
        let names = services::all(stack).into_iter().map(|it| it.name.to_owned());
        return Ok(names.map(|it| Log { path: stack.log_file(&it), label: Some(it), position: 0 }).collect());
    };
    let path = stack.log_file(name);
    if !path.exists() {
        let known: Vec<_> = services::all(stack).iter().map(|it| it.name).collect();
        bail!("there is no log named {name} yet; the services are {}", known.join(", "));
    }
    Ok(vec![Log { label: None, path, position: 0 }])
}

/// What was written after `position`, up to the last whole line; moves the position there.
pub(crate) fn since(path: &Path, position: &mut u64) -> Result<String> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < *position {
        *position = 0;
    }
    file.seek(SeekFrom::Start(*position))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    bytes.truncate(whole);
    *position += u64::try_from(whole).context("a log of this size cannot be")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(text: &str, count: usize) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(count);
    lines.into_iter().skip(skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_the_last_ones() {
        assert_eq!(last_lines("a\nb\nc\n", 2).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(last_lines("a\n", 2).collect::<Vec<_>>(), ["a"]);
    }
}
