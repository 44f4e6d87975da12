//! Logging and OpenTelemetry set-up.
