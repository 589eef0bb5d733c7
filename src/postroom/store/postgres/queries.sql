-- Named statements of the PostgreSQL engine. What is read in order to be changed is locked; what only
-- time makes due is skipped where somebody else is at it. Texts are put in the order of their bytes here, since
-- the columns of a portable store have no order of their own.
--
-- A row whose number is known is to be found by its number, whatever the planner believes. Of a table that was empty
-- when it was last counted, as a queue often is, it takes reading all of it for as good, or any index: and then each
-- statement reads what is left of all that was ever leased since. So a change is planned without reading tables from
-- end to end (opening.py), and here
--   `state + 0` is in no index. It tells no partition either, which is well: the planner of PostgreSQL 18 forgets what
--   it is not to do where only one of them is left;
--   `seq BETWEEN x AND x` joins rows one by one, where `seq = x` may become a merge with all there are;
--   `ORDER BY seq + 0` sorts what was found, where `ORDER BY seq` may go through all there are.

-- name: store_row
SELECT epoch, registry, 0::bigint FROM store;

-- name: store_bump_registry
UPDATE store SET registry = registry + 1;

-- name: store_set_offset
SELECT $1::bigint;

-- name: next_seq
SELECT nextval('message_seq') FROM generate_series(1, $1::bigint);

-- name: next_seq_alone
SELECT nextval('message_seq');

-- ------------------------------------------------------------------ inboxes

-- Whether there is any is asked with a LIMIT: an EXISTS may be answered by reading what all inboxes have.

-- name: inbox_by_address
SELECT id, address, role, life, member, paused, draining, ordered, bound, policy,
       (SELECT 1 FROM paused_key WHERE paused_key.inbox = inbox.id LIMIT 1) IS NOT NULL,
       coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM total WHERE total.inbox = inbox.id), 0)
     + coalesce((SELECT sum(accepted - done - dead - expired - bounced - cancelled) FROM tally WHERE tally.inbox = inbox.id), 0)::bigint,
       (SELECT 1 FROM message WHERE state = 0 AND message.inbox = inbox.id LIMIT 1) IS NULL
FROM inbox WHERE address = $1::text;

-- name: inboxes_by_address
SELECT id, address, role, life, member, paused, draining, ordered, bound, policy,
       (SELECT 1 FROM paused_key WHERE paused_key.inbox = inbox.id LIMIT 1) IS NOT NULL,
       coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM total WHERE total.inbox = inbox.id), 0)
     + coalesce((SELECT sum(accepted - done - dead - expired - bounced - cancelled) FROM tally WHERE tally.inbox = inbox.id), 0)::bigint,
       (SELECT 1 FROM message WHERE state = 0 AND message.inbox = inbox.id LIMIT 1) IS NULL
FROM inbox WHERE address = ANY (ARRAY(SELECT value FROM json_array_elements_text($1::json)));

-- name: inbox_by_id
SELECT id, address, role, life, member, paused, draining, ordered, bound, policy,
       (SELECT 1 FROM paused_key WHERE paused_key.inbox = inbox.id LIMIT 1) IS NOT NULL,
       coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM total WHERE total.inbox = inbox.id), 0)
     + coalesce((SELECT sum(accepted - done - dead - expired - bounced - cancelled) FROM tally WHERE tally.inbox = inbox.id), 0)::bigint,
       (SELECT 1 FROM message WHERE state = 0 AND message.inbox = inbox.id LIMIT 1) IS NULL
FROM inbox WHERE id = $1::bigint;

-- name: inbox_members
SELECT address FROM inbox WHERE role = $1::text AND life = 1 AND member = 1 ORDER BY id;

-- name: inbox_insert
INSERT INTO inbox (address, role, life, member) VALUES ($1::text, $2::text, $3::bigint, $4::boolean::int);

-- name: inbox_set
UPDATE inbox SET life = 1, bound = coalesce($1::bigint, bound), policy = coalesce($2::text, policy),
       ordered = coalesce($3::bigint, ordered) WHERE id = $4::bigint;

-- name: inbox_member
UPDATE inbox SET member = $1::boolean::int WHERE id = $2::bigint;

-- name: inbox_switch
UPDATE inbox SET paused = $1::bigint, draining = $2::bigint, life = $3::bigint WHERE id = $4::bigint;

-- name: key_pause
INSERT INTO paused_key (inbox, key) VALUES ($1::bigint, $2::text) ON CONFLICT DO NOTHING;

-- name: key_resume
DELETE FROM paused_key WHERE inbox = $1::bigint AND key = $2::text;

-- name: key_paused
SELECT 1 FROM paused_key WHERE inbox = $1::bigint AND key = $2::text;

