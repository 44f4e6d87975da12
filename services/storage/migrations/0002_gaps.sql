-- Numbers that a restore has left out, so that none is ever given twice. A device whose position
-- lies between after_seq and the number before next_seq has it from entries that are lost.
-- A row is written before the log jumps; it counts once the partition's checkpoint has reached
-- the number before next_seq.
CREATE TABLE gaps (
    part BIGINT NOT NULL,
    after_seq BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    PRIMARY KEY (part, next_seq)
);
