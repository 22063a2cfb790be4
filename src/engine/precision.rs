//! The number format of a forward pass.

use std::{fmt, str::FromStr};

/// The number format that products are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// Weights in seven or, where they fit, eight bits, activations in eight, sums exact: the fastest on a
    /// CPU without tiles. Scores are near those of [`Precision::F32`], not equal to them.
    Int8,
    /// Weights in eight bits, activations in sixteen, sums exact: slower, but the fastest on a CPU with tiles (AMX).
    /// Scores are those of [`Precision::F32`] to the third decimal, or nearly.
    W8A16,
    /// The upper half of single precision: its range, fewer digits.
    Bf16,
    /// Half precision: more digits, a smaller range.
    F16,
    /// Single precision.
    F32,
}

impl Precision {
    /// All precisions, by size.
    pub const ALL: [Self; 5] = [Self::Int8, Self::W8A16, Self::Bf16, Self::F16, Self::F32];

    /// The name, as it is written in options and headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::W8A16 => "w8a16",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no precision; write int8, w8a16, bf16, f16 or f32")]
pub struct ParsePrecisionError(String);

impl FromStr for Precision {
    type Err = ParsePrecisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |precision: &Self| precision.name() == text;
        Self::ALL.into_iter().find(named).ok_or_else(|| ParsePrecisionError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_print() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        assert!("fp32".parse::<Precision>().is_err());
    }
}