-- name: depth
SELECT coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM total WHERE total.inbox = $1::bigint), 0)
     + coalesce((SELECT sum(accepted - done - dead - expired - bounced - cancelled) FROM tally WHERE tally.inbox = $1), 0)::bigint;

-- name: tally_add
INSERT INTO tally
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]);

-- name: tally_add_alone
INSERT INTO tally VALUES ($1::bigint, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::bigint, $10::bigint);

-- name: tally_rows
SELECT count(*) FROM tally;

-- name: tally_fold
WITH taken AS (DELETE FROM tally RETURNING *)
INSERT INTO total
SELECT inbox, sum(accepted)::bigint, sum(done)::bigint, sum(dead)::bigint, sum(expired)::bigint,
       sum(bounced)::bigint, sum(cancelled)::bigint, sum(overflowed)::bigint, sum(lost)::bigint,
       sum(retried)::bigint
FROM taken GROUP BY inbox ORDER BY inbox
ON CONFLICT (inbox) DO UPDATE SET
    accepted = total.accepted + excluded.accepted, done = total.done + excluded.done,
    dead = total.dead + excluded.dead, expired = total.expired + excluded.expired,
    bounced = total.bounced + excluded.bounced, cancelled = total.cancelled + excluded.cancelled,
    overflowed = total.overflowed + excluded.overflowed, lost = total.lost + excluded.lost,
    retried = total.retried + excluded.retried;

-- name: tally_clear
SELECT 0::bigint; -- more rows: the folding has taken them

-- ------------------------------------------------------------------ sending

-- The last parameter of a statement whose rows must all change: whether it fails if they do not. One that may be
-- asked in another way then has a form of its own for it, `_or_fail`.

