//! End-to-end suite, chaos and bench with real processes.
