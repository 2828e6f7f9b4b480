//! What `cargo dev` does beside `up`.

mod clean;
mod down;
mod logs;
mod sqlx;
mod status;
mod test;

pub(crate) use clean::clean;
pub(crate) use down::down;
pub(crate) use logs::logs;
pub(crate) use sqlx::sqlx;
pub(crate) use status::status;
pub(crate) use test::test;
