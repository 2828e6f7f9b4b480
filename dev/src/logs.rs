//! Reading a log: what is new in it, and its end for the message of a failure.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use anyhow::{Context as _, Result};

use crate::stack::Stack;

pub(crate) const FAILURE_LINES: usize = 20;

/// The last lines of a log, indented to stand out in a message; none from before `position`.
pub(crate) fn tail(stack: &Stack, name: &str, mut position: u64) -> String {
    let text = since(&stack.log_file(name), &mut position).unwrap_or_default();
    last_lines(&text, FAILURE_LINES).map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
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

pub(crate) fn last_lines(text: &str, count: usize) -> impl Iterator<Item = &str> {
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