-- name: message_insert
WITH given AS (
    SELECT * FROM unnest(
    $1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
    $8::text[], $9::bytea[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
    $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::text[],
    $20::text[], $21::text[], $22::text[], $23::bytea[], $24::bigint[], $25::bigint[], $26::bigint[],
    $27::text[], $28::bigint[]
    ) AS given (seq, id, inbox, state, rank, priority, type, sender, body, created_at, ready_at, attempts,
    max_attempts, fence, session, claimed_at, final_at, absolute, correlation_id, causation_id,
    reply_to, dedup_key, headers, due_at, expires_at, expires_boot, reason, sum)
), fresh AS (
    -- in one order for all, so that nobody waits for somebody who waits for him
    INSERT INTO message_id (id, seq) SELECT id, seq FROM given ORDER BY id, seq ON CONFLICT DO NOTHING RETURNING seq
), inserted AS (
INSERT INTO message (seq, id, inbox, state, rank, priority, type, sender, body, created_at, ready_at, attempts,
    max_attempts, fence, session, claimed_at, final_at, absolute, correlation_id, causation_id,
    reply_to, dedup_key, headers, due_at, expires_at, expires_boot, reason, sum)
SELECT seq, id, inbox, state, rank, priority, type, sender, body, created_at, ready_at, attempts,
    max_attempts, fence, session, claimed_at, final_at, absolute, correlation_id, causation_id,
    reply_to, dedup_key, headers, due_at, expires_at, expires_boot, reason, sum
FROM given WHERE seq IN (SELECT seq FROM fresh)
ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM inserted;

-- Without ON CONFLICT, which looks into each unique index beforehand and confirms each row in the log.

-- name: message_insert_or_fail
WITH fresh AS (
    INSERT INTO message_id (id, seq)
    SELECT id, seq FROM unnest($2::bytea[], $1::bigint[]) AS given (id, seq) ORDER BY id
)
INSERT INTO message (seq, id, inbox, state, rank, priority, type, sender, body, created_at, ready_at, attempts,
    max_attempts, fence, session, claimed_at, final_at, absolute, correlation_id, causation_id,
    reply_to, dedup_key, headers, due_at, expires_at, expires_boot, reason, sum)
SELECT * FROM unnest(
    $1, $2, $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::bytea[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
    $17::bigint[], $18::bigint[], $19::text[], $20::text[], $21::text[], $22::text[], $23::bytea[],
    $24::bigint[], $25::bigint[], $26::bigint[], $27::text[], $28::bigint[]
);

-- name: message_insert_or_fail_alone
WITH fresh AS (
    INSERT INTO message_id (id, seq) VALUES ($2::bytea, $1::bigint)
)
INSERT INTO message (seq, id, inbox, state, rank, priority, type, sender, body, created_at, ready_at, attempts,
    max_attempts, fence, session, claimed_at, final_at, absolute, correlation_id, causation_id,
    reply_to, dedup_key, headers, due_at, expires_at, expires_boot, reason, sum)
VALUES ($1, $2, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::text, $8::text, $9::bytea, $10::bigint,
    $11::bigint, $12::bigint, $13::bigint, $14::bigint, $15::bigint, $16::bigint, $17::bigint, $18::bigint,
    $19::text, $20::text, $21::text, $22::text, $23::bytea, $24::bigint, $25::bigint, $26::bigint, $27::text,
    $28::bigint);

-- name: message_missing
SELECT value::bigint FROM json_array_elements_text($1::json)
WHERE value::bigint NOT IN (SELECT seq FROM message WHERE seq BETWEEN $2::bigint AND $3::bigint);

-- name: id_forget
DELETE FROM message_id USING unnest($1::bytea[], $2::bigint[]) AS out (id, seq)
WHERE message_id.id = out.id AND message_id.seq = out.seq;

-- name: message_same
SELECT message.id, inbox.address, sender, type, body, priority, dedup_key, correlation_id, state
FROM message JOIN inbox ON inbox.id = message.inbox
WHERE message.seq = (SELECT seq FROM message_id WHERE message_id.id = $1::bytea);

-- name: message_by_dedup
SELECT id FROM message WHERE inbox = $1::bigint AND dedup_key = $2::text AND dedup_key IS NOT NULL AND state < 4;

-- name: spent_digest
SELECT digest FROM message_id WHERE id = $1::bytea AND seq IS NULL;

-- name: ids_known
SELECT id FROM message_id WHERE id = ANY ($1::bytea[]);

-- name: spent_any
SELECT 1 FROM message_id WHERE seq IS NULL LIMIT 1;

-- name: ready_waiting
SELECT 1 FROM message WHERE state = 0 AND inbox = $1::bigint LIMIT 1;

-- name: oldest_ready
SELECT seq, fence, attempts FROM message WHERE state = 0 AND inbox = $1::bigint ORDER BY rank DESC, seq LIMIT 1 FOR UPDATE SKIP LOCKED;

-- ------------------------------------------------------------------ claiming

-- What is found is leased at once, if that is wished and nothing of it was struck; the last column says how much.

-- name: claim_select
WITH found AS MATERIALIZED (
SELECT seq, id, fence, sender, type, body, priority, attempts, max_attempts, created_at, ready_at,
       correlation_id, causation_id, reply_to, headers, strikes, dedup_key, expires_at, sum
FROM message
WHERE state = 0 AND inbox = $1::bigint AND (expires_boot IS NULL OR expires_boot > $2::bigint)
  AND (rank, seq) >= ($4::bigint, $5::bigint)
ORDER BY rank, seq LIMIT $3::bigint FOR UPDATE SKIP LOCKED
), taken AS (
UPDATE message SET state = 1, rank = $6::bigint, attempts = message.attempts + 1, fence = message.fence + 1,
       session = $7::bigint, claimed_at = $8::bigint, verdict = NULL, claim_key = $9::text
FROM found
WHERE message.seq BETWEEN found.seq AND found.seq AND state + 0 = 0
  AND $10::boolean AND NOT EXISTS (SELECT 1 FROM found AS struck WHERE struck.strikes > 0)
RETURNING 1
)
SELECT found.*, (SELECT count(*) FROM taken) FROM found ORDER BY priority DESC, seq;

-- name: claim_company
SELECT seq, id, fence, sender, type, body, priority, attempts, max_attempts, created_at, ready_at,
       correlation_id, causation_id, reply_to, headers, strikes, dedup_key, expires_at, sum
FROM message
WHERE state = 0 AND inbox = $1::bigint AND (expires_boot IS NULL OR expires_boot > $2::bigint) AND strikes = 0
ORDER BY rank, seq LIMIT $3::bigint FOR UPDATE SKIP LOCKED;

-- name: claim_key_lock
SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0));

-- name: claim_repeat
SELECT seq, id, fence, sender, type, body, priority, attempts - 1, max_attempts, created_at, ready_at,
       correlation_id, causation_id, reply_to, headers, strikes, dedup_key, expires_at, sum, rank
FROM message WHERE state = 1 AND inbox = $1::bigint AND claim_key = $2::text AND rank > $3::bigint ORDER BY seq FOR UPDATE;

-- name: claim_take
WITH taken AS (UPDATE message SET state = 1, rank = taken.rank, attempts = attempts + 1, fence = fence + 1,
       session = taken.session, claimed_at = taken.at, verdict = NULL, claim_key = taken.key
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[]) AS taken (rank, session, at, key, seq)
WHERE message.seq BETWEEN taken.seq AND taken.seq AND state + 0 = 0 RETURNING 1)
SELECT count(*) / (count(*) = cardinality($1) OR NOT $6::boolean)::int FROM taken;

-- name: claim_legible
UPDATE message SET type = coalesce($1::text, ''), sender = coalesce($2::text, ''), correlation_id = $3::text, causation_id = $4::text,
       reply_to = $5::text, dedup_key = $6::text
