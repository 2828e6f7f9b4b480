-- Whoever writes a mail can do so in the reader's language.
ALTER TABLE users ADD COLUMN locale text;

COMMENT ON COLUMN users.locale IS 'Language tag such as de-at, in lower case, as given at the registration; null: nobody said';
