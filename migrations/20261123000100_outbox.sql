-- Events that are committed and not yet published. Rows are inserted and deleted, never updated: what the broker
-- did not take is inserted again under a new id.
CREATE TABLE outbox (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id      uuid        NOT NULL,
    event_type    text        NOT NULL,
    user_id       uuid        NOT NULL,
    data          jsonb       NOT NULL,
    trace_context jsonb       NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now(),
    tries         int         NOT NULL DEFAULT 0,
    not_before    timestamptz NOT NULL DEFAULT now()
) WITH (
    -- A queue table lives by being vacuumed early: by rows, not by a share of its size, and without pauses.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 10000
);

COMMENT ON TABLE outbox IS 'Transactional outbox: events waiting for the relay';
COMMENT ON COLUMN outbox.id IS 'Order of claiming, not of commit: never a cursor';
COMMENT ON COLUMN outbox.event_id IS 'Identity of the event; stays the same over every try, message_id on the wire';
COMMENT ON COLUMN outbox.event_type IS 'Routing key and CloudEvents type, such as user.created';
COMMENT ON COLUMN outbox.user_id IS 'The user the event is about; CloudEvents subject';
COMMENT ON COLUMN outbox.data IS 'The message body: ids and a version, never personal data';
COMMENT ON COLUMN outbox.trace_context IS 'W3C trace context of the cause (traceparent, tracestate)';
COMMENT ON COLUMN outbox.created_at IS 'When the cause was committed; CloudEvents time';
COMMENT ON COLUMN outbox.tries IS 'How often the broker did not take it';
COMMENT ON COLUMN outbox.not_before IS 'Not to be published earlier';
