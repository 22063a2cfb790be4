//! Overlapping windows over the tokens of a text that is longer than the model reads at once.

use std::ops::Range;

use super::Tokens;

/// How long a window may be, in tokens of content (special tokens not counted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowLimits {
    content: usize,
    overlap: usize,
}

/// A window would not advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window of {content} tokens of content cannot overlap the next by {overlap}")]
pub struct WindowLimitsError {
    content: usize,
    overlap: usize,
}

impl WindowLimits {
    /// Windows of at most `content` tokens, of which neighbours share at least `overlap`.
    pub(crate) fn new(content: usize, overlap: usize) -> Result<Self, WindowLimitsError> {
        if overlap < content {
            Ok(Self { content, overlap })
        } else {
            Err(WindowLimitsError { content, overlap })
        }
    }

    /// The windows of a text: none without tokens, one where all tokens fit.
    ///
    /// A longer text gets the least number of full windows that overlap as asked, spread evenly: so
    /// each sees as much context as the model can take, none is a short rest, and whatever is cut
    /// by one window's edge lies inside its neighbour if it is no longer than the overlap.
    pub(crate) fn windows<'t>(&self, tokens: &'t Tokens) -> impl Iterator<Item = Window> + 't {
        let Self { content, overlap } = *self;
        let length = tokens.ids.len();
        let count = match length {
            0 => 0,
            _ if length <= content => 1,
            _ => (length - overlap).div_ceil(content - overlap),
        };
        (0..count).map(move |index| {
            let start = match count {
                1 => 0,
                _ => index * (length - content) / (count - 1),
            };
            let end = length.min(start + content);
            Window { tokens: start..end, bytes: tokens.offsets[start].0..tokens.offsets[end - 1].1 }
        })
    }
}

/// A stretch of a text that the model reads at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Which of the text's tokens.
    pub(crate) tokens: Range<usize>,
    /// Which bytes of the original text.
    pub(crate) bytes: Range<usize>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(count: usize) -> Tokens {
        Tokens { ids: vec![5; count], offsets: (0..count).map(|i| (3 * i, 3 * i + 2)).collect() }
    }

    fn ranges(limits: WindowLimits, count: usize) -> Vec<(usize, usize)> {
        let tokens = tokens(count);
        limits.windows(&tokens).map(|window| (window.tokens.start, window.tokens.end)).collect()
    }

    #[test]
    fn edges() {
        let limits = WindowLimits::new(10, 4).unwrap();
        assert!(ranges(limits, 0).is_empty());
        assert_eq!(ranges(limits, 1), [(0, 1)]);
        assert_eq!(ranges(limits, 10), [(0, 10)]);
        assert_eq!(ranges(limits, 11), [(0, 10), (1, 11)]);
        assert_eq!(ranges(limits, 16), [(0, 10), (6, 16)]);
        assert_eq!(ranges(limits, 17), [(0, 10), (3, 13), (7, 17)]);
        assert!(WindowLimits::new(4, 4).is_err());
        assert!(WindowLimits::new(0, 0).is_err());
    }

    #[test]
    fn bytes_are_those_of_the_first_and_last_token() {
        let limits = WindowLimits::new(4, 1).unwrap();
        let bytes: Vec<_> = limits.windows(&tokens(7)).map(|window| window.bytes).collect();
        assert_eq!(bytes, [0..11, 9..20]);
    }

    proptest! {
        #[test]
        fn windows_cover_every_token_and_overlap_as_asked(
            content in 1_usize..40, overlap in 0_usize..40, count in 0_usize..500,
        ) {
            prop_assume!(overlap < content);
            let all = ranges(WindowLimits::new(content, overlap).unwrap(), count);
            prop_assert_eq!(all.first().map_or(0, |w| w.0), 0);
            prop_assert_eq!(all.last().map_or(0, |w| w.1), count);
            for window in &all {
                prop_assert_eq!(window.1 - window.0, content.min(count));
            }
            for pair in all.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0);
                prop_assert!(pair[0].1 >= pair[1].0 + overlap);
            }
        }
    }
}
