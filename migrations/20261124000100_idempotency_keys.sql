-- Registrations that were sent with an Idempotency-Key, written in the statement of the user. A key is there if, and
-- only if, its registration was committed; so the answer need not be kept, it follows from the request and this row.
CREATE TABLE idempotency_keys (
    key_hash    bytea       CONSTRAINT idempotency_keys_pkey PRIMARY KEY,
    fingerprint bytea       NOT NULL,
    user_id     uuid        NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);

COMMENT ON TABLE idempotency_keys IS 'Idempotency keys of committed registrations, until they expire';
COMMENT ON COLUMN idempotency_keys.key_hash IS 'SHA-256 of the key as the client sent it';
COMMENT ON COLUMN idempotency_keys.fingerprint IS 'SHA-256 of the parsed body without a password: another body under the same key is refused';
COMMENT ON COLUMN idempotency_keys.user_id IS 'The user that the registration made';
COMMENT ON COLUMN idempotency_keys.created_at IS 'When that user was made: part of the answer';
COMMENT ON COLUMN idempotency_keys.expires_at IS 'From then on the key is worth nothing and may be deleted';

-- Serves the deletion of expired keys.
CREATE INDEX idempotency_keys_expires_idx ON idempotency_keys (expires_at);
