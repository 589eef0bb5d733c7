-- Named queries of the SQLite engine. Conditions such as "state = 0 AND state < 4" look redundant:
-- the planner uses a partial index only where the index's own condition is repeated word for word.

-- name: store_row
SELECT epoch, registry, wall_offset FROM store;

-- name: store_bump_registry
UPDATE store SET registry = registry + 1;

-- name: store_set_offset
UPDATE store SET wall_offset = ?;

-- name: next_seq
SELECT coalesce(max(seq), 0) + 1 FROM message;

-- ------------------------------------------------------------------ inboxes

-- name: inbox_by_address
SELECT id, address, role, life, member, paused, draining, ordered, bound, policy,
       EXISTS (SELECT 1 FROM paused_key WHERE inbox = inbox.id),
       coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM total WHERE inbox = inbox.id), 0)
     + coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM tally WHERE inbox = inbox.id), 0),
       NOT EXISTS (SELECT 1 FROM message WHERE state = 0 AND state < 4 AND inbox = inbox.id)
FROM inbox WHERE address = ?;

-- name: inboxes_by_address
SELECT id, address, role, life, member, paused, draining, ordered, bound, policy,
       EXISTS (SELECT 1 FROM paused_key WHERE inbox = inbox.id),
       coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM total WHERE inbox = inbox.id), 0)
     + coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM tally WHERE inbox = inbox.id), 0),
       NOT EXISTS (SELECT 1 FROM message WHERE state = 0 AND state < 4 AND inbox = inbox.id)
FROM inbox WHERE address IN (SELECT value FROM json_each(?));

-- name: inbox_by_id
SELECT id, address, role, life, member, paused, draining, ordered, bound, policy,
       EXISTS (SELECT 1 FROM paused_key WHERE inbox = inbox.id),
       coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM total WHERE inbox = inbox.id), 0)
     + coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM tally WHERE inbox = inbox.id), 0),
       NOT EXISTS (SELECT 1 FROM message WHERE state = 0 AND state < 4 AND inbox = inbox.id)
FROM inbox WHERE id = ?;

-- name: inbox_members
SELECT address FROM inbox WHERE role = ? AND life = 1 AND member = 1 ORDER BY id;

-- name: inbox_insert
INSERT INTO inbox (address, role, life, member) VALUES (?, ?, ?, ?);

-- name: inbox_set
UPDATE inbox SET life = 1, bound = coalesce(?, bound), policy = coalesce(?, policy),
       ordered = coalesce(?, ordered) WHERE id = ?;

-- name: inbox_member
UPDATE inbox SET member = ? WHERE id = ?;

-- name: inbox_switch
UPDATE inbox SET paused = ?, draining = ?, life = ? WHERE id = ?;

-- name: key_pause
INSERT INTO paused_key (inbox, key) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: key_resume
DELETE FROM paused_key WHERE inbox = ? AND key = ?;

-- name: key_paused
SELECT 1 FROM paused_key WHERE inbox = ? AND key = ?;

-- name: depth
SELECT coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM total WHERE inbox = ?1), 0)
     + coalesce((SELECT accepted - done - dead - expired - bounced - cancelled FROM tally WHERE inbox = ?1), 0);

-- name: tally_add
INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (inbox) DO UPDATE SET
    accepted = accepted + excluded.accepted, done = done + excluded.done, dead = dead + excluded.dead,
    expired = expired + excluded.expired, bounced = bounced + excluded.bounced,
    cancelled = cancelled + excluded.cancelled, overflowed = overflowed + excluded.overflowed,
    lost = lost + excluded.lost, retried = retried + excluded.retried;

-- name: tally_rows
SELECT count(*) FROM tally;

-- name: tally_fold
INSERT INTO total SELECT * FROM tally WHERE true ORDER BY inbox
ON CONFLICT (inbox) DO UPDATE SET
    accepted = accepted + excluded.accepted, done = done + excluded.done, dead = dead + excluded.dead,
    expired = expired + excluded.expired, bounced = bounced + excluded.bounced,
    cancelled = cancelled + excluded.cancelled, overflowed = overflowed + excluded.overflowed,
    lost = lost + excluded.lost, retried = retried + excluded.retried;

