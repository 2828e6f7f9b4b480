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

const ALL: [&str; 9] =
    ["register", "register-latency", "drain", "deliver", "provision", "journey", "scale", "workers", "footprint"];

/// Measures what was chosen and tells what came out. Missing a goal is a result, not a failure.
pub(crate) async fn run(choice: &Choice) -> Result<ExitCode> {
    let chosen: Vec<_> = ALL.into_iter().filter(|name| choice.name.as_deref().is_none_or(|it| it == *name)).collect();
    if chosen.is_empty() {
        bail!("there are these benchmarks: {}", ALL.join(", "));
    }
    let (ground, plan, began) = (Ground::find()?, Plan::new(choice.quick, choice.full), Instant::now());
    let mut report = Report::begin(machine::describe(&ground).await?, choice);
    for name in chosen {
        eprintln!("measuring {name} ({} s so far)", began.elapsed().as_secs());
        let rows =
            Box::pin(measure(name, &ground, plan)).await.with_context(|| format!("{name} could not be measured"))?;
        report.add(rows);
    }
    report.tell(began.elapsed())?;
    Ok(ExitCode::SUCCESS)
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
