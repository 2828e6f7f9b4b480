-- A try whose answer never came may have sent a mail that nobody counted; one that was refused has not.
ALTER TABLE users ADD COLUMN mail_answered int NOT NULL DEFAULT 0;

COMMENT ON COLUMN users.mail_answered IS 'Sends whose outcome is known: +1 with each recorded answer, yes or no; mail_attempts minus this is how many mails may have left unseen';
