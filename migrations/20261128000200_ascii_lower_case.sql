-- Addresses are compared by lower(email), in the unique index and in every query, with what was lowered as ASCII before.
-- Turkish and Azerbaijani collations make a dotless i of I: an address could be registered twice there, and not be found.
DO $$
BEGIN
    IF lower('ABCDEFGHIJKLMNOPQRSTUVWXYZ') <> 'abcdefghijklmnopqrstuvwxyz' THEN
        RAISE EXCEPTION 'the locale of this database lowers letters in a way of its own: create it with another, such as C.UTF-8';
    END IF;
END $$;
