//! From a text to windows of tokens, each with offsets back into the original.

mod tokenizer;
mod window;

pub use tokenizer::TokenizerError;
pub(crate) use tokenizer::{Tokenizer, Tokens};
pub(crate) use window::{Window, WindowLimits, WindowLimitsError};
