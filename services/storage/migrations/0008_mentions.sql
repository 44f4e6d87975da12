-- Who is meant by which message, as its text is now: a row for each user that a message names, however
-- many members there are. Filled in from now on: what was archived before names nobody.
CREATE TABLE mentions (
    user_id TEXT NOT NULL,
    conversation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (user_id, conversation, seq)
);
CREATE INDEX mentions_by_message ON mentions (conversation, seq);
