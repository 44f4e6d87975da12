-- How far others are told that a member has come while the member blocks the other one of a direct conversation: as
-- far as before the block. It holds where held_version is the mark's version; the release before moves that alone, and
-- then all is told.
ALTER TABLE marks ADD COLUMN held_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE marks ADD COLUMN held_delivered BIGINT NOT NULL DEFAULT 0;
ALTER TABLE marks ADD COLUMN held_read BIGINT NOT NULL DEFAULT 0;
