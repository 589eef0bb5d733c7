-- The first schema. Everything is in a schema of its own, which is the search path while this runs. What follows
-- `-- on: KIND` is for stores of that kind only; `both` ends it. Of a portable store, each statement may find that
-- it has been carried out: making it may have been cut short.

-- on: portable
-- What is locked in place of the key of a claim.
CREATE TABLE key_gate (one text PRIMARY KEY);
INSERT INTO key_gate SELECT lpad(to_hex(n), 2, '0') FROM generate_series(0, 255) AS n ON CONFLICT DO NOTHING;
-- on: both

-- One row: what is true of the store as a whole.
CREATE TABLE store (
    one        smallint PRIMARY KEY CHECK (one = 1),
    version    bigint NOT NULL,                   -- of this schema
    epoch      bigint NOT NULL CHECK (epoch > 0), -- high part of every fence
    registry   bigint NOT NULL,                   -- grows whenever an inbox row changes
    created_at bigint NOT NULL
);

-- An inbox exists once registered (life 1) and stays known by name before (0) and after (2).
CREATE TABLE inbox (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address  text NOT NULL UNIQUE,
    role     text NOT NULL,
    life     smallint NOT NULL CONSTRAINT life_known CHECK (life IN (0, 1, 2)),
    member   smallint NOT NULL DEFAULT 1,
    paused   smallint NOT NULL DEFAULT 0,
    draining smallint NOT NULL DEFAULT 0,
    ordered  smallint NOT NULL DEFAULT 0,
    bound    bigint NOT NULL DEFAULT 100000 CHECK (bound > 0),
    policy   text NOT NULL DEFAULT 'reject'
             CONSTRAINT policy_known CHECK (policy IN ('reject', 'block', 'bounce', 'drop-oldest'))
);
CREATE INDEX inbox_role ON inbox (role, life);

-- Correlation ids whose mail is held back in one inbox.
CREATE TABLE paused_key (
    inbox bigint NOT NULL REFERENCES inbox (id),
    key   text NOT NULL,
    PRIMARY KEY (inbox, key)
);

-- Counts for all time. Every batch appends to `tally`, so that nobody queues for a row; what is there is
-- folded into `total` now and then.
CREATE TABLE tally (
    inbox      bigint NOT NULL,
    accepted   bigint NOT NULL,
    done       bigint NOT NULL,
    dead       bigint NOT NULL,
    expired    bigint NOT NULL,
    bounced    bigint NOT NULL,
    cancelled  bigint NOT NULL,
    overflowed bigint NOT NULL,
    lost       bigint NOT NULL,
    retried    bigint NOT NULL
);
CREATE INDEX tally_inbox ON tally (inbox);
CREATE TABLE total (
    inbox      bigint PRIMARY KEY,
    accepted   bigint NOT NULL,
    done       bigint NOT NULL,
    dead       bigint NOT NULL,
    expired    bigint NOT NULL,
    bounced    bigint NOT NULL,
    cancelled  bigint NOT NULL,
    overflowed bigint NOT NULL,
    lost       bigint NOT NULL,
    retried    bigint NOT NULL
);
-- Final messages whose rows are no longer kept.
CREATE TABLE dropped (
    inbox bigint NOT NULL REFERENCES inbox (id),
    state smallint NOT NULL CHECK (state BETWEEN 4 AND 8),
    count bigint NOT NULL,
    PRIMARY KEY (inbox, state)
);

