//! Numbers that begin with a cache line.

use std::ops::{Deref, DerefMut};

/// Bytes in a cache line.
const LINE: usize = 64;

/// Numbers in a cache line.
const NUMBERS: usize = LINE / size_of::<f32>();

/// A buffer of numbers, the first of which is the first of a cache line: vectors of 64 bytes that lie in two lines are
/// loaded and stored half as fast.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    numbers: Vec<f32>,
    /// Where they begin.
    first: usize,
    len: usize,
}

impl Lines {
    /// Makes room for so many numbers, whatever they are.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.numbers.len() < len + NUMBERS {
            self.numbers.resize(len + NUMBERS, 0.0);
            self.first = self.numbers.as_ptr().align_offset(LINE).min(NUMBERS);
        }
        self.len = len;
    }
}

impl Deref for Lines {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers[self.first..][..self.len]
    }
}

impl DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers[self.first..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_begin_with_a_line_whatever_their_number() {
        let mut lines = Lines::default();
        assert!(lines.is_empty());
        for len in [1, 1_000, 3, 100_000, 0, 17] {
            lines.resize(len);
            assert_eq!((lines.len(), lines.as_ptr().addr() % LINE), (len, 0));
            lines.fill(1.0);
        }
    }
}
