-- Messages that were deleted or have disappeared, of those that are counted: they are unread no more. What the release
-- before has deleted, before or beside, is not here, and is counted as before.
CREATE TABLE gone (
    conversation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, seq)
);
