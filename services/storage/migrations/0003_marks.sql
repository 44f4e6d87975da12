-- How far each member has come in each conversation: high-water marks that only rise. They are no
-- entries of the log: the archive alone has them.
CREATE TABLE marks (
    conversation TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- A device has every entry up to here.
    delivered BIGINT NOT NULL,
    -- The user has read every entry up to here: for themselves.
    read_seq BIGINT NOT NULL,
    -- What others are shown of it: stands still while the user has read receipts off.
    shown_seq BIGINT NOT NULL,
    -- The partition's number for this change.
    version BIGINT NOT NULL,
    PRIMARY KEY (conversation, user_id)
);
CREATE INDEX marks_by_version ON marks (conversation, version);

-- The number of the last change in each partition. It is moved in the transaction that makes the
-- change, so that changes are committed in the order of their numbers.
CREATE TABLE mark_versions (
    part BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

-- What a user has set. Who is not here has set nothing.
CREATE TABLE settings (
    user_id TEXT NOT NULL PRIMARY KEY,
    -- 1 or 0.
    read_receipts BIGINT NOT NULL
);
