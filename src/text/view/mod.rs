//! The normalized view: the text as a reader takes it in, its obfuscation undone.
//!
//! The view stands beside the raw text, of which windows with what the vocabulary does not know are
//! left out where it knows all of the view. What may be honest (Cyrillic in a Russian sentence, a part
//! number, an abbreviation) stays as it is; what changes, changes because the characters are invisible or
//! stylistic variants of letters, or because the result spells a word of the model's vocabulary, or
//! in leetspeak what can be pronounced, and the original does not.

mod characters;
mod confusables;
mod disguise;
mod emoji;
mod reading;
mod spacing;
mod suspicion;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::{Tokenizer, tokenizer};

/// How often the steps are repeated at most; one step's result may be what another waits for, and
/// three rounds are rare.
const ROUNDS: usize = 6;

/// The normalized view of a text, with the way back to the original's bytes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "shipped")] {
/// let classifier = dignity::Classifier::shipped()?;
/// let view = classifier.normalized_view("They bred r@ts.").ok_or("the text is disguised")?;
/// assert_eq!(view.text(), "They bred rats.");
/// assert_eq!(view.original(10..14), 10..14);
/// assert!(classifier.normalized_view("They bred mice.").is_none());
/// # }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalizedView {
    text: String,
    segments: Vec<Segment>,
}

/// A stretch of the view: a copy of a stretch of the original, or what stands for one as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    view: Range<usize>,
    original: Range<usize>,
    copied: bool,
}

impl NormalizedView {
    /// The view's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of the original that the bytes `range` of the view stand for, on character
    /// boundaries of the original.
    ///
    /// Characters dropped inside the range are inside the result; those at its edges are not. An
    /// empty range, or one outside the view, gives an empty range.
    pub fn original(&self, range: Range<usize>) -> Range<usize> {
        let first = self.segments.partition_point(|segment| segment.view.end <= range.start);
        let after = self.segments.partition_point(|segment| segment.view.start < range.end);
        let covered = self.segments.get(first..after).unwrap_or_default();
        let (Some(first), Some(last)) = (covered.first(), covered.last()) else {
            let at = self.segments.get(first).map(|segment| segment.original.start);
            let at = at.or(self.segments.last().map(|segment| segment.original.end)).unwrap_or(0);
            return at..at;
        };
        let inside =
            |segment: &Segment, at: usize| segment.original.start + at - segment.view.start;
        let start = if first.copied && range.start > first.view.start {
            inside(first, range.start)
        } else {
            first.original.start
        };
        let end = if last.copied && range.end < last.view.end {
            inside(last, range.end)
        } else {
            last.original.end
        };
        start..end
    }

    /// The view of `text`; none where it is the text itself.
    ///
    /// Very long texts are taken in pieces cut before white space: no disguise reaches from one
    /// piece into the next.
    pub(crate) fn of(text: &str, tokenizer: &Tokenizer) -> Option<Self> {
        if !suspicion::is_suspicious(text) {
            return None;
        }
        let mut view = Self { text: String::with_capacity(text.len()), segments: Vec::new() };
        let mut changed = false;
        for piece in tokenizer::pieces(text, tokenizer::PIECE_BYTES) {
            let original = &text[piece.clone()];
            let characters = normalize(original, tokenizer);
            changed |= !original.chars().eq(characters.iter().map(|mapped| mapped.char));
            view.push(original, piece.start, &characters);
        }
        changed.then_some(view)
    }

    /// Appends the view of a piece that begins at byte `offset` of the text.
    fn push(&mut self, piece: &str, offset: usize, characters: &[Mapped]) {
        for mapped in characters {
            let start = self.text.len();
            self.text.push(mapped.char);
            let view = start..self.text.len();
            let original = mapped.start + offset..mapped.end + offset;
            let mut source = piece[mapped.start..mapped.end].chars();
            let copied = source.next() == Some(mapped.char) && source.next().is_none();
            match self.segments.last_mut() {
                Some(last) if copied && last.copied && last.original.end == original.start => {
                    last.view.end = view.end;
                    last.original.end = original.end;
                }
                Some(last) if !copied && !last.copied && last.original == original => {
                    last.view.end = view.end;
                }
                _ => self.segments.push(Segment { view, original, copied }),
            }
        }
    }
}

/// A character of the view and the bytes of the original that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapped {
    char: char,
    start: usize,
    end: usize,
}

/// The characters of the view of `text`: the steps in turn, until nothing changes.
fn normalize(text: &str, tokenizer: &Tokenizer) -> Vec<Mapped> {
    let mapped =
        |(start, char): (usize, char)| Mapped { char, start, end: start + char.len_utf8() };
    let mut characters: Vec<_> = text.char_indices().map(mapped).collect();
    for _ in 0..ROUNDS {
        let mut next = characters.clone();
        if next.iter().any(|mapped| !mapped.char.is_ascii()) {
            next = emoji::name(&next);
            next = characters::drop_invisible(&next);
            next = characters::unstyle(&next);
            confusables::map(&mut next, tokenizer);
        }
        next = spacing::join(&next, tokenizer);
        next = disguise::undo(&next, tokenizer);
        let settled = next.iter().map(|m| m.char).eq(characters.iter().map(|m| m.char));
        characters = next;
        if settled {
            break;
        }
    }
    characters
}

/// The text of some characters.
fn collect(characters: &[Mapped]) -> String {
    characters.iter().map(|mapped| mapped.char).collect()
}
