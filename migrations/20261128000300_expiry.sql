-- Registrations that nobody confirmed expire where REGISTRATION_EXPIRES says so. Whose account is in use is looked at once.
ALTER TABLE users ADD COLUMN kept_at timestamptz, ADD COLUMN expiring_at timestamptz;
COMMENT ON COLUMN users.kept_at IS 'When a worker that was to let the registration expire saw that the account is not as it was made; null otherwise';
COMMENT ON COLUMN users.expiring_at IS 'When a worker began to erase a registration that nobody confirmed; null otherwise';

-- Serves "whose time is over": the users whose last mail left long ago and who were not looked at.
CREATE INDEX users_expiry_idx ON users (keycloak_realm, mail_sent_at)
    WHERE kept_at IS NULL AND parked_at IS NULL AND synced_at IS NOT NULL AND mail_wanted = mail_served;
