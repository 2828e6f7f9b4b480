//! Our own processes are frozen, replaced under load, of two versions, panic, or live in another time.
