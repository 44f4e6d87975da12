//! Archives the log into SQL and answers reads.