WHERE seq = $7::bigint;

-- name: inbox_lock
SELECT id FROM inbox WHERE id = $1::bigint FOR UPDATE;

-- name: ordered_head
SELECT seq FROM message WHERE state = 0 AND inbox = $1::bigint ORDER BY rank, seq LIMIT 1 FOR UPDATE;

-- name: ordered_blocked
SELECT EXISTS (SELECT 1 FROM message WHERE state = 1 AND inbox = $1::bigint)
    OR EXISTS (SELECT 1 FROM message WHERE state = 2 AND inbox = $1 AND attempts > 0);

-- name: lease_by_seq
SELECT message.seq, message.id, message.inbox, state, fence, attempts, max_attempts, priority, strikes, claimed_at,
       session, verdict, correlation_id, rank
FROM message WHERE seq = $1::bigint FOR UPDATE;

-- name: leases_by_seq
SELECT message.seq, message.id, message.inbox, state, fence, attempts, max_attempts, priority, strikes, claimed_at,
       session, verdict, correlation_id, rank
FROM json_array_elements_text($1::json) AS wanted
JOIN message ON message.seq BETWEEN wanted.value::bigint AND wanted.value::bigint
ORDER BY wanted.value::bigint FOR UPDATE OF message;

-- name: leases_to_ack
SELECT message.seq, message.id, message.inbox, state, fence, attempts, max_attempts, priority, strikes, claimed_at,
       session, verdict, correlation_id, rank
FROM json_array_elements_text($1::json) AS wanted
JOIN message ON message.seq BETWEEN wanted.value::bigint AND wanted.value::bigint AND state + 0 < 4;

-- name: lease_by_id
SELECT message.seq, message.id, message.inbox, state, fence, attempts, max_attempts, priority, strikes, claimed_at,
       session, verdict, correlation_id, rank
FROM message WHERE seq = (SELECT seq FROM message_id WHERE message_id.id = $1::bytea) FOR UPDATE;

-- name: ack
WITH done AS (UPDATE message SET state = 4, final_at = acked.at, verdict = 'ack'
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS acked (at, seq, fence)
WHERE message.seq BETWEEN acked.seq AND acked.seq AND state + 0 = 1
  AND message.fence = acked.fence RETURNING 1)
SELECT count(*) / (count(*) = cardinality($1) OR NOT $4::boolean)::int FROM done;

-- name: extend
UPDATE message SET rank = $1::bigint WHERE seq = $2::bigint AND state + 0 = 1 AND fence = $3::bigint;

-- name: to_ready
UPDATE message SET state = 0, rank = 3 - priority, ready_at = $1::bigint, session = NULL, attempts = $2::bigint,
       strikes = $3::bigint, verdict = coalesce($4::text, verdict), due_at = NULL, final_at = NULL, claim_key = NULL, reason = $5::text, error = $6::text
WHERE seq = $7::bigint AND state + 0 = $8::bigint AND fence = $9::bigint;

-- name: to_delayed
UPDATE message SET state = 2, rank = $1::bigint, due_at = $2::bigint, session = NULL, strikes = $3::bigint, verdict = $4::text,
       absolute = absolute & 2, claim_key = NULL, reason = $5::text, error = $6::text
WHERE seq = $7::bigint AND state + 0 = $8::bigint AND fence = $9::bigint;

-- name: to_held
UPDATE message SET state = 3, rank = 0, session = NULL, attempts = $1::bigint, strikes = $2::bigint
WHERE seq = $3::bigint AND state + 0 = $4::bigint AND fence = $5::bigint;

-- name: to_final
UPDATE message SET state = $1::bigint, final_at = $2::bigint, verdict = coalesce($3::text, verdict), reason = $4::text, error = coalesce($5::text, error)
WHERE seq = $6::bigint AND state + 0 = $7::bigint AND fence = $8::bigint;

-- name: note
INSERT INTO event (message, at, event, state, attempt, fence, since, session, reason, error)
VALUES ($1::bigint, $2::bigint, $3::text, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::text, $10::text);

-- ------------------------------------------------------------------ time

-- name: due_first
SELECT coalesce((SELECT min(rank) FROM message WHERE state = 2), 9223372036854775807),
       coalesce((SELECT min(rank) FROM message WHERE state = 1 AND rank < 4611686018427387904
                 AND rank BETWEEN $1::bigint AND $2::bigint), 9223372036854775807),
       coalesce((SELECT min(expires_boot) FROM message WHERE expires_boot IS NOT NULL AND state < 4 AND state <> 1), 9223372036854775807),
       coalesce((SELECT min(expires) FROM session WHERE live = 1), 9223372036854775807);

