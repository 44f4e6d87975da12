//! WebSocket gateway: sessions, resume, sends.
