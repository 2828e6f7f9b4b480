//! A mail server, as far as Usher needs one: it takes a mail for one recipient, or says why not.
//!
//! [`client`] keeps connections for the next mail, [`session`] says what is spoken on one, [`error`] what an answer means
//! by the step that it is an answer to: the same number speaks of our login, of our address or of one recipient.
//! [`line_by_line`] keeps what is said before TLS apart from what is said within.

pub mod client;
pub mod error;
mod line_by_line;
mod session;
