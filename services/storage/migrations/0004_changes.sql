-- What later entries have made of messages. The entries themselves stay in `entries`; these tables
-- hold what follows from them, written in the same transaction.

-- Entries that only change a message: history leaves them out unless it is asked for edits.
CREATE TABLE changes (
    conversation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    -- The message.
    target BIGINT NOT NULL,
    PRIMARY KEY (conversation, seq)
);
CREATE INDEX changes_by_target ON changes (conversation, target, seq);

-- The edit whose text a message has now. Messages that were never edited have no row.
CREATE TABLE edits (
    conversation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    by_seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, seq)
);

CREATE TABLE reactions (
    conversation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    emoji TEXT NOT NULL,
    -- The entry that brought it.
    by_seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, seq, user_id, emoji)
);

CREATE TABLE pins (
    conversation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    by_seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, seq)
);

-- Entries that the log is still to erase, not before a moment: until then it needs them to
-- recognise repeats.
CREATE TABLE erasures (
    part BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    PRIMARY KEY (part, seq)
);