-- name: due_in_inbox
SELECT seq, fence, attempts, strikes, correlation_id, inbox, ready_at FROM message
WHERE state = 2 AND inbox = $1::bigint AND rank <= $2::bigint ORDER BY rank, seq LIMIT $3::bigint FOR UPDATE SKIP LOCKED;

-- name: due_anywhere
SELECT seq, fence, attempts, strikes, correlation_id, inbox, ready_at FROM message
WHERE state = 2 AND rank <= $1::bigint ORDER BY rank LIMIT $2::bigint FOR UPDATE SKIP LOCKED;

-- name: expired
SELECT seq, fence, state, inbox, attempts FROM message
WHERE expires_boot IS NOT NULL AND state < 4 AND expires_boot <= $1::bigint AND state <> 1
ORDER BY expires_boot LIMIT $2::bigint FOR UPDATE SKIP LOCKED;

-- name: lapsed_in_inbox
SELECT seq FROM message WHERE state = 1 AND inbox = $1::bigint AND rank <= $2::bigint LIMIT $3::bigint FOR UPDATE SKIP LOCKED;

-- name: lapsed_anywhere
SELECT seq FROM message WHERE state = 1 AND rank < 4611686018427387904 AND rank <= $1::bigint ORDER BY rank LIMIT $2::bigint FOR UPDATE SKIP LOCKED;

-- name: leased_by_session
SELECT seq FROM message WHERE state = 1 AND session = $1::bigint ORDER BY seq + 0 FOR UPDATE;

-- name: sessions_lapsed
SELECT id FROM session WHERE live = 1 AND expires <= $1::bigint;

-- name: next_due
SELECT min(at) FROM (
    SELECT min(rank) AS at FROM message WHERE state = 2
    UNION ALL SELECT min(expires_boot) FROM message WHERE expires_boot IS NOT NULL AND state < 4 AND state <> 1
    UNION ALL SELECT min(rank) FROM message WHERE state = 1 AND rank < 4611686018427387904
    UNION ALL SELECT min(expires) FROM session WHERE live = 1
) AS due;

-- name: absolute_reckon
UPDATE message SET
    rank = CASE WHEN state = 2 AND (absolute & 1) <> 0 THEN due_at - $1::bigint ELSE rank END,
    expires_boot = CASE WHEN (absolute & 2) <> 0 THEN expires_at - $1 ELSE expires_boot END
WHERE absolute <> 0 AND state < 4;

-- name: reboot_messages
UPDATE message SET
    rank = CASE WHEN state = 2 THEN due_at - $1::bigint ELSE rank END,
    expires_boot = CASE WHEN expires_at IS NULL THEN NULL ELSE expires_at - $1 END
WHERE state < 4 AND (state = 2 OR expires_at IS NOT NULL);

-- name: reboot_sessions
UPDATE session SET live = 0 WHERE live = 1;

-- name: reboot_store
SELECT $1::text, $2::bigint;

-- name: leased_all
SELECT seq FROM message WHERE state = 1 FOR UPDATE;

-- ------------------------------------------------------------------ sessions

-- name: session_insert
INSERT INTO session (name, kind, process, expires, live) VALUES ($1::text, $2::text, $3::text, $4::bigint, 1) RETURNING id;

-- name: session_get
SELECT id, name, kind, process, expires, live FROM session WHERE id = $1::bigint FOR SHARE;

-- name: session_renew
UPDATE session SET expires = $1::bigint WHERE id = $2::bigint AND live = 1;

-- name: session_end
UPDATE session SET live = 0 WHERE id = $1::bigint AND live = 1;

-- name: session_all
SELECT id, name, kind, process, expires, live FROM session WHERE live = 1 ORDER BY id;

-- name: session_forget
DELETE FROM session WHERE live = 0 AND expires < $1::bigint
AND id NOT IN (SELECT session FROM message WHERE state = 1);

-- name: activation_get
SELECT session, term FROM activation WHERE name = $1::text FOR UPDATE;

-- name: activation_put
INSERT INTO activation (name, session, term) VALUES ($1::text, $2::bigint, 1)
ON CONFLICT (name) DO UPDATE SET session = $2, term = activation.term + 1 WHERE $3::boolean;

-- name: activation_free
UPDATE activation SET session = 0 WHERE name = $1::text AND session = $2::bigint AND term = $3::bigint;

-- name: activation_free_session
UPDATE activation SET session = 0 WHERE session = $1::bigint;

-- name: activation_all
SELECT name, session, term FROM activation WHERE session <> 0 ORDER BY name COLLATE "C";

-- ------------------------------------------------------------------ records

-- name: record_version
SELECT version FROM record WHERE owner = $1::text AND kind = $2::text AND key = $3::text FOR UPDATE;

