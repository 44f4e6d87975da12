-- How groups are set up, who is barred from them, and the ways in.

-- JSON of `natter_protocol::GroupSettings`.
ALTER TABLE conversations ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

CREATE TABLE bans (
    conversation TEXT NOT NULL,
    user_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, user_id)
);

-- Each invite as the newest entry about it has left it; seq is that entry's number. Neither an
-- end nor a bound is 0.
CREATE TABLE invites (
    conversation TEXT NOT NULL,
    invite TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    uses_max BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    revoked BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, invite)
);
