//! The binary, as people and scripts run it: real processes, a real nats-server.
#![allow(clippy::unwrap_used)]

mod audit;
mod away;
mod canary;
mod chat;
mod chat_commands;
mod chat_screen;
mod command_line;
mod doctor;
mod durability;
mod first_visit;
mod leaf;
mod nats;
mod process;
mod ready;
mod reload;
mod secrets;
mod serve;
mod strangers;
