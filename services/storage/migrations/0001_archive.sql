-- The archive. The same text serves SQLite and PostgreSQL; see `store.rs` for the one difference,
-- how texts are ordered. Times are milliseconds since 1970 UTC; numbers are those of the log, per
-- partition. Whatever people wrote is kept as JSON text, where every control character is
-- escaped: PostgreSQL takes no U+0000.

-- How far each partition is archived. Whoever archives moves it from exactly the value it read,
-- in the same transaction: a replica that lost its partition cannot write out of turn.
CREATE TABLE checkpoints (
    part BIGINT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
);

CREATE TABLE conversations (
    id TEXT NOT NULL PRIMARY KEY,
    part BIGINT NOT NULL,
    -- JSON: the name of a group or null.
    name TEXT NOT NULL,
    last_seq BIGINT NOT NULL,
    -- How many members there are now.
    members BIGINT NOT NULL
);

-- A span of membership, both ends included. While it lasts, left_seq is the largest number.
CREATE TABLE members (
    conversation TEXT NOT NULL,
    user_id TEXT NOT NULL,
    joined_seq BIGINT NOT NULL,
    left_seq BIGINT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (conversation, user_id, joined_seq)
);
CREATE INDEX members_by_user ON members (user_id, left_seq, conversation);

-- The last entry that changed one user's membership alone.
CREATE TABLE fences (
    conversation TEXT NOT NULL,
    user_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, user_id)
);

-- The entries, as JSON text. The size stands before the text, so that a page is planned without
-- reading texts.
CREATE TABLE entries (
    conversation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    prev BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (conversation, seq)
);

-- The first message accepted under each client id. Later ones are void.
CREATE TABLE message_ids (
    conversation TEXT NOT NULL,
    sender TEXT NOT NULL,
    client_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, sender, client_id)
);
