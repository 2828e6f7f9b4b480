//! Lines are cut, delayed, or swallow everything.
