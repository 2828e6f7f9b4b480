//! What a run came to, and the files that tell it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use checker::Report;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    losses::Excused,
    picture,
    publishing::{Cost, Published, cost},
    record::Noted,
    schedule::Strike,
    victim::{Kind, Victim},
};
use crate::stack::Stack;

pub(super) struct Outcome {
    pub(super) seed: u64,
    pub(super) began: DateTime<Utc>,
    pub(super) length: Duration,
    pub(super) cluster: bool,
    /// Other than the defaults.
    pub(super) settings: &'static [(&'static str, &'static str)],
    pub(super) strikes: Vec<Strike>,
    pub(super) versions: String,
    pub(super) verdict: Report,
    pub(super) excused: Excused,
    pub(super) noted: Noted,
    /// Events on their way to the broker; known where it is the broker alone that dies.
    pub(super) published: Vec<Published>,
}

impl Outcome {
    pub(super) fn title(&self) -> String {
        format!(
            "cargo dev chaos{} --seed {} --minutes {} --users {}: {} kills",
            if self.cluster { " --cluster" } else { "" },
            self.seed,
            self.length.as_secs_f64() / 60.0,
            self.verdict.attempted,
            self.noted.faults.len()
        )
    }

    /// What must not be: the checker's, and what only this run knows.
    pub(super) fn violations(&self) -> Vec<String> {
        let mut violations = self.verdict.violations.clone();
        violations.extend(self.noted.refused.iter().map(|refused| format!("refused: {refused}")));
        let ours = self.noted.ended.iter().filter(|ended| matches!(ended.victim.kind, Kind::Api | Kind::Worker));
        violations.extend(ours.map(|ended| format!("{} ended by itself at {:.1} s", ended.victim.name, ended.at)));
        if self.verdict.parked > 0 {
            violations.push(format!("{} users are parked, and nobody is at fault but we", self.verdict.parked));
        }
        violations
    }

    /// Returns the directory.
    pub(super) fn write(&self, stack: &Stack) -> Result<PathBuf> {
        let name = format!("{}-{}", self.began.format("%Y-%m-%d-%H%M%S"), self.seed);
        let directory = stack.state.join("chaos").join(name);
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        fs::write(directory.join("report.txt"), self.text())?;
        fs::write(directory.join("report.json"), serde_json::to_string_pretty(&self.json())?)?;
        fs::write(directory.join("timeline.svg"), picture::draw(self))?;
        Ok(directory)
    }

    fn text(&self) -> String {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut text = format!(
            "{}\n{}, {cores} cores\n{}\n\n{}\n\n",
            self.title(),
            self.began.format("%Y-%m-%d %H:%M UTC"),
            self.versions,
            self.verdict
        );
        for violation in self.violations() {
            _ = writeln!(text, "MUST NOT BE: {violation}");
        }
        _ = writeln!(text, "killed: {}, of them at the same time as another: {}", self.kills(), self.at_once());
        if let Some(costs) = self.costs() {
            _ = writeln!(text, "{costs}");
        }
        let Excused { cut_off, timed_out } = self.excused;
        _ = writeln!(text, "sends that stayed without an answer: {cut_off} cut off by a kill, {timed_out} timed out");
        let seconds = |at: Option<f64>| at.map_or_else(|| "never".to_owned(), |at| format!("after {at:.0} s"));
        _ = writeln!(text, "everything up again {}, quiet {}", seconds(self.noted.healed), seconds(self.noted.quiet));
        let others: Vec<_> =
            self.noted.ended.iter().map(|it| format!("{} at {:.1} s", it.victim.name, it.at)).collect();
        if !others.is_empty() {
            _ = writeln!(text, "ended by themselves: {}", others.join(", "));
        }
        let settings: Vec<_> = self.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        _ = writeln!(text, "other than the defaults: {}", settings.join(" "));
        text + "\n" + &self.story()
    }

    fn story(&self) -> String {
        let mut story = String::new();
        for fault in &self.noted.faults {
            let back = fault
                .ready
                .map_or_else(|| "was not back".to_owned(), |at| format!("was back {:.1} s later", at - fault.killed));
            let cost = cost(&self.published, fault).map(|Cost { pause, wait }| {
                format!("; nothing was published for {pause:.2} s, and an event waited for {wait:.2} s at most")
            });
            let (killed, name) = (fault.killed, fault.victim.name);
            _ = writeln!(story, "{killed:>8.1} s  {name:<10} {back}{}", cost.unwrap_or_default());
        }
        story
    }

    /// What the deaths cost: the least, the usual and the most.
    pub(super) fn costs(&self) -> Option<String> {
        let costs: Vec<Cost> = self.noted.faults.iter().filter_map(|fault| cost(&self.published, fault)).collect();
        let range = |part: fn(&Cost) -> f64| {
            let mut costs: Vec<f64> = costs.iter().map(part).collect();
            costs.sort_by(f64::total_cmp);
            let (least, usual, most) = (costs.first()?, costs.get(costs.len() / 2)?, costs.last()?);
            Some(format!("{least:.2} s at least, {usual:.2} s usually, {most:.2} s at most"))
        };
        let (pauses, waits) = (range(|cost| cost.pause)?, range(|cost| cost.wait)?);
        Some(format!("nothing was published for {pauses}\nan event waited for {waits}"))
    }

    /// Whoever may be killed.
    pub(super) fn victims(&self) -> &'static [Victim] {
        if self.cluster { &Victim::NODES } else { &Victim::ALL }
    }

    /// How often each kind was killed.
    fn kills(&self) -> String {
        let killed = |kind| self.noted.faults.iter().filter(|fault| fault.victim.kind == kind).count();
        let kinds = Kind::ALL.iter().filter(|kind| self.victims().iter().any(|victim| victim.kind == **kind));
        kinds.map(|kind| format!("{} {}", kind.name(), killed(*kind))).collect::<Vec<_>>().join(", ")
    }

    fn at_once(&self) -> usize {
        self.strikes.windows(2).filter(|pair| pair[0].at == pair[1].at).count()
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "seed": self.seed,
            "began": self.began,
            "seconds": self.length.as_secs_f64(),
            "versions": self.versions,
            "report": self.verdict,
            "violations": self.violations(),
            "excused": self.excused,
            "schedule": self.strikes,
            "timeline": self.noted,
        })
    }
}

/// The logs of the stack, for whoever looks for the reason: the next run begins without them.
pub(super) fn keep_logs(ground: &Stack, directory: &Path) -> Result<()> {
    let logs = directory.join("log");
    fs::create_dir_all(&logs)?;
    for log in fs::read_dir(ground.state.join("log"))?.flatten().filter(|log| log.path().is_file()) {
        fs::copy(log.path(), logs.join(log.file_name()))?;
    }
    Ok(())
}
