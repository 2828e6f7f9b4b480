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

use std::{process::ExitCode, time::Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    ground::{Ground, machine},
    options::Choice,
    report::Report,
    rounds::Plan,
    row::Row,
};

/// Spread over a whole run, because moods of the machine last for minutes.
const PASSES: usize = 3;

/// In which pass something is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// In each: what is compared by its rate, and what is quick.
    Each,
    Only(usize),
}

/// In the order in which they are told.
const ALL: [(&str, When); 9] = [
    ("register", When::Each),
    ("register-latency", When::Only(0)),
    ("drain", When::Each),
    ("deliver", When::Only(1)),
    ("provision", When::Each),
    ("journey", When::Each),
    ("scale", When::Only(0)),
    ("workers", When::Each),
    ("footprint", When::Only(1)),
];

/// Measures what was chosen and tells what came out, also when not all of it could be measured. Missing a goal is a
/// result, not a failure.
pub(crate) async fn run(choice: &Choice) -> Result<ExitCode> {
    let chosen: Vec<_> =
        ALL.into_iter().filter(|(name, _)| choice.name.as_deref().is_none_or(|it| it == *name)).collect();
    if chosen.is_empty() {
        bail!("there are these benchmarks: {}", ALL.map(|(name, _)| name).join(", "));
    }
    let (ground, began) = (Ground::find()?, Instant::now());
    let report = Report::begin(machine::describe(&ground).await?, choice);
    let mut measured: Vec<_> = chosen.into_iter().map(|benchmark| (benchmark, Vec::new())).collect();
    let ended = Box::pin(all_passes(&ground, choice, began, &mut measured)).await;
    let rows: Vec<Row> = measured.into_iter().flat_map(|(_, rows)| rows).collect();
    report.tell(&rows, began.elapsed(), ended.is_ok())?;
    ended.map(|()| ExitCode::SUCCESS)
}

async fn all_passes(
    ground: &Ground,
    choice: &Choice,
    began: Instant,
    measured: &mut [((&str, When), Vec<Row>)],
) -> Result<()> {
    for pass in 0..PASSES {
        for ((name, when), rows) in &mut *measured {
            if *when == When::Each || *when == When::Only(pass) {
                eprintln!("measuring {name}, pass {} of {PASSES} ({} s so far)", pass + 1, began.elapsed().as_secs());
                let plan = Plan { first_pass: rows.is_empty(), ..Plan::new(choice.quick, choice.full) };
                let more =
                    measure(name, ground, plan).await.with_context(|| format!("{name} could not be measured"))?;
                add(rows, more)?;
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

async fn measure(name: &str, ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    match name {
        "register" => register::measure(ground, plan).await,
        "drain" => drain::measure(ground, plan).await,
        "deliver" => deliver::measure(ground, plan).await,
        "register-latency" => register_latency::measure(ground, plan).await,
        "provision" => provision::measure(ground, plan).await,
        "journey" => journey::measure(ground, plan).await,
        "scale" => scale::measure(ground, plan).await,
        "workers" => workers::measure(ground, plan).await,
        "footprint" => footprint::measure(ground, plan).await,
        _ => bail!("no benchmark has this name"),
    }
}
