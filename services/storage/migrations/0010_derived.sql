-- What follows from entries and marks, kept so that nobody counts or walks to find it out. The release
-- before writes none of it: what it has archived, before or beside, is found out as before, and these
-- columns tell how far that is. Nothing has to be filled in at once.

-- Entries after derived_after, up to derived_upto, were archived with what follows from them. Where
-- derived_upto is not the checkpoint, the release before has archived since.
ALTER TABLE checkpoints ADD COLUMN derived_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE checkpoints ADD COLUMN derived_upto BIGINT NOT NULL DEFAULT 0;

-- How often each emoji stands on a message, and the entry that brought it first. A message without a
-- row has no reactions, or nobody has reacted to it since the release before.
CREATE TABLE reaction_counts (
    conversation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    emoji TEXT NOT NULL,
    count BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, seq, emoji)
);

-- Entries that hold a text of a message besides itself: edits, and repeats that only the archive
-- recognised. They are erased with it.
CREATE TABLE erasables (
    conversation TEXT NOT NULL,
    target BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, target, seq)
);

-- Long runs of entries that history leaves out, both ends included: it steps over them. Short ones
-- have no row.
CREATE TABLE change_runs (
    conversation TEXT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, first_seq)
);
-- The run that the newest entry belongs to, when it is run_last.
ALTER TABLE conversations ADD COLUMN run_first BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN run_last BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN run_entries BIGINT NOT NULL DEFAULT 0;

-- The last message of each user in each conversation.
CREATE TABLE last_said (
    conversation TEXT NOT NULL,
    user_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (conversation, user_id)
);

-- A mark's newest change, where others are not shown it, and the version that it had for them before.
-- Where hidden_version is not the mark's version, others are shown the newest one.
ALTER TABLE marks ADD COLUMN hidden_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE marks ADD COLUMN shown_version BIGINT NOT NULL DEFAULT 0;
