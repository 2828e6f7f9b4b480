//! The milestones of one user, read from the logs of the api and the workers.

use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{logs, services::usher, stack::Stack};

/// As they are logged, and as people read them; in the order in which a healthy system passes them.
pub(crate) const MILESTONES: [(&str, &str); 6] = [
    ("committed", "committed with its event"),
    ("published", "event published"),
    ("consumed", "event consumed"),
    ("keycloak_user_created", "Keycloak user created"),
    ("synced", "marked synced"),
    ("mail_accepted", "mail accepted"),
];

const POLL: Duration = Duration::from_millis(20);

/// The logs, from the moment this was made.
pub(crate) struct Timeline {
    logs: Vec<(std::path::PathBuf, u64)>,
    lines: Vec<Value>,
}

impl Timeline {
    pub(crate) fn start(stack: &Stack) -> Self {
        let names = usher::services(stack).into_iter().map(|service| service.name);
        let end = |path: &std::path::PathBuf| std::fs::metadata(path).map_or(0, |it| it.len());
        let logs = names.map(|name| stack.log_file(name)).map(|path| (path.clone(), end(&path))).collect();
        Self { logs, lines: Vec::new() }
    }

    /// When `user` passed each milestone; ends with the last one or after `patience`.
    pub(crate) async fn follow(&mut self, user: &str, patience: Duration) -> Result<Vec<Option<DateTime<Utc>>>> {
        let asked = Instant::now();
        loop {
            self.read()?;
            let passed: Vec<_> = MILESTONES.iter().map(|(name, _)| self.passed(user, name)).collect();
            if passed.iter().all(Option::is_some) || asked.elapsed() > patience {
                return Ok(passed);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn read(&mut self) -> Result<()> {
        for (path, position) in &mut self.logs {
            let text = logs::since(path, position)?;
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            self.lines.extend(lines.filter(|line| line["target"] == "milestone"));
        }
        Ok(())
    }

    fn passed(&self, user: &str, milestone: &str) -> Option<DateTime<Utc>> {
        let line = self.lines.iter().find(|line| line["user.id"] == user && line["milestone"] == milestone)?;
        line["timestamp"].as_str()?.parse().ok()
    }
}