-- name: record_versions
SELECT owner, kind, key, version FROM record JOIN json_array_elements($1::json) AS wanted (part)
    ON (owner, kind, key) = (part->>0, part->>1, part->>2)
ORDER BY owner COLLATE "C", kind COLLATE "C", key COLLATE "C" FOR UPDATE OF record;

-- name: record_value
SELECT value FROM record WHERE owner = $1::text AND kind = $2::text AND key = $3::text;

-- name: record_put
INSERT INTO record (owner, kind, key, version, value, sum) VALUES ($1::text, $2::text, $3::text, $4::bigint, $5::bytea, $6::bigint)
ON CONFLICT (owner, kind, key) DO UPDATE SET version = excluded.version, value = excluded.value,
    sum = excluded.sum;

-- name: record_write
WITH given AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[]
    ) AS given (owner, kind, key, version, value, sum, was)
), changed AS (
    UPDATE record SET version = given.version, value = given.value, sum = given.sum FROM given
    WHERE (record.owner, record.kind, record.key) = (given.owner, given.kind, given.key) AND record.version = was
    RETURNING 1
), made AS (
    INSERT INTO record (owner, kind, key, version, value, sum)
    SELECT owner, kind, key, version, value, sum FROM given WHERE was = 0 ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT n / (n = cardinality($1) OR NOT $8::boolean)::int
FROM (SELECT (SELECT count(*) FROM changed) + (SELECT count(*) FROM made) AS n) AS counted;

-- name: record_delete
DELETE FROM record USING unnest($1::text[], $2::text[], $3::text[]) AS gone (owner, kind, key)
WHERE (record.owner, record.kind, record.key) = (gone.owner, gone.kind, gone.key);

-- name: records_of_owner
SELECT owner, kind, key, version, value FROM record WHERE owner = $1::text ORDER BY kind COLLATE "C", key COLLATE "C";

-- name: records_of_kind
SELECT owner, kind, key, version, value FROM record WHERE owner = $1::text AND kind = $2::text ORDER BY key COLLATE "C";

-- name: record_get
SELECT owner, kind, key, version, value FROM record WHERE owner = $1::text AND kind = $2::text AND key = $3::text;

-- ------------------------------------------------------------------ upkeep

-- name: live_in_inbox
SELECT seq, state, fence, attempts FROM message
WHERE state IN (0, 2, 3) AND inbox = $1::bigint ORDER BY seq + 0 LIMIT nullif($2::bigint, -1) FOR UPDATE;

-- name: ready_of_key
SELECT seq, state, fence, attempts, strikes FROM message
WHERE state = 0 AND inbox = $1::bigint AND correlation_id = $2::text FOR UPDATE;

-- name: held_in_inbox
SELECT seq, fence, attempts, strikes FROM message
WHERE state = 3 AND inbox = $1::bigint
  AND (correlation_id IS NULL OR correlation_id NOT IN (SELECT key FROM paused_key WHERE inbox = $1))
ORDER BY seq + 0 FOR UPDATE;

-- name: by_id
SELECT message.seq, state, fence, attempts, inbox, dedup_key, correlation_id
FROM message WHERE seq = (SELECT seq FROM message_id WHERE message_id.id = $1::bytea) FOR UPDATE;

-- name: bounce_source
SELECT message.id, inbox.address, sender, type, correlation_id, reply_to
FROM message JOIN inbox ON inbox.id = message.inbox WHERE seq = $1::bigint;

-- name: sweep_first
SELECT created_at FROM message WHERE seq > $1::bigint ORDER BY seq LIMIT 1;

-- name: sweep_rows
SELECT message.seq, message.id, inbox, state, inbox.address, sender, type, body, priority, dedup_key, correlation_id
FROM message JOIN inbox ON inbox.id = message.inbox
WHERE message.seq > $1::bigint AND message.seq < (SELECT max(seq) FROM message) AND state IN (4, 6, 7, 8)
ORDER BY message.seq LIMIT $2::bigint FOR UPDATE OF message SKIP LOCKED;

-- name: sweep_final_at
SELECT final_at FROM message WHERE seq = $1::bigint;

-- name: sweep_delete
DELETE FROM message WHERE seq = $1::bigint;

-- name: sweep_events
DELETE FROM event WHERE message = $1::bigint;

-- name: sweep_spend
INSERT INTO message_id (id, digest, at) VALUES ($1::bytea, $2::bytea, $3::bigint)
ON CONFLICT (id) DO UPDATE SET seq = NULL, digest = excluded.digest, at = excluded.at;

-- name: sweep_dropped
INSERT INTO dropped (inbox, state, count) VALUES ($1::bigint, $2::bigint, $3::bigint)
ON CONFLICT (inbox, state) DO UPDATE SET count = dropped.count + excluded.count;

-- name: spent_forget
DELETE FROM message_id
WHERE id IN (SELECT id FROM message_id WHERE seq IS NULL AND at < $1::bigint ORDER BY at LIMIT $2::bigint);

-- ------------------------------------------------------------------ reading

-- name: show
SELECT message.id, message.seq, inbox.address, sender, type, state, priority, attempts, max_attempts, fence,
       created_at, body, correlation_id, causation_id, reply_to, dedup_key, headers, due_at, expires_at,
       final_at, reason, error, rank, expires_boot, claimed_at, session,
       state = 1 AND rank = 4611686018427387904 AND session IN (SELECT id FROM session WHERE live = 0 OR expires <= $1::bigint)
FROM message_id JOIN message ON message.seq = message_id.seq JOIN inbox ON inbox.id = message.inbox
WHERE message_id.id = $2::bytea;

-- name: show_events
SELECT at, event, state, attempt, fence, since, session, reason, error FROM event WHERE message = $1::bigint ORDER BY n;

-- name: peek
SELECT message.id, seq, inbox.address, sender, type, state, priority, attempts, max_attempts, fence,
       created_at, body, correlation_id, causation_id, reply_to, dedup_key, headers, due_at, expires_at,
       final_at, reason, error, rank, expires_boot, claimed_at, session,
       state = 1 AND rank = 4611686018427387904 AND session IN (SELECT id FROM session WHERE live = 0 OR expires <= $5::bigint)
FROM message JOIN inbox ON inbox.id = message.inbox
WHERE message.inbox = (SELECT id FROM inbox WHERE address = $1::text) AND state < 4 AND seq > $2::bigint
  AND ($3::bigint IS NULL OR state = $3)
ORDER BY CASE WHEN state = 0 THEN rank ELSE 9 END, seq LIMIT $4::bigint;

-- name: peek_final
SELECT message.id, seq, inbox.address, sender, type, state, priority, attempts, max_attempts, fence,
       created_at, body, correlation_id, causation_id, reply_to, dedup_key, headers, due_at, expires_at,
       final_at, reason, error, rank, expires_boot, claimed_at, session,
       state = 1 AND rank = 4611686018427387904 AND session IN (SELECT id FROM session WHERE live = 0 OR expires <= $5::bigint)
FROM message JOIN inbox ON inbox.id = message.inbox
WHERE message.inbox = (SELECT id FROM inbox WHERE address = $1::text) AND state = $3::bigint AND seq > $2::bigint
ORDER BY seq LIMIT $4::bigint;

-- name: dead_all
SELECT message.id, seq, inbox.address, sender, type, state, priority, attempts, max_attempts, fence,
       created_at, body, correlation_id, causation_id, reply_to, dedup_key, headers, due_at, expires_at,
       final_at, reason, error, rank, expires_boot, claimed_at, session, false
FROM message JOIN inbox ON inbox.id = message.inbox
WHERE state = 5 AND ($1::text IS NULL OR inbox.address = $1) ORDER BY final_at, seq LIMIT $2::bigint;

-- name: inboxes_ready
WITH RECURSIVE found (id) AS (
    SELECT min(inbox) FROM message WHERE state = 0
    UNION ALL
    SELECT (SELECT min(inbox) FROM message WHERE state = 0 AND inbox > found.id)
    FROM found WHERE found.id IS NOT NULL
)
SELECT address FROM found JOIN inbox ON inbox.id = found.id WHERE paused = 0;

-- name: paused
SELECT address, NULL::text FROM inbox WHERE paused = 1
UNION ALL SELECT address, key FROM paused_key JOIN inbox ON inbox.id = paused_key.inbox;

-- name: counts_inboxes
SELECT id, address, life, paused, draining, bound, policy, ordered FROM inbox ORDER BY address COLLATE "C";

-- name: counts_inbox
SELECT id, address, life, paused, draining, bound, policy, ordered FROM inbox WHERE address = $1::text;

-- name: counts_live
SELECT inbox, state, count(*) FROM message WHERE state IN (1, 2, 3) AND state < 4 GROUP BY state, inbox;

-- name: oldest_age
SELECT min(ready_at) FROM (
    (SELECT ready_at FROM message WHERE state = 0 AND inbox = $1::bigint AND rank = 0 ORDER BY seq LIMIT $2::bigint)
    UNION ALL
    (SELECT ready_at FROM message WHERE state = 0 AND inbox = $1 AND rank = 1 ORDER BY seq LIMIT $2)
    UNION ALL
    (SELECT ready_at FROM message WHERE state = 0 AND inbox = $1 AND rank = 2 ORDER BY seq LIMIT $2)
    UNION ALL
    (SELECT ready_at FROM message WHERE state = 0 AND inbox = $1 AND rank = 3 ORDER BY seq LIMIT $2)
) AS heads;

-- name: oldest_due
SELECT min(due_at) FROM message WHERE state = 2 AND inbox = $1::bigint AND rank <= $2::bigint;

-- name: counts_one_live
SELECT state, count(*) FROM message WHERE state IN (1, 2, 3) AND state < 4 AND inbox = $1::bigint GROUP BY state;

-- name: counts_one_due
SELECT count(*) FROM message WHERE state = 2 AND inbox = $2::bigint AND rank <= $1::bigint;

-- name: counts_one_lapsed
SELECT count(*) FROM message WHERE state = 1 AND inbox = $2::bigint
  AND (rank <= $1::bigint OR (rank = 4611686018427387904
       AND session IN (SELECT id FROM session WHERE live = 0 OR expires <= $1)));

-- name: counts_one_expired
SELECT state, rank <= $1::bigint, count(*) FROM message
WHERE expires_boot IS NOT NULL AND state < 4 AND expires_boot <= $1 AND state <> 1 AND inbox = $2::bigint
GROUP BY 1, 2;

-- name: counts_one_final
SELECT sum(accepted)::bigint, sum(done)::bigint, sum(dead)::bigint, sum(expired)::bigint,
       sum(bounced)::bigint, sum(cancelled)::bigint, sum(overflowed)::bigint, sum(lost)::bigint,
       sum(retried)::bigint
FROM (SELECT * FROM total WHERE inbox = $1::bigint UNION ALL SELECT * FROM tally WHERE inbox = $1) AS counted;

-- name: counts_due
SELECT inbox, count(*), min(due_at) FROM message WHERE state = 2 AND rank <= $1::bigint
GROUP BY inbox;

-- name: counts_lapsed
SELECT inbox, count(*), min(claimed_at) FROM message WHERE state = 1
  AND (rank <= $1::bigint OR (rank = 4611686018427387904
       AND session IN (SELECT id FROM session WHERE live = 0 OR expires <= $1)))
GROUP BY inbox;

-- name: counts_expired
SELECT inbox, state, rank <= $1::bigint, count(*) FROM message
WHERE expires_boot IS NOT NULL AND state < 4 AND expires_boot <= $1 AND state <> 1
GROUP BY 1, 2, 3;

-- name: counts_final
SELECT inbox, sum(accepted)::bigint, sum(done)::bigint, sum(dead)::bigint, sum(expired)::bigint,
       sum(bounced)::bigint, sum(cancelled)::bigint, sum(overflowed)::bigint, sum(lost)::bigint,
       sum(retried)::bigint
FROM (SELECT * FROM total UNION ALL SELECT * FROM tally) AS counted
GROUP BY inbox;

-- name: verify_rows
SELECT inbox, state, count(*) FROM message GROUP BY inbox, state;

-- name: verify_dropped
SELECT inbox, state, count FROM dropped;

-- name: verify_orphans
SELECT count(*) FROM message WHERE inbox NOT IN (SELECT id FROM inbox);

-- name: verify_unheld
SELECT count(*) FROM message WHERE state = 1 AND rank = 4611686018427387904
AND session NOT IN (SELECT id FROM session);

-- name: sums_known
SELECT true;

-- name: message_sums
SELECT seq, id, inbox, state, fence, attempts, convert_to(claim_key, 'UTF8'), true, sum, priority, created_at,
       max_attempts, expires_at, body, headers, convert_to(type, 'UTF8'), convert_to(sender, 'UTF8'),
       convert_to(correlation_id, 'UTF8'), convert_to(causation_id, 'UTF8'), convert_to(reply_to, 'UTF8'),
       convert_to(dedup_key, 'UTF8')
FROM message WHERE $1::bigint IS NULL OR (inbox = $1 AND state < 4);

-- name: history_texts
SELECT message, state, convert_to(event, 'UTF8'), convert_to(reason, 'UTF8'), convert_to(error, 'UTF8') FROM event;

-- name: final_texts
SELECT seq, state, NULL::bytea, convert_to(reason, 'UTF8'), convert_to(error, 'UTF8') FROM message
WHERE reason IS NOT NULL OR error IS NOT NULL;

-- name: record_sums
SELECT convert_to(owner, 'UTF8'), convert_to(kind, 'UTF8'), convert_to(key, 'UTF8'), version, value, sum FROM record;

-- name: verify_damaged
SELECT i.id, (convert_from(r.value, 'UTF8')::json->>'lost')::bigint
FROM record r JOIN inbox i ON i.address = r.key
WHERE r.owner = 'postroom/damage' AND r.kind = 'lost';

-- name: raise_epoch
UPDATE store SET epoch = $1::bigint;

-- name: raise_fences
UPDATE message SET fence = ($1::bigint << 20) + (fence & 1048575);
