-- What a user's list of conversations shows. Columns are filled in from now on: what was archived
-- before counts as read, and when it was said is looked up the first time somebody asks.

-- The newest entry that counts as activity, and its time. 0: not known yet.
ALTER TABLE conversations ADD COLUMN active_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN active_at BIGINT NOT NULL DEFAULT 0;
-- How many messages there are.
ALTER TABLE conversations ADD COLUMN messages BIGINT NOT NULL DEFAULT 0;
-- How many messages there are up to this entry: so unread ones are counted by two look-ups,
-- however many they are.
ALTER TABLE entries ADD COLUMN ordinal BIGINT NOT NULL DEFAULT 0;

-- How a user has arranged their list. What is not here is as it was begun.
CREATE TABLE arrangements (
    user_id TEXT NOT NULL,
    conversation TEXT NOT NULL,
    -- In milliseconds since 1970 UTC; 0: not muted.
    muted_until BIGINT NOT NULL,
    -- 1 or 0.
    pinned BIGINT NOT NULL,
    archived BIGINT NOT NULL,
    -- The partition's number for this change, as for marks.
    version BIGINT NOT NULL,
    PRIMARY KEY (user_id, conversation)
);
