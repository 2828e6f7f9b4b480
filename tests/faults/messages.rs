//! Messages that nobody can read, that come ten times, and the order they come in.
