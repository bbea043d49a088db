//! gatepost: one daemon that answers every question a mail stack asks about people.
#![cfg_attr(test, allow(clippy::wildcard_enum_match_arm, reason = "a test matches the variant it is about"))]

pub mod account;
pub mod command;
pub mod config;
pub mod control;
pub mod daemon;
pub mod decision;
pub mod directory;
pub mod listener;
pub mod mechanism;
pub mod observe;
pub mod password;
pub mod session;
pub mod username;
