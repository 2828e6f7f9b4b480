-- What POST /users/send-password-setup-email was asked for: one row for each request, whoever it named.
CREATE TABLE mail_requests (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_hash bytea       NOT NULL,
    user_id     uuid,
    granted     boolean     NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT mail_requests_granted_to_somebody CHECK (user_id IS NOT NULL OR NOT granted)
);

COMMENT ON TABLE mail_requests IS 'Requests for a set-up mail; the ground of their cooldown, deleted after a day';
COMMENT ON COLUMN mail_requests.id IS 'Order of arrival, roughly';
COMMENT ON COLUMN mail_requests.target_hash IS 'SHA-256 of the lower-cased username or address that was named: lets an operator count requests for one, and tells nobody whom they named';
COMMENT ON COLUMN mail_requests.user_id IS 'Who that is; null when nobody';
COMMENT ON COLUMN mail_requests.granted IS 'Whether one more mail was ordered; false in a cooldown, for the parked, and while one is owed anyway';
COMMENT ON COLUMN mail_requests.created_at IS 'When it was asked';

-- Serves the cooldown and the daily limit, which are by user: one may be named by username and by address.
CREATE INDEX mail_requests_granted_idx ON mail_requests (user_id, created_at) WHERE granted;

-- Serves the deletion of old rows.
CREATE INDEX mail_requests_created_idx ON mail_requests (created_at);

-- A request that comes while a mail is leaving must be told from one that the leaving mail answers.
ALTER TABLE users ADD COLUMN mail_claimed int NOT NULL DEFAULT 0;

COMMENT ON COLUMN users.mail_claimed IS 'The mail_wanted that the last claim read, which its mail serves: a later request during the lease asks for one more';