-- state: 0 ready, 1 leased, 2 delayed, 3 held, 4 done, 5 dead, 6 expired, 7 bounced, 8 cancelled
-- rank:  ready 3 - priority; delayed the time it is due; leased the time its lease ends
--        (2^62 where the lease hangs on the session)
-- On PostgreSQL, what is live is in a small table of its own; a message that becomes final moves to the other.
CREATE TABLE message (
    seq            bigint NOT NULL,
    id             bytea NOT NULL CONSTRAINT id_is_uuid CHECK (length(id) = 16),
    inbox          bigint NOT NULL,
    state          smallint NOT NULL CONSTRAINT state_known CHECK (state BETWEEN 0 AND 8),
    rank           bigint NOT NULL,
    priority       smallint NOT NULL CONSTRAINT priority_known CHECK (priority BETWEEN 0 AND 3),
    type           text NOT NULL,
    sender         text NOT NULL,
    body           bytea NOT NULL,
    created_at     bigint NOT NULL,
    ready_at       bigint NOT NULL,
    attempts       bigint NOT NULL,
    max_attempts   bigint NOT NULL CHECK (max_attempts > 0),
    fence          bigint NOT NULL,
    session        bigint,
    claimed_at     bigint,
    final_at       bigint,
    strikes        bigint NOT NULL DEFAULT 0,
    verdict        text,
    absolute       bigint NOT NULL DEFAULT 0,          -- 1: due_at, 2: expires_at given as wall time
    correlation_id text,
    causation_id   text,
    reply_to       text,
    dedup_key      text,
    headers        bytea,
    due_at         bigint,
    expires_at     bigint,
    expires_boot   bigint,
    claim_key      text,
    reason         text,
    error          text,
    sum            bigint,
    CONSTRAINT leased_has_holder CHECK (state <> 1 OR (session IS NOT NULL AND claimed_at IS NOT NULL)),
    CONSTRAINT final_has_time CHECK ((state >= 4) = (final_at IS NOT NULL)),
    CONSTRAINT dead_has_reason CHECK (state <> 5 OR reason IS NOT NULL),
    CONSTRAINT attempts_within CHECK (attempts BETWEEN 0 AND max_attempts)
-- on: postgresql
) PARTITION BY LIST (state);
ALTER TABLE message ALTER correlation_id TYPE text COLLATE "C", ALTER dedup_key TYPE text COLLATE "C";
CREATE TABLE message_live PARTITION OF message FOR VALUES IN (0, 1, 2, 3) WITH (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05
);
CREATE TABLE message_final PARTITION OF message FOR VALUES IN (4, 5, 6, 7, 8);
CREATE UNIQUE INDEX message_final_seq ON message_final (seq);
CREATE INDEX message_queue ON message_live (state, inbox, rank, seq);
CREATE INDEX message_delayed ON message_live (rank) WHERE state = 2;
CREATE INDEX message_lapsing ON message_live (rank) WHERE state = 1 AND rank < 4611686018427387904;
CREATE INDEX message_held_by ON message_live (session) WHERE state = 1;
CREATE INDEX message_expiring ON message_live (expires_boot) WHERE expires_boot IS NOT NULL;
CREATE UNIQUE INDEX message_dedup ON message_live (inbox, dedup_key) WHERE dedup_key IS NOT NULL;
CREATE INDEX message_dead ON message_final (inbox, seq) WHERE state = 5;
-- The last one: of indexes that look equally good, as all do for a table that was empty when it was last counted, the
-- planner takes the youngest. `message_queue`, which has this column too, would be read from end to end.
CREATE UNIQUE INDEX message_live_seq ON message_live (seq);
-- on: portable
);
CREATE INDEX message_queue ON message (state, inbox, rank, seq) WHERE state < 4;
CREATE INDEX message_delayed ON message (rank ASC) WHERE state = 2;
CREATE INDEX message_lapsing ON message (rank ASC) WHERE state = 1 AND rank < 4611686018427387904;
CREATE INDEX message_held_by ON message (session) WHERE state = 1;
CREATE INDEX message_expiring ON message (expires_boot ASC) WHERE expires_boot IS NOT NULL AND state < 4;
CREATE UNIQUE INDEX message_dedup ON message (inbox, dedup_key) WHERE dedup_key IS NOT NULL AND state < 4;
CREATE INDEX message_dead ON message (inbox, seq) WHERE state = 5;
CREATE UNIQUE INDEX message_by_seq ON message (seq ASC);
-- on: both
CREATE SEQUENCE message_seq;

-- Every id that is remembered, whatever has become of its message: it decides whether a send is a repeat.
-- Once the row is no longer kept there is no seq, but a digest of what was sent.
CREATE TABLE message_id (
    id     bytea PRIMARY KEY,
    seq    bigint,
    digest bytea,
    at     bigint
);
CREATE INDEX message_id_spent ON message_id (at ASC) WHERE seq IS NULL;

-- What happened to a message beyond send, claim and ack, which its own columns tell.
CREATE TABLE event (
    n       bigint GENERATED ALWAYS AS IDENTITY,
    message bigint NOT NULL,
    at      bigint NOT NULL,
    event   text NOT NULL,
    state   smallint NOT NULL,
    attempt bigint NOT NULL,
    fence   bigint NOT NULL,
    since   bigint,                                    -- when the lease that ended here was claimed
    session bigint,
    reason  text,
    error   text
);
CREATE INDEX event_message ON event (message, n);

CREATE TABLE session (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    text NOT NULL,
    kind    text NOT NULL,
    process text NOT NULL,
    expires bigint NOT NULL,
    live    smallint NOT NULL
);
CREATE INDEX session_live ON session (id) WHERE live = 1;

-- The one living instance of a name. `term` only grows, also when nobody holds it (session 0).
CREATE TABLE activation (
    name    text PRIMARY KEY,
    session bigint NOT NULL,
    term    bigint NOT NULL
);

CREATE TABLE record (
    owner   text NOT NULL,
    kind    text NOT NULL,
    key     text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    value   bytea NOT NULL,
    sum     bigint,
    PRIMARY KEY (owner, kind, key)
);

-- on: postgresql
-- Text is in the order of its bytes, and what changes often has room for it and is vacuumed soon.
ALTER TABLE inbox ALTER address TYPE text COLLATE "C", ALTER role TYPE text COLLATE "C";
ALTER TABLE paused_key ALTER key TYPE text COLLATE "C";
ALTER TABLE activation ALTER name TYPE text COLLATE "C";
ALTER TABLE record ALTER owner TYPE text COLLATE "C", ALTER kind TYPE text COLLATE "C", ALTER key TYPE text COLLATE "C";
ALTER TABLE tally SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE total SET (fillfactor = 70);
ALTER TABLE session SET (fillfactor = 70);
ALTER TABLE record SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
