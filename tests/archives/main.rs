//! The command on archives: compressed files, tables, directories, and runs that are killed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by panicking")]
#![cfg(feature = "cli")]

mod files;
mod killed;
mod runs;
#[cfg(feature = "parquet")]
mod tables;
