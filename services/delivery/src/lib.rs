//! Reads each partition's log in order and fans events out.
