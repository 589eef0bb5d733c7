-- The whole schema of a postroom store on SQLite. Migrations lead here; a test proves it.

-- One row: what is true of the store as a whole.
CREATE TABLE store (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    epoch       INTEGER NOT NULL CHECK (epoch > 0),   -- high part of every fence
    boot_id     TEXT NOT NULL,                        -- boot to which all boot times here belong
    wall_offset INTEGER NOT NULL,                     -- wall minus boot time when last looked at
    registry    INTEGER NOT NULL,                     -- grows whenever an inbox row changes
    created_at  INTEGER NOT NULL
) STRICT;

-- An inbox exists once registered (life 1) and stays known by name before (0) and after (2).
CREATE TABLE inbox (
    id       INTEGER PRIMARY KEY,
    address  TEXT NOT NULL UNIQUE,
    role     TEXT NOT NULL,
    life     INTEGER NOT NULL CONSTRAINT life_known CHECK (life IN (0, 1, 2)),
    member   INTEGER NOT NULL DEFAULT 1,
    paused   INTEGER NOT NULL DEFAULT 0,
    draining INTEGER NOT NULL DEFAULT 0,
    ordered  INTEGER NOT NULL DEFAULT 0,
    bound    INTEGER NOT NULL DEFAULT 100000 CHECK (bound > 0),
    policy   TEXT NOT NULL DEFAULT 'reject'
             CONSTRAINT policy_known CHECK (policy IN ('reject', 'block', 'bounce', 'drop-oldest'))
) STRICT;
CREATE INDEX inbox_role ON inbox (role, life);

-- Correlation ids whose mail is held back in one inbox.
CREATE TABLE paused_key (
    inbox INTEGER NOT NULL REFERENCES inbox (id),
    key   TEXT NOT NULL,
    PRIMARY KEY (inbox, key)
) STRICT, WITHOUT ROWID;

-- Counts for all time. `tally` is small and hot, and folded into `total` now and then: with very many
-- inboxes a batch then dirties a few pages instead of one for each inbox.
CREATE TABLE tally (
    inbox      INTEGER PRIMARY KEY REFERENCES inbox (id),
    accepted   INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    dead       INTEGER NOT NULL,
    expired    INTEGER NOT NULL,
    bounced    INTEGER NOT NULL,
    cancelled  INTEGER NOT NULL,
    overflowed INTEGER NOT NULL,
    lost       INTEGER NOT NULL,
    retried    INTEGER NOT NULL
) STRICT;
CREATE TABLE total (
    inbox      INTEGER PRIMARY KEY REFERENCES inbox (id),
    accepted   INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    dead       INTEGER NOT NULL,
    expired    INTEGER NOT NULL,
    bounced    INTEGER NOT NULL,
    cancelled  INTEGER NOT NULL,
    overflowed INTEGER NOT NULL,
    lost       INTEGER NOT NULL,
    retried    INTEGER NOT NULL
) STRICT;
-- Final messages whose rows are no longer kept.
CREATE TABLE dropped (
    inbox INTEGER NOT NULL REFERENCES inbox (id),
    state INTEGER NOT NULL CHECK (state BETWEEN 4 AND 8),
    count INTEGER NOT NULL,
    PRIMARY KEY (inbox, state)
) STRICT, WITHOUT ROWID;

-- state: 0 ready, 1 leased, 2 delayed, 3 held, 4 done, 5 dead, 6 expired, 7 bounced, 8 cancelled
-- rank:  ready 3 - priority; delayed the boot time it is due; leased the boot time its lease ends
--        (2^62 where the lease hangs on the session)
CREATE TABLE message (
    seq            INTEGER PRIMARY KEY,
    id             BLOB NOT NULL CONSTRAINT id_is_uuid CHECK (length(id) = 16),
    inbox          INTEGER NOT NULL REFERENCES inbox (id),
    state          INTEGER NOT NULL CONSTRAINT state_known CHECK (state BETWEEN 0 AND 8),
    rank           INTEGER NOT NULL,
    priority       INTEGER NOT NULL CONSTRAINT priority_known CHECK (priority BETWEEN 0 AND 3),
    type           TEXT NOT NULL,
    sender         TEXT NOT NULL,
    body           BLOB NOT NULL,
    created_at     INTEGER NOT NULL,
    ready_at       INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    max_attempts   INTEGER NOT NULL CHECK (max_attempts > 0),
    fence          INTEGER NOT NULL,
    session        INTEGER,
    claimed_at     INTEGER,
    final_at       INTEGER,
    strikes        INTEGER NOT NULL DEFAULT 0,
    verdict        TEXT,
    absolute       INTEGER NOT NULL DEFAULT 0,        -- 1: due_at, 2: expires_at given as wall time
    correlation_id TEXT,
    causation_id   TEXT,
    reply_to       TEXT,
    dedup_key      TEXT,
    headers        BLOB,
    due_at         INTEGER,
    expires_at     INTEGER,
    expires_boot   INTEGER,
    claim_key      TEXT,
    reason         TEXT,
    error          TEXT,
    sum            INTEGER,                           -- of what never changes; NULL in old rows
    CONSTRAINT leased_has_holder CHECK (state <> 1 OR (session IS NOT NULL AND claimed_at IS NOT NULL)),
    CONSTRAINT final_has_time CHECK ((state >= 4) = (final_at IS NOT NULL)),
    CONSTRAINT dead_has_reason CHECK (state <> 5 OR reason IS NOT NULL),
    CONSTRAINT attempts_within CHECK (attempts BETWEEN 0 AND max_attempts)
) STRICT;
CREATE UNIQUE INDEX message_id ON message (id);
CREATE INDEX message_live ON message (state, inbox, rank, seq) WHERE state < 4;
CREATE INDEX message_delayed ON message (rank) WHERE state = 2;
CREATE INDEX message_lapsing ON message (rank) WHERE state = 1 AND rank < 4611686018427387904;
CREATE INDEX message_expiring ON message (expires_boot) WHERE expires_boot IS NOT NULL AND state < 4;
CREATE INDEX message_absolute ON message (seq) WHERE absolute <> 0 AND state < 4;
CREATE UNIQUE INDEX message_dedup ON message (inbox, dedup_key) WHERE dedup_key IS NOT NULL AND state < 4;
CREATE INDEX message_dead ON message (inbox, seq) WHERE state = 5;

-- What happened to a message beyond send, claim and ack, which its own columns tell.
CREATE TABLE event (
    message INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    event   TEXT NOT NULL,
    state   INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    fence   INTEGER NOT NULL,
    since   INTEGER,                                  -- when the lease that ended here was claimed
    session INTEGER,
    reason  TEXT,
    error   TEXT
) STRICT;
CREATE INDEX event_message ON event (message);

-- Ids that are remembered longer than their rows, against late repeats.
CREATE TABLE spent_id (
    id     BLOB PRIMARY KEY,
    digest BLOB NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_id_at ON spent_id (at);

CREATE TABLE session (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT NOT NULL,
    kind    TEXT NOT NULL,
    process TEXT NOT NULL,
    expires INTEGER NOT NULL,
    live    INTEGER NOT NULL
) STRICT;
CREATE INDEX session_live ON session (id) WHERE live = 1;

-- The one living instance of a name. `term` only grows, also when nobody holds it (session 0).
CREATE TABLE activation (
    name    TEXT PRIMARY KEY,
    session INTEGER NOT NULL,
    term    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
    owner   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    key     TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    value   BLOB NOT NULL,
    sum     INTEGER,                                  -- of the whole record; NULL in old rows
    PRIMARY KEY (owner, kind, key)
) STRICT, WITHOUT ROWID;
