-- Named statements of portable stores, in place of those of the same name: without advisory locks, and with one
-- change of a table in each statement.

-- name: claim_key_lock
SELECT one FROM key_gate WHERE one = left(md5($1::text), 2) FOR UPDATE;

-- What has a version was locked when that was read, so it is still there; only what had none can be there now.

-- name: record_write
WITH written AS (
INSERT INTO record (owner, kind, key, version, value, sum)
SELECT owner, kind, key, version, value, sum FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[]
) AS given (owner, kind, key, version, value, sum, was)
ON CONFLICT (owner, kind, key) DO UPDATE SET version = excluded.version, value = excluded.value, sum = excluded.sum
WHERE (record.owner, record.kind, record.key, record.version) IN (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $7::bigint[])
)
RETURNING 1
)
SELECT count(*) / (count(*) = cardinality($1) OR NOT $8::boolean)::int FROM written;
