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

use anyhow::{Context as _, Result, bail};

use crate::{
    ground::{Ground, machine},
    options::Choice,
    report::Report,
    rounds::Plan,
    row::Row,
};

/// Far apart in one run, so that no mood of the machine decides, however long it lasts.
const PASSES: usize = 3;

/// In which pass something is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// In each: what is compared by its rate, and what takes no time.
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

/// Measures what was chosen and tells what came out. Missing a goal is a result, not a failure.
pub(crate) async fn run(choice: &Choice) -> Result<ExitCode> {
    let chosen: Vec<_> =
        ALL.into_iter().filter(|(name, _)| choice.name.as_deref().is_none_or(|it| it == *name)).collect();
    if chosen.is_empty() {
        bail!("there are these benchmarks: {}", ALL.map(|(name, _)| name).join(", "));
    }
    let (ground, began) = (Ground::find()?, Instant::now());
    let report = Report::begin(machine::describe(&ground).await?, choice);
    let mut measured: Vec<Vec<Row>> = chosen.iter().map(|_| Vec::new()).collect();
    for pass in 0..PASSES {
        let plan = Plan { first_pass: pass == 0, ..Plan::new(choice.quick, choice.full) };
        for (&(name, when), rows) in chosen.iter().zip(&mut measured) {
            if when == When::Each || when == When::Only(pass) {
                eprintln!("measuring {name} ({} s so far)", began.elapsed().as_secs());
                let more = Box::pin(measure(name, &ground, plan)).await;
                add(rows, more.with_context(|| format!("{name} could not be measured"))?);
            }
        }
    }
    report.tell(&measured.concat(), began.elapsed())?;
    Ok(ExitCode::SUCCESS)
}

/// A pass gives the same rows as the one before it.
fn add(rows: &mut Vec<Row>, more: Vec<Row>) {
    if rows.is_empty() {
        *rows = more;
    } else {
        rows.iter_mut().zip(&more).for_each(|(row, more)| row.continued_by(more));
    }
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
