//! Subjects, streams and typed messaging over NATS: the only user of async-nats.
