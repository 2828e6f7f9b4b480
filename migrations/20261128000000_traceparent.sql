-- The event that carries the trace is gone once it is published, and a run of the sweep or of an operator has no event.
ALTER TABLE users ADD COLUMN traceparent text;

COMMENT ON COLUMN users.traceparent IS 'W3C traceparent of the request that began what is missing: the registration, or the last order of a mail; runs without an event link to it; null: written by a version that kept none';
