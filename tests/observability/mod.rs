//! Rules and dashboards ask for what is measured, and say what they mean to say.

mod dashboards;
mod names;
mod prometheus;
mod rules;
