-- Messages that disappear: for how long those of a conversation stay, and which ones go when.

CREATE TABLE timers (
    conversation TEXT NOT NULL PRIMARY KEY,
    seconds BIGINT NOT NULL
);

CREATE TABLE expirations (
    conversation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    part BIGINT NOT NULL,
    due BIGINT NOT NULL,
    PRIMARY KEY (conversation, seq)
);
CREATE INDEX expirations_by_due ON expirations (due);
