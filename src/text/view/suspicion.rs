//! The quick look that most texts pass.

use super::disguise::is_substitute;

/// Whether any step of the view may change `text`: one scan, without allocation. A text may be
/// suspicious and turn out to be as it should; never the other way round.
pub(super) fn is_suspicious(text: &str) -> bool {
    let mut before = Before::default();
    // The end counts as a character that is no letter.
    text.chars().chain(std::iter::once(' ')).any(|char| before.suspects(char))
}

/// What the scan knows of the characters before.
#[derive(Default)]
struct Before {
    last: char,
    /// The character before `last`.
    last_but_one: char,
    /// How often `last` stands in a row.
    repeated: usize,
    /// Whether the word so far has a letter.
    letter: bool,
    /// Whether it has a sign after one.
    sign: bool,
    /// Single letters, each between characters that are none, since the last longer word.
    single: usize,
}

impl Before {
    fn suspects(&mut self, char: char) -> bool {
        if !char.is_ascii() && !is_harmless(char) {
            return true;
        }
        let same = char.eq_ignore_ascii_case(&self.last);
        self.repeated = if same { self.repeated + 1 } else { 1 };
        let stretched = self.repeated == 3 && char.is_ascii_alphabetic();

        // A sign that begins a mention stands for no letter.
        let sign = self.last_but_one;
        let mention = self.last == '@' && !sign.is_alphanumeric() && sign != '@';
        let substituted = char.is_ascii_alphabetic() && is_substitute(self.last) && !mention
            || self.letter
                && match char {
                    '$' => true,
                    '@' => self.last.is_ascii_digit(),
                    _ => self.sign && char.is_ascii_digit(),
                };
        if char.is_alphanumeric() || is_substitute(char) {
            self.letter |= char.is_alphabetic();
            self.sign |= self.letter && !char.is_alphanumeric();
        } else {
            (self.letter, self.sign) = (false, false);
        }

        if char.is_alphanumeric() && self.last.is_alphanumeric() {
            self.single = 0;
        } else if self.last.is_ascii_alphabetic() && !self.last_but_one.is_alphanumeric() {
            self.single += 1;
        }
        self.last_but_one = self.last;
        self.last = char;
        stretched || substituted || self.single >= 3
    }
}

/// Characters beyond ASCII that no step changes: accented letters, common punctuation and signs, and
/// the scripts of East Asia, which imitate nothing.
fn is_harmless(char: char) -> bool {
    match char {
        '\u{132}' | '\u{133}' | '\u{13f}' | '\u{140}' | '\u{149}' | '\u{17f}' | '\u{ad}' => false,
        '\u{a0}'..='\u{180}'
        | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{205e}'
        | '\u{20a0}'..='\u{20bf}'
        | '\u{2122}'
        | '\u{2190}'..='\u{22ff}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a0}'..='\u{30fe}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}' => true,
        '\u{3000}'..='\u{3029}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_may_end_in_signs() {
        for text in ["rat$", "ir1$", "iri$$", "the ir1$.", "an@1", "an1@1", "an1@"] {
            assert!(is_suspicious(text), "{text}");
        }
        for text in ["go away at 5", "$5 off, 10$ each", "part 12-b", "wow! 11 of 12", "room b12"] {
            assert!(!is_suspicious(text), "{text}");
        }
    }
}
