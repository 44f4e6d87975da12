-- Direct conversations that a stranger began with somebody who wants to be asked.

-- 1: strangers' conversations are requests; 0: they are as all others.
ALTER TABLE settings ADD COLUMN strangers BIGINT NOT NULL DEFAULT 0;

CREATE TABLE requests (
    conversation TEXT NOT NULL PRIMARY KEY,
    -- Who is asked.
    user_id TEXT NOT NULL,
    -- 0 while it is open; then the partition's number for its acceptance, as for marks.
    accepted BIGINT NOT NULL
);
