//! `cargo dev logs`

use std::{io::Write as _, path::PathBuf, time::Duration};

use anyhow::{Result, bail};

use crate::{
    logs::{FAILURE_LINES, last_lines, since},
    services,
    stack::Stack,
};

const SHOWN_LINES: usize = 200;
const POLL: Duration = Duration::from_millis(200);

pub(crate) async fn logs(stack: &Stack, name: Option<&str>, follow: bool) -> Result<()> {
    let mut opened = opened(stack, name)?;
    let shown = if opened.len() == 1 { SHOWN_LINES } else { FAILURE_LINES };
    for log in &mut opened {
        let text = since(&log.path, &mut log.position).unwrap_or_default();
        log.print(last_lines(&text, shown))?;
    }
    if follow { follow_for_ever(opened).await } else { Ok(()) }
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