-- name: tally_clear
DELETE FROM tally;

-- ------------------------------------------------------------------ sending

-- name: message_insert
INSERT INTO message (seq, id, inbox, state, rank, priority, type, sender, body, created_at, ready_at,
    attempts, max_attempts, fence, session, claimed_at, final_at, absolute, correlation_id, causation_id,
    reply_to, dedup_key, headers, due_at, expires_at, expires_boot, reason, sum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING;

-- name: message_missing
SELECT value FROM json_each(?) WHERE value NOT IN (SELECT seq FROM message WHERE seq BETWEEN ? AND ?);

-- name: id_forget
DELETE FROM message WHERE id = ? AND seq = ?;

-- name: message_same
SELECT message.id, inbox.address, sender, type, body, priority, dedup_key, correlation_id, state
FROM message JOIN inbox ON inbox.id = message.inbox WHERE message.id = ?;

-- name: message_by_dedup
SELECT id FROM message WHERE inbox = ? AND dedup_key = ? AND dedup_key IS NOT NULL AND state < 4;

-- name: spent_digest
SELECT digest FROM spent_id WHERE id = ?;

-- name: spent_any
SELECT 1 FROM spent_id LIMIT 1;

-- name: ready_waiting
SELECT 1 FROM message WHERE state = 0 AND state < 4 AND inbox = ? LIMIT 1;

-- name: oldest_ready
SELECT seq, fence, attempts FROM message WHERE state = 0 AND state < 4 AND inbox = ? ORDER BY rank DESC, seq LIMIT 1;

-- ------------------------------------------------------------------ claiming

-- name: claim_select
SELECT seq, id, fence, sender, type, body, priority, attempts, max_attempts, created_at, ready_at,
       correlation_id, causation_id, reply_to, headers, strikes, dedup_key, expires_at, sum
FROM message
WHERE state = 0 AND state < 4 AND inbox = ? AND (expires_boot IS NULL OR expires_boot > ?)
ORDER BY rank, seq LIMIT ?;

-- name: claim_company
SELECT seq, id, fence, sender, type, body, priority, attempts, max_attempts, created_at, ready_at,
       correlation_id, causation_id, reply_to, headers, strikes, dedup_key, expires_at, sum
FROM message
WHERE state = 0 AND state < 4 AND inbox = ? AND (expires_boot IS NULL OR expires_boot > ?) AND strikes = 0
ORDER BY rank, seq LIMIT ?;

-- name: claim_key_lock
SELECT ?; -- nobody else is at it

-- name: claim_repeat
SELECT seq, id, fence, sender, type, body, priority, attempts - 1, max_attempts, created_at, ready_at,
       correlation_id, causation_id, reply_to, headers, strikes, dedup_key, expires_at, sum, rank
FROM message WHERE state = 1 AND state < 4 AND inbox = ? AND claim_key = ? AND rank > ? ORDER BY seq;

-- name: claim_take
UPDATE message SET state = 1, rank = ?, attempts = attempts + 1, fence = fence + 1, session = ?,
       claimed_at = ?, verdict = NULL, claim_key = ?
WHERE seq = ? AND state = 0;

-- name: claim_legible
UPDATE message SET type = coalesce(?, ''), sender = coalesce(?, ''), correlation_id = ?, causation_id = ?, reply_to = ?, dedup_key = ?,
       body = coalesce(CAST(body AS BLOB), x''), headers = CAST(headers AS BLOB)
WHERE seq = ?;

-- name: inbox_lock
SELECT id FROM inbox WHERE id = ?;

-- name: ordered_head
SELECT ?; -- nobody else is at it

-- name: ordered_blocked
SELECT EXISTS (SELECT 1 FROM message WHERE state = 1 AND state < 4 AND inbox = ?1)
    OR EXISTS (SELECT 1 FROM message WHERE state = 2 AND state < 4 AND inbox = ?1 AND attempts > 0);

-- ------------------------------------------------------------------ settling

-- name: lease_by_seq
SELECT seq, id, inbox, state, fence, attempts, max_attempts, priority, strikes, claimed_at, session,
       verdict, correlation_id, rank
FROM message WHERE seq = ?;

-- name: leases_by_seq
SELECT seq, id, inbox, state, fence, attempts, max_attempts, priority, strikes, claimed_at, session,
       verdict, correlation_id, rank
FROM message WHERE seq IN (SELECT value FROM json_each(?));

-- name: leases_to_ack
SELECT seq, id, inbox, state, fence, attempts, max_attempts, priority, strikes, claimed_at, session,
       verdict, correlation_id, rank
FROM message WHERE seq IN (SELECT value FROM json_each(?)) AND state < 4;

-- name: lease_by_id
SELECT seq, id, inbox, state, fence, attempts, max_attempts, priority, strikes, claimed_at, session,
       verdict, correlation_id, rank
FROM message WHERE id = ?;

-- name: ack
UPDATE message SET state = 4, final_at = ?, verdict = 'ack' WHERE seq = ? AND state = 1 AND fence = ?;

-- name: extend
UPDATE message SET rank = ? WHERE seq = ? AND state = 1 AND fence = ?;

-- name: to_ready
UPDATE message SET state = 0, rank = 3 - priority, ready_at = ?, session = NULL, attempts = ?,
       strikes = ?, verdict = coalesce(?, verdict), due_at = NULL, final_at = NULL, claim_key = NULL, reason = ?, error = ?
WHERE seq = ? AND state = ? AND fence = ?;

-- name: to_delayed
UPDATE message SET state = 2, rank = ?, due_at = ?, session = NULL, strikes = ?, verdict = ?,
       absolute = absolute & 2, claim_key = NULL, reason = ?, error = ?
WHERE seq = ? AND state = ? AND fence = ?;

-- name: to_held
UPDATE message SET state = 3, rank = 0, session = NULL, attempts = ?, strikes = ?
WHERE seq = ? AND state = ? AND fence = ?;

-- name: to_final
UPDATE message SET state = ?, final_at = ?, verdict = coalesce(?, verdict), reason = ?, error = coalesce(?, error)
WHERE seq = ? AND state = ? AND fence = ?;

-- name: note
INSERT INTO event (message, at, event, state, attempt, fence, since, session, reason, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- ------------------------------------------------------------------ time

-- name: due_first
SELECT coalesce((SELECT min(rank) FROM message WHERE state = 2), 9223372036854775807),
       coalesce((SELECT min(rank) FROM message WHERE state = 1 AND rank < 4611686018427387904), 9223372036854775807),
       coalesce((SELECT min(expires_boot) FROM message INDEXED BY message_expiring WHERE expires_boot IS NOT NULL AND state < 4 AND state <> 1), 9223372036854775807),
       coalesce((SELECT min(expires) FROM session WHERE live = 1), 9223372036854775807);

-- name: due_in_inbox
SELECT seq, fence, attempts, strikes, correlation_id, inbox, ready_at FROM message
WHERE state = 2 AND state < 4 AND inbox = ? AND rank <= ? ORDER BY rank, seq LIMIT ?;

-- name: due_anywhere
SELECT seq, fence, attempts, strikes, correlation_id, inbox, ready_at FROM message
WHERE state = 2 AND rank <= ? ORDER BY rank LIMIT ?;

-- name: expired
SELECT seq, fence, state, inbox, attempts FROM message INDEXED BY message_expiring
WHERE expires_boot IS NOT NULL AND state < 4 AND expires_boot <= ? AND state <> 1
ORDER BY expires_boot LIMIT ?;

-- name: lapsed_in_inbox
SELECT seq FROM message WHERE state = 1 AND state < 4 AND inbox = ? AND rank <= ? LIMIT ?;

-- name: lapsed_anywhere
SELECT seq FROM message WHERE state = 1 AND rank < 4611686018427387904 AND rank <= ? ORDER BY rank LIMIT ?;

-- name: leased_by_session
SELECT seq FROM message WHERE state = 1 AND state < 4 AND session = ?;

-- name: sessions_lapsed
SELECT id FROM session WHERE live = 1 AND expires <= ?;

-- name: next_due
SELECT min(at) FROM (
    SELECT min(rank) AS at FROM message WHERE state = 2
    UNION ALL SELECT min(expires_boot) FROM message INDEXED BY message_expiring WHERE expires_boot IS NOT NULL AND state < 4 AND state <> 1
    UNION ALL SELECT min(rank) FROM message WHERE state = 1 AND rank < 4611686018427387904
    UNION ALL SELECT min(expires) FROM session WHERE live = 1
);

-- name: absolute_reckon
UPDATE message SET
    rank = CASE WHEN state = 2 AND absolute & 1 THEN due_at - ?1 ELSE rank END,
    expires_boot = CASE WHEN absolute & 2 THEN expires_at - ?1 ELSE expires_boot END
WHERE absolute <> 0 AND state < 4;

-- name: reboot_messages
UPDATE message SET
    rank = CASE WHEN state = 2 THEN due_at - ?1 ELSE rank END,
    expires_boot = CASE WHEN expires_at IS NULL THEN NULL ELSE expires_at - ?1 END
WHERE state < 4 AND (state = 2 OR expires_at IS NOT NULL);

-- name: reboot_sessions
UPDATE session SET live = 0 WHERE live = 1;

-- name: reboot_store
UPDATE store SET boot_id = ?, wall_offset = ?;

-- name: leased_all
SELECT seq FROM message WHERE state = 1 AND state < 4;

-- ------------------------------------------------------------------ sessions

-- name: session_insert
INSERT INTO session (name, kind, process, expires, live) VALUES (?, ?, ?, ?, 1) RETURNING id;

-- name: session_get
SELECT id, name, kind, process, expires, live FROM session WHERE id = ?;

-- name: session_renew
UPDATE session SET expires = ? WHERE id = ? AND live = 1;

-- name: session_end
UPDATE session SET live = 0 WHERE id = ? AND live = 1;

-- name: session_all
SELECT id, name, kind, process, expires, live FROM session WHERE live = 1 ORDER BY id;

-- name: session_forget
DELETE FROM session WHERE live = 0 AND expires < ?
AND id NOT IN (SELECT session FROM message WHERE state = 1 AND state < 4);

-- name: activation_get
SELECT session, term FROM activation WHERE name = ?;

-- name: activation_put
INSERT INTO activation (name, session, term) VALUES (?1, ?2, 1)
ON CONFLICT (name) DO UPDATE SET session = ?2, term = term + 1 WHERE ?3;

-- name: activation_free
UPDATE activation SET session = 0 WHERE name = ? AND session = ? AND term = ?;

-- name: activation_free_session
UPDATE activation SET session = 0 WHERE session = ?;

-- name: activation_all
SELECT name, session, term FROM activation WHERE session <> 0 ORDER BY name;

-- ------------------------------------------------------------------ records

-- name: record_version
SELECT version FROM record WHERE owner = ? AND kind = ? AND key = ?;

-- name: record_versions
SELECT owner, kind, key, version FROM record WHERE (owner, kind, key) IN (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
    FROM json_each(?)
);

-- name: record_value
SELECT value FROM record WHERE owner = ? AND kind = ? AND key = ?;

-- name: record_put
INSERT INTO record (owner, kind, key, version, value, sum) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (owner, kind, key) DO UPDATE SET version = excluded.version, value = excluded.value,
    sum = excluded.sum;

-- name: record_write
INSERT INTO record (owner, kind, key, version, value, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (owner, kind, key) DO UPDATE SET version = excluded.version, value = excluded.value,
    sum = excluded.sum
WHERE record.version = ?7;

-- name: record_delete
DELETE FROM record WHERE owner = ? AND kind = ? AND key = ?;

-- name: records_of_owner
SELECT owner, kind, key, version, value FROM record WHERE owner = ? ORDER BY kind, key;

-- name: records_of_kind
SELECT owner, kind, key, version, value FROM record WHERE owner = ? AND kind = ? ORDER BY key;

-- name: record_get
SELECT owner, kind, key, version, value FROM record WHERE owner = ? AND kind = ? AND key = ?;

-- ------------------------------------------------------------------ upkeep

-- name: live_in_inbox
SELECT seq, state, fence, attempts FROM message
WHERE state IN (0, 2, 3) AND state < 4 AND inbox = ? ORDER BY seq LIMIT ?;

-- name: ready_of_key
SELECT seq, state, fence, attempts, strikes FROM message
WHERE state = 0 AND state < 4 AND inbox = ? AND correlation_id = ?;

-- name: held_in_inbox
SELECT seq, fence, attempts, strikes FROM message
WHERE state = 3 AND state < 4 AND inbox = ?1
  AND (correlation_id IS NULL OR correlation_id NOT IN (SELECT key FROM paused_key WHERE inbox = ?1))
ORDER BY seq;

-- name: by_id
SELECT seq, state, fence, attempts, inbox, dedup_key, correlation_id FROM message WHERE id = ?;

-- name: bounce_source
SELECT message.id, inbox.address, sender, type, correlation_id, reply_to
FROM message JOIN inbox ON inbox.id = message.inbox WHERE seq = ?;

-- name: sweep_first
SELECT created_at FROM message WHERE seq > ? ORDER BY seq LIMIT 1;

-- name: sweep_rows
SELECT message.seq, message.id, inbox, state, inbox.address, sender, type, body, priority, dedup_key, correlation_id
FROM message JOIN inbox ON inbox.id = message.inbox
WHERE message.seq > ?1 AND message.seq < (SELECT max(seq) FROM message)
ORDER BY message.seq LIMIT ?2;

-- name: sweep_final_at
SELECT final_at FROM message WHERE seq = ?;

-- name: sweep_delete
DELETE FROM message WHERE seq = ?;

-- name: sweep_events
DELETE FROM event WHERE message = ?;

-- name: sweep_spend
INSERT INTO spent_id (id, digest, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING;

-- name: sweep_dropped
INSERT INTO dropped (inbox, state, count) VALUES (?, ?, ?)
ON CONFLICT (inbox, state) DO UPDATE SET count = count + excluded.count;

-- name: spent_forget
DELETE FROM spent_id WHERE id IN (SELECT id FROM spent_id WHERE at < ? ORDER BY at LIMIT ?);

-- ------------------------------------------------------------------ reading

-- name: show
SELECT message.id, seq, inbox.address, sender, type, state, priority, attempts, max_attempts, fence,
       created_at, body, correlation_id, causation_id, reply_to, dedup_key, headers, due_at, expires_at,
       final_at, reason, error, rank, expires_boot, claimed_at, session,
       state = 1 AND rank = 4611686018427387904 AND session IN (SELECT id FROM session WHERE live = 0 OR expires <= ?1)
FROM message JOIN inbox ON inbox.id = message.inbox WHERE message.id = ?2;

-- name: show_events
SELECT at, event, state, attempt, fence, since, session, reason, error FROM event WHERE message = ? ORDER BY rowid;

-- name: peek
SELECT message.id, seq, inbox.address, sender, type, state, priority, attempts, max_attempts, fence,
       created_at, body, correlation_id, causation_id, reply_to, dedup_key, headers, due_at, expires_at,
       final_at, reason, error, rank, expires_boot, claimed_at, session,
       state = 1 AND rank = 4611686018427387904 AND session IN (SELECT id FROM session WHERE live = 0 OR expires <= ?5)
FROM message JOIN inbox ON inbox.id = message.inbox
WHERE message.inbox = (SELECT id FROM inbox WHERE address = ?1) AND state < 4 AND seq > ?2
  AND (?3 IS NULL OR state = ?3)
ORDER BY CASE WHEN state = 0 THEN rank ELSE 9 END, seq LIMIT ?4;

-- name: peek_final
SELECT message.id, seq, inbox.address, sender, type, state, priority, attempts, max_attempts, fence,
       created_at, body, correlation_id, causation_id, reply_to, dedup_key, headers, due_at, expires_at,
       final_at, reason, error, rank, expires_boot, claimed_at, session,
       state = 1 AND rank = 4611686018427387904 AND session IN (SELECT id FROM session WHERE live = 0 OR expires <= ?5)
FROM message JOIN inbox ON inbox.id = message.inbox
WHERE message.inbox = (SELECT id FROM inbox WHERE address = ?1) AND state = ?3 AND seq > ?2
ORDER BY seq LIMIT ?4;

-- name: dead_all
SELECT message.id, seq, inbox.address, sender, type, state, priority, attempts, max_attempts, fence,
       created_at, body, correlation_id, causation_id, reply_to, dedup_key, headers, due_at, expires_at,
       final_at, reason, error, rank, expires_boot, claimed_at, session, 0
FROM message JOIN inbox ON inbox.id = message.inbox
WHERE state = 5 AND (?1 IS NULL OR inbox.address = ?1) ORDER BY final_at, seq LIMIT ?2;

-- name: inboxes_ready
WITH RECURSIVE found (id) AS (
    SELECT min(inbox) FROM message WHERE state = 0 AND state < 4
    UNION ALL
    SELECT (SELECT min(inbox) FROM message WHERE state = 0 AND state < 4 AND inbox > found.id)
    FROM found WHERE found.id IS NOT NULL
)
SELECT address FROM found JOIN inbox ON inbox.id = found.id WHERE paused = 0;

-- name: paused
SELECT address, NULL FROM inbox WHERE paused = 1
UNION ALL SELECT address, key FROM paused_key JOIN inbox ON inbox.id = paused_key.inbox;

-- name: counts_inboxes
SELECT id, address, life, paused, draining, bound, policy, ordered FROM inbox ORDER BY address;

-- name: counts_inbox
SELECT id, address, life, paused, draining, bound, policy, ordered FROM inbox WHERE address = ?;

-- name: counts_live
SELECT inbox, state, count(*) FROM message WHERE state IN (1, 2, 3) AND state < 4 GROUP BY state, inbox;

-- name: oldest_age
SELECT min(ready_at) FROM (
    SELECT * FROM (SELECT ready_at FROM message WHERE state = 0 AND state < 4 AND inbox = ?1 AND rank = 0 ORDER BY seq LIMIT ?2)
    UNION ALL
    SELECT * FROM (SELECT ready_at FROM message WHERE state = 0 AND state < 4 AND inbox = ?1 AND rank = 1 ORDER BY seq LIMIT ?2)
    UNION ALL
    SELECT * FROM (SELECT ready_at FROM message WHERE state = 0 AND state < 4 AND inbox = ?1 AND rank = 2 ORDER BY seq LIMIT ?2)
    UNION ALL
    SELECT * FROM (SELECT ready_at FROM message WHERE state = 0 AND state < 4 AND inbox = ?1 AND rank = 3 ORDER BY seq LIMIT ?2)
);

-- name: oldest_due
SELECT min(due_at) FROM message WHERE state = 2 AND state < 4 AND inbox = ? AND rank <= ?;

-- name: counts_one_live
SELECT state, count(*) FROM message WHERE state IN (1, 2, 3) AND state < 4 AND inbox = ? GROUP BY state;

-- name: counts_one_due
SELECT count(*) FROM message WHERE state = 2 AND state < 4 AND inbox = ?2 AND rank <= ?1;

-- name: counts_one_lapsed
SELECT count(*) FROM message WHERE state = 1 AND state < 4 AND inbox = ?2
  AND (rank <= ?1 OR (rank = 4611686018427387904
       AND session IN (SELECT id FROM session WHERE live = 0 OR expires <= ?1)));

-- name: counts_one_expired
SELECT state, rank <= ?1, count(*) FROM message INDEXED BY message_expiring
WHERE expires_boot IS NOT NULL AND state < 4 AND expires_boot <= ?1 AND state <> 1 AND inbox = ?2
GROUP BY 1, 2;

-- name: counts_one_final
SELECT sum(accepted), sum(done), sum(dead), sum(expired), sum(bounced), sum(cancelled),
       sum(overflowed), sum(lost), sum(retried)
FROM (SELECT * FROM total WHERE inbox = ?1 UNION ALL SELECT * FROM tally WHERE inbox = ?1);

-- name: counts_due
SELECT inbox, count(*), min(due_at) FROM message WHERE state = 2 AND rank <= ?1
GROUP BY inbox;

-- name: counts_lapsed
SELECT inbox, count(*), min(claimed_at) FROM message WHERE state = 1 AND state < 4
  AND (rank <= ?1 OR (rank = 4611686018427387904
       AND session IN (SELECT id FROM session WHERE live = 0 OR expires <= ?1)))
GROUP BY inbox;

-- name: counts_expired
SELECT inbox, state, rank <= ?1, count(*) FROM message INDEXED BY message_expiring
WHERE expires_boot IS NOT NULL AND state < 4 AND expires_boot <= ?1 AND state <> 1
GROUP BY 1, 2, 3;

-- name: counts_final
SELECT inbox, sum(accepted), sum(done), sum(dead), sum(expired), sum(bounced), sum(cancelled),
       sum(overflowed), sum(lost), sum(retried)
FROM (SELECT * FROM total UNION ALL SELECT * FROM tally)
GROUP BY inbox;

-- name: verify_rows
SELECT inbox, state, count(*) FROM message GROUP BY inbox, state;

-- name: verify_dropped
SELECT inbox, state, count FROM dropped;

-- name: verify_orphans
SELECT count(*) FROM message WHERE inbox NOT IN (SELECT id FROM inbox);

-- name: verify_unheld
SELECT count(*) FROM message WHERE state = 1 AND state < 4 AND rank = 4611686018427387904
AND session NOT IN (SELECT id FROM session);

-- name: sums_known
SELECT EXISTS (SELECT 1 FROM pragma_table_info('message') WHERE name = 'sum');

-- name: message_sums
SELECT seq, CAST(id AS BLOB), inbox, state, fence, attempts, CAST(claim_key AS BLOB),
       typeof(id) = 'blob' AND typeof(body) = 'blob' AND typeof(headers) IN ('blob', 'null')
       AND typeof(type) = 'text' AND typeof(sender) = 'text' AND typeof(correlation_id) IN ('text', 'null')
       AND typeof(causation_id) IN ('text', 'null') AND typeof(reply_to) IN ('text', 'null')
       AND typeof(dedup_key) IN ('text', 'null'),
       sum, priority, created_at, max_attempts, expires_at, CAST(body AS BLOB), CAST(headers AS BLOB),
       CAST(type AS BLOB), CAST(sender AS BLOB), CAST(correlation_id AS BLOB), CAST(causation_id AS BLOB),
       CAST(reply_to AS BLOB), CAST(dedup_key AS BLOB)
FROM message WHERE ?1 IS NULL OR (inbox = ?1 AND state < 4);

-- name: history_texts
SELECT message, state, CAST(event AS BLOB), CAST(reason AS BLOB), CAST(error AS BLOB) FROM event;

-- name: final_texts
SELECT seq, state, NULL, CAST(reason AS BLOB), CAST(error AS BLOB) FROM message
WHERE reason IS NOT NULL OR error IS NOT NULL;

-- name: record_sums
SELECT CAST(owner AS BLOB), CAST(kind AS BLOB), CAST(key AS BLOB), version, CAST(value AS BLOB), sum FROM record;

-- name: verify_damaged
SELECT i.id, CAST(json_extract(CAST(r.value AS TEXT), '$.lost') AS INTEGER)
FROM record r JOIN inbox i ON i.address = r.key
WHERE r.owner = 'postroom/damage' AND r.kind = 'lost';

-- name: raise_epoch
UPDATE store SET epoch = ?;

-- name: raise_fences
UPDATE message SET fence = (?1 << 20) + (fence & 1048575);
