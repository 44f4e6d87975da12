//! Client SDK: connect, send, receive once and in order, resume.
