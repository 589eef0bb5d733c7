-- A sum of the content of each message and of each record, so that a byte that rots is never served
-- silently. Rows from before have none and are not checked.

ALTER TABLE message ADD COLUMN sum INTEGER;
ALTER TABLE record ADD COLUMN sum INTEGER;
