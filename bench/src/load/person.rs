//! People whom nobody has registered yet.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use shared::{
    domain::{
        email::EmailAddress,
        name::PersonName,
        user::{NewUser, UserId},
        username::Username,
    },
    store::registrations::Candidate,
    trace_context::TraceContext,
};

/// The name of the next one. Names come in no order, as those of people do: an index is entered anywhere.
pub(crate) fn name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("p{:016x}", scatter(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// The finalizer of splitmix64: no two numbers become one.
fn scatter(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The body of a registration.
pub(crate) fn body(name: &str) -> String {
    format!(r#"{{"username":"{name}","email":"{name}@example.org","firstName":"Ada","lastName":"Lovelace"}}"#)
}

/// The next one, as the api hands people to the store.
pub(crate) fn candidate() -> Result<Candidate> {
    let name = name();
    let user = NewUser {
        locale: None,
        username: Username::parse(&name)?,
        email: EmailAddress::parse(&format!("{name}@example.org"))?,
        first_name: PersonName::parse("Ada")?,
        last_name: PersonName::parse("Lovelace")?,
    };
    Ok(Candidate { id: UserId::generate(), user, trace: TraceContext::default(), with_password: false, key: None })
}
