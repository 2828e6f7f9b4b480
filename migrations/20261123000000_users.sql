-- A registered person. Facts only: the status (pending, synced, complete, parked) is derived from them in one place,
-- shared/src/domain/user.rs.
CREATE TABLE users (
    id              uuid        PRIMARY KEY,
    username        text        NOT NULL CONSTRAINT users_username_key UNIQUE,
    email           text        NOT NULL,
    first_name      text        NOT NULL,
    last_name       text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT date_trunc('milliseconds', now()),

    claim_no        bigint      NOT NULL DEFAULT 0,
    leased_until    timestamptz,
    attempts        int         NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    last_error      text,
    parked_at       timestamptz,
    parked_reason   text,

    keycloak_id     uuid,
    keycloak_realm  text,
    synced_at       timestamptz,

    mail_wanted     int         NOT NULL DEFAULT 1,
    mail_served     int         NOT NULL DEFAULT 0,
    mail_attempts   int         NOT NULL DEFAULT 0,
    mail_sent_at    timestamptz,

    CONSTRAINT users_username_is_lower CHECK (username = lower(username)),
    CONSTRAINT users_attempts_not_negative CHECK (attempts >= 0),
    CONSTRAINT users_mail_served_not_more_than_wanted CHECK (mail_served <= mail_wanted),
    CONSTRAINT users_parked_with_reason CHECK ((parked_at IS NULL) = (parked_reason IS NULL)),
    CONSTRAINT users_synced_with_id CHECK ((synced_at IS NULL) = (keycloak_id IS NULL))
);

COMMENT ON TABLE users IS 'Registered people and how far each has come on the way into Keycloak';
COMMENT ON COLUMN users.id IS 'UUIDv7, made by the api; the only thing events carry of a user';
COMMENT ON COLUMN users.username IS 'Lower case ASCII; unique';
COMMENT ON COLUMN users.email IS 'As typed; unique by lower(email)';
COMMENT ON COLUMN users.first_name IS 'As typed, without surrounding white space';
COMMENT ON COLUMN users.last_name IS 'As typed, without surrounding white space';
COMMENT ON COLUMN users.created_at IS 'To the millisecond: sent to Keycloak as createdTimestamp, where it proves that an account is ours';
COMMENT ON COLUMN users.claim_no IS 'Fencing token: +1 at every claim, never lowered; every later write of a run names it';
COMMENT ON COLUMN users.leased_until IS 'Until then one run has the user to itself; null when nobody works on it';
COMMENT ON COLUMN users.attempts IS 'Spent part of the budget: +1 at a claim, given back by a snooze, 0 after success';
COMMENT ON COLUMN users.next_attempt_at IS 'Due from then on; for a new row one sweep interval ahead, so that its event comes first';
COMMENT ON COLUMN users.last_error IS 'Why the last run did not finish; null after success';
COMMENT ON COLUMN users.parked_at IS 'Given up until an operator replays; null otherwise';
COMMENT ON COLUMN users.parked_reason IS 'Stable code of the cause, such as conflict or budget_spent';
COMMENT ON COLUMN users.keycloak_id IS 'The account in Keycloak';
COMMENT ON COLUMN users.keycloak_realm IS 'The realm of that account; a worker set to another one refuses to touch it';
COMMENT ON COLUMN users.synced_at IS 'When the account was known to exist';
COMMENT ON COLUMN users.mail_wanted IS 'Set-up mails asked for: 1 by the registration, +1 by each request';
COMMENT ON COLUMN users.mail_served IS 'The mail_wanted that the last accepted mail served';
COMMENT ON COLUMN users.mail_attempts IS 'Sends begun: +1 before each, so that a duplicate can be counted';
COMMENT ON COLUMN users.mail_sent_at IS 'When a mail server last accepted a set-up mail';

-- Serves the conflict check of a registration: Keycloak knows e-mail addresses in lower case only.
CREATE UNIQUE INDEX users_email_key ON users (lower(email));

-- Serves "who is due" of the sweep: holds open users only, so it costs the same with 10^3 and 10^7 finished ones.
CREATE INDEX users_due_idx ON users (next_attempt_at)
    WHERE parked_at IS NULL AND (synced_at IS NULL OR mail_wanted > mail_served);

-- Serves the operator's list of the parked.
CREATE INDEX users_parked_idx ON users (parked_at) WHERE parked_at IS NOT NULL;
