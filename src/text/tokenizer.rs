//! Text to tokens.

use std::ops::Range;

use tokenizers::Model as _;

/// Texts longer than this are tokenized in pieces, so that the tokenizer's own working memory (some
/// hundred bytes a token) stays bounded whatever the length of a text.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// The tokens of one text, without the special tokens that frame a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Vocabulary ids.
    pub(crate) ids: Vec<u32>,
    /// For each token, the bytes of the original text that it stands for.
    pub(crate) offsets: Vec<(usize, usize)>,
}

/// A tokenizer as its `tokenizer.json` describes it, less truncation and padding, which are the
/// business of windows and batches.
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    /// What vocabulary entries that begin a word begin with: nothing for WordPiece, "Ġ" for
    /// byte-level BPE, "▁" for SentencePiece.
    word_start: String,
    /// The id that stands for what the vocabulary cannot spell, if any does.
    unknown: Option<u32>,
}

/// How the vocabulary spells a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spelling {
    /// Of how many vocabulary entries.
    pub(crate) pieces: usize,
    /// The product of the entries' numbers, from one; vocabularies list common ones first.
    pub(crate) rank: u64,
    /// How many letters the first entry has.
    first: usize,
}

impl Spelling {
    /// Whether `word`, which is spelled so, may be one.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        let most = match word.len() {
            ..5 => 1,
            // Any five letters are two pieces, words are an ending and what it ends.
            5 if self.first < 4 => 1,
            5..8 => 2,
            8..11 => 3,
            _ => 4,
        };
        self.pieces <= most
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub(crate) fn from_bytes(json: &[u8]) -> Result<Self, TokenizerError> {
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(TokenizerError::Load)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(TokenizerError::Load)?;
        // Whoever writes "[SEP]" in a post must not get the separator's meaning.
        inner.set_encode_special_tokens(true);
        let framed = inner.encode("a", true).map_err(TokenizerError::Load)?;
        let special = framed.get_special_tokens_mask();
        let leading = special.iter().take_while(|&&mask| mask == 1).count();
        let trailing = special.iter().rev().take_while(|&&mask| mask == 1).count();
        let ids = framed.get_ids();
        if leading + trailing >= ids.len() {
            return Err(TokenizerError::NoLetters);
        }
        let (prefix, suffix) = (ids[..leading].to_vec(), ids[ids.len() - trailing..].to_vec());
        let words = inner.encode("a a", false).map_err(TokenizerError::Load)?;
        let word = words.get_tokens().last().and_then(|token| token.strip_suffix('a'));
        let word_start = word.unwrap_or_default().to_owned();
        // Of no vocabulary is what Unicode keeps for private use.
        let private = inner.get_model().tokenize("\u{10fffd}").unwrap_or_default();
        let unknown = (private.len() == 1).then(|| private[0].id);
        Ok(Self { inner, prefix, suffix, word_start, unknown })
    }

    /// The number of ids, special tokens included.
    pub(crate) fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// How many special tokens frame a window.
    pub(crate) fn special_tokens(&self) -> usize {
        self.prefix.len() + self.suffix.len()
    }

    /// The ids that the model reads for the given tokens: special tokens around `content`.
    pub(crate) fn frame<'a>(&'a self, content: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        self.prefix.iter().chain(content).chain(&self.suffix).copied()
    }

    /// How the vocabulary spells `word`, which is of letters alone: as one entry, or as the more
    /// entries the longer it is. None if it takes more: it is no word.
    ///
    /// Case is ignored.
    pub(crate) fn spells(&self, word: &str) -> Option<Spelling> {
        self.spelling(word).filter(|spelling| spelling.is_word(word))
    }

    /// The entry of the vocabulary that `word` is as a whole. Case is ignored.
    pub(crate) fn entry(&self, word: &str) -> Option<Spelling> {
        let id = self.inner.token_to_id(&self.as_entry(word))?;
        Some(Spelling { pieces: 1, rank: u64::from(id) + 1, first: word.len() })
    }

    /// Of which entries the vocabulary makes up `word`, which is of letters alone, be it a word or
    /// not. None if it cannot, or of more than four.
    ///
    /// Case is ignored.
    pub(crate) fn spelling(&self, word: &str) -> Option<Spelling> {
        if let Some(entry) = self.entry(word) {
            return Some(entry);
        }
        let tokens = self.inner.get_model().tokenize(&self.as_entry(word)).ok()?;
        // One token that is not the word stands for what the vocabulary cannot spell.
        let spelled = (2..=4).contains(&tokens.len());
        let numbers = tokens.iter().map(|token| u64::from(token.id) + 1);
        spelled.then(|| Spelling {
            pieces: tokens.len(),
            rank: numbers.fold(1, u64::saturating_mul),
            first: tokens[0].value.len().saturating_sub(self.word_start.len()),
        })
    }

    fn as_entry(&self, word: &str) -> String {
        format!("{}{}", self.word_start, word.to_lowercase())
    }

    /// Whether some of the text that `ids` stand for is unknown to the vocabulary.
    pub(crate) fn is_any_unknown(&self, ids: &[u32]) -> bool {
        self.unknown.is_some_and(|unknown| ids.contains(&unknown))
    }

    /// How many tokens `text` is.
    pub(crate) fn pieces(&self, text: &str) -> Option<usize> {
        Some(self.inner.encode(text, false).ok()?.len())
    }

    /// Tokenizes a whole text, of any length.
    pub(crate) fn tokenize(&self, text: &str) -> Result<Tokens, TokenizerError> {
        self.tokenize_pieces(text, PIECE_BYTES)
    }

    fn tokenize_pieces(&self, text: &str, size: usize) -> Result<Tokens, TokenizerError> {
        let mut tokens = Tokens::default();
        for piece in pieces(text, size) {
            let encoding =
                self.inner.encode(&text[piece.clone()], false).map_err(TokenizerError::Encode)?;
            tokens.ids.extend_from_slice(encoding.get_ids());
            let offsets = encoding.get_offsets().iter();
            tokens.offsets.extend(offsets.map(|&(a, b)| (a + piece.start, b + piece.start)));
        }
        Ok(tokens)
    }
}

