//! PostgreSQL is killed, restarted, read-only, full, exhausted, or refuses a transaction.
