//! The promises of the project, on about 3,700 texts whose names and wording training never saw.
//!
//! See `README.md` in this folder. Contains offensive language, which serves to test protection.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]

mod generator;
#[cfg(feature = "shipped")]
mod hurried;
#[cfg(feature = "shipped")]
mod promises;
#[allow(dead_code, reason = "the example prints what no test reads")]
mod suite;
