//! Throwaway NATS and PostgreSQL servers for tests.