/// Cuts `text` before white space into pieces of at least `size` bytes (but for the last).
///
/// Tokenizers split at white space before anything else, so the tokens of the pieces are those of
/// the whole; a text without white space is one piece.
pub(super) fn pieces(text: &str, size: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= text.len() {
            return None;
        }
        let from = text.len().min(text.ceil_char_boundary(start + size));
        let end = text[from..].find(divides_words).map_or(text.len(), |found| from + found);
        let piece = start..end;
        start = end;
        Some(piece)
    })
}

/// White space between words for every tokenizer: BERT's takes the control characters among white
/// space for none and deletes them, which joins what they stand between.
fn divides_words(char: char) -> bool {
    char.is_whitespace() && !matches!(char, '\u{b}' | '\u{c}' | '\u{85}')
}

/// Why a tokenizer could not be read or could not read a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// `tokenizer.json` is not of the form that the `tokenizers` crate reads.
    #[error("tokenizer.json could not be read: {0}")]
    Load(#[source] tokenizers::Error),
    /// The tokenizer turns the letter "a" into special tokens only.
    #[error("tokenizer.json has no token for the letter \"a\"; is it a tokenizer for text?")]
    NoLetters,
    /// A text could not be tokenized.
    #[error("the text could not be tokenized: {0}")]
    Encode(#[source] tokenizers::Error),
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static TINY: LazyLock<Tokenizer> = LazyLock::new(|| {
        Tokenizer::from_bytes(include_bytes!("../../tests/fixtures/tiny-bert/tokenizer.json"))
            .unwrap()
    });

    #[test]
    fn pieces_cover_the_text_and_cut_at_white_space_only() {
        let text = "ab cd\u{3000}éé f  ";
        for size in 1..=text.len() + 1 {
            let all: Vec<_> = pieces(text, size).collect();
            let joined: String = all.iter().map(|piece| &text[piece.clone()]).collect();
            assert_eq!(joined, text);
            for piece in &all[1..] {
                assert!(text[piece.start..].starts_with(char::is_whitespace));
            }
        }
        assert_eq!(pieces("", 4).count(), 0);
        assert!(pieces("longwordwithoutspace", 4).eq(std::iter::once(0..20)));
    }

    #[test]
    fn a_text_of_many_pieces_has_the_tokens_of_the_whole() {
        let tokenizer = &*TINY;
        let text = "Ünder the bridge, 42 caf\u{e9}s \u{2014} go! ".repeat(4_000);
        assert!(text.len() > 2 * PIECE_BYTES);
        let whole = tokenizer.inner.encode(text.as_str(), false).unwrap();
        let tokens = tokenizer.tokenize(&text).unwrap();
        assert_eq!(tokens.ids, whole.get_ids());
        assert_eq!(tokens.offsets, whole.get_offsets());
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_have_the_tokens_of_the_whole(
            text in prop_oneof![
                ".{0,40}",
                "[a-eA-E\u{e9}\u{301}\u{4e2d}! \t\n\u{b}\u{c}\u{85}\u{a0}\u{200b}\u{2028}]{0,40}",
            ],
            size in 1_usize..40,
        ) {
            let tokenizer = &*TINY;
            let whole = tokenizer.inner.encode(text.as_str(), false).unwrap();
            let tokens = tokenizer.tokenize_pieces(&text, size).unwrap();
            prop_assert_eq!(tokens.ids, whole.get_ids());
            prop_assert_eq!(tokens.offsets, whole.get_offsets());
        }
    }

    #[test]
    fn special_tokens_frame_a_window_and_cannot_be_written() {
        let tokenizer = &*TINY;
        assert_eq!(tokenizer.special_tokens(), 2);
        let framed: Vec<_> = tokenizer.frame(&[7]).collect();
        assert_eq!(framed.len(), 3);
        assert_eq!(framed[1], 7);
        let written = tokenizer.tokenize("a [SEP] b [CLS]").unwrap();
        assert!(!written.ids.contains(&framed[0]) && !written.ids.contains(&framed[2]));
    }

    #[test]
    fn rubbish_is_refused() {
        assert!(matches!(Tokenizer::from_bytes(b"{}"), Err(TokenizerError::Load(_))));
    }
}
