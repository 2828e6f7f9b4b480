-- A password that was chosen at the registration is on its way beside the database: here stands only how far it came.
ALTER TABLE users ADD COLUMN password_state text
    CONSTRAINT users_password_state_known CHECK (password_state IN ('waiting', 'set', 'lost', 'refused'));

COMMENT ON COLUMN users.password_state IS 'Of a password chosen at the registration: waiting for the account, set in it, lost on the way, or refused by the realm; null: none was chosen';
