<<<<<<< .merge_file_hCiKP8
//! gatepost: one daemon that answers every question a mail stack asks about people.
#![cfg_attr(test, allow(clippy::wildcard_enum_match_arm, reason = "a test matches the variant it is about"))]

pub mod account;
pub mod username;
=======
//! x

pub mod config;
>>>>>>> .merge_file_yEuur3
