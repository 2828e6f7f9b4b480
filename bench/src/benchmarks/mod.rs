//! The benchmarks, a file for each, in the order in which a user meets what they measure.

mod deliver;
mod drain;
mod footprint;
mod journey;
mod provision;
mod register;
mod register_latency;
mod scale;
mod workers;

use std::{
    fmt::{self, Display, Formatter},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

use crate::{
    ground::{Ground, machine},
    options::Choice,
    report::Report,
    rounds::Plan,
    row::Row,
};

/// Spread over a whole run, because moods of the machine last for minutes.
const PASSES: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    Register,
    RegisterLatency,
    Drain,
    Deliver,
    Provision,
    Journey,
    Scale,
    Workers,
    Footprint,
}

impl Benchmark {
    /// In each pass what is compared by its rate, and what is quick.
    fn is_in(self, pass: usize) -> bool {
        match self {
            Self::Register | Self::Drain | Self::Provision | Self::Journey | Self::Workers => true,
            Self::RegisterLatency | Self::Scale => pass == 0,
            Self::Deliver | Self::Footprint => pass == 1,
        }
    }
}

impl Display for Benchmark {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| formatter.write_str(value.get_name()))
    }
}

/// Measures what was chosen and tells what came out, also when not all of it could be measured. Missing a goal is a
/// result, not a failure.
pub(crate) async fn run(choice: &Choice) -> Result<ExitCode> {
    let all = Benchmark::value_variants().iter().copied();
    let chosen = all.filter(|benchmark| choice.name.is_none_or(|it| it == *benchmark));
    let (ground, began) = (Ground::find()?, Instant::now());
    let report = Report::begin(machine::describe(&ground).await?, choice);
    let mut measured: Vec<_> = chosen.map(|benchmark| (benchmark, Vec::new())).collect();
    let ended = Box::pin(all_passes(&ground, choice, began, &mut measured)).await;
    let rows: Vec<Row> = measured.into_iter().flat_map(|(_, rows)| rows).collect();
    report.tell(&rows, began.elapsed(), ended.is_ok())?;
    ended.map(|()| ExitCode::SUCCESS)
}

async fn all_passes(
    ground: &Ground,
    choice: &Choice,
    began: Instant,
    measured: &mut [(Benchmark, Vec<Row>)],
) -> Result<()> {
    for pass in 0..PASSES {
        for (benchmark, rows) in &mut *measured {
            if benchmark.is_in(pass) {
                eprintln!(
                    "measuring {benchmark}, pass {} of {PASSES} ({} s so far)",
                    pass + 1,
                    began.elapsed().as_secs()
                );
                let plan = Plan { first_pass: rows.is_empty(), ..Plan::new(choice.quick, choice.full) };
                let more = measure(*benchmark, ground, plan).await;
                add(rows, more.with_context(|| format!("{benchmark} could not be measured"))?)?;
            }
        }
    }
    Ok(())
}

/// A pass gives the same rows as the one before it.
fn add(rows: &mut Vec<Row>, more: Vec<Row>) -> Result<()> {
    if rows.is_empty() {
        *rows = more;
        return Ok(());
    }
    ensure!(rows.iter().map(|row| &row.line).eq(more.iter().map(|row| &row.line)), "a pass gave other rows");
    rows.iter_mut().zip(&more).for_each(|(row, more)| row.continued_by(more));
    Ok(())
}

async fn measure(benchmark: Benchmark, ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    match benchmark {
        Benchmark::Register => register::measure(ground, plan).await,
        Benchmark::RegisterLatency => register_latency::measure(ground, plan).await,
        Benchmark::Drain => drain::measure(ground, plan).await,
        Benchmark::Deliver => deliver::measure(ground, plan).await,
        Benchmark::Provision => provision::measure(ground, plan).await,
        Benchmark::Journey => journey::measure(ground, plan).await,
        Benchmark::Scale => scale::measure(ground, plan).await,
        Benchmark::Workers => workers::measure(ground, plan).await,
        Benchmark::Footprint => footprint::measure(ground, plan).await,
    }
}
