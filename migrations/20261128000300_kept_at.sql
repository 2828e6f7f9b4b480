-- Registrations that nobody confirmed expire where REGISTRATION_EXPIRES says so. Who is in use is looked at once.
ALTER TABLE users ADD COLUMN kept_at timestamptz;
COMMENT ON COLUMN users.kept_at IS 'When a worker that was to let the registration expire saw that the account is in use; null otherwise';

-- Serves "whose time is over": the users whose last mail left long ago and who were not looked at.
CREATE INDEX users_expiry_idx ON users (mail_sent_at)
    WHERE kept_at IS NULL AND parked_at IS NULL AND synced_at IS NOT NULL AND mail_wanted = mail_served;
