//! The mail server is away, slow, hanging, or refuses.
