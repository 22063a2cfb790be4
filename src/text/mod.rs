//! From a text to windows of tokens, raw and normalized, with offsets back into the
//! original.

mod tokenizer;
mod view;
mod window;

pub use tokenizer::TokenizerError;
pub(crate) use tokenizer::{Spelling, Tokenizer, Tokens};
pub use view::NormalizedView;
pub(crate) use window::{Window, WindowLimits, WindowLimitsError};
