//! Supervision, signals, readiness, health and metrics endpoints.
