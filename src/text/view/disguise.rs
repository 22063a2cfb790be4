//! Words in leetspeak ("v3rm1n") or stretched ("verrrmin"), decoded where that spells a word.

use std::ops::Range;

use super::{
    Mapped, collect,
    reading::{Standard, read, shortened},
};
use crate::text::Tokenizer;

/// Part numbers, hashes and encoded data are long; disguised words, stretching aside, are not.
const LONGEST: usize = 24;

/// The letters that a digit or sign may stand for.
pub(super) fn letters_of(substitute: char) -> &'static [char] {
    match substitute {
        '0' => &['o'],
        '1' | '|' => &['i', 'l'],
        '3' => &['e'],
        '4' | '@' => &['a'],
        '5' | '$' => &['s'],
        '6' | '9' => &['g'],
        '7' | '+' => &['t'],
        '8' => &['b'],
        '!' => &['i', 'l'],
        _ => &[],
    }
}

/// Whether a digit or sign may stand for a letter.
pub(super) fn is_substitute(char: char) -> bool {
    !letters_of(char).is_empty()
}

/// Decodes the words that are in disguise. Addresses, mentions and names of files stay.
pub(super) fn undo(characters: &[Mapped], tokenizer: &Tokenizer) -> Vec<Mapped> {
    let mut undone = Vec::with_capacity(characters.len());
    for chunk in characters.split_inclusive(|mapped| mapped.char.is_whitespace()) {
        if is_address(chunk) {
            undone.extend_from_slice(chunk);
            continue;
        }
        for part in chunk.chunk_by(|a, b| is_of_part(a.char) == is_of_part(b.char)) {
            match disguised(part, tokenizer) {
                Some((range, word)) => {
                    undone.extend_from_slice(&part[..range.start]);
                    undone.extend(word);
                    undone.extend_from_slice(&part[range.end..]);
                }
                None => undone.extend_from_slice(part),
            }
        }
    }
    undone
}

/// Whether text between white space is a mention, a URL, a path, or a name of a machine's making.
fn is_address(chunk: &[Mapped]) -> bool {
    let first = chunk.iter().find(|mapped| mapped.char.is_alphanumeric() || mapped.char == '@');
    let dotted = |three: &[Mapped]| {
        let [before, dot, after] = three else { return false };
        matches!(dot.char, '.' | ':')
            && before.char.is_alphanumeric()
            && after.char.is_alphanumeric()
    };
    let scheme = |three: &[Mapped]| three.iter().map(|mapped| mapped.char).eq("://".chars());
    let technical = |mapped: &Mapped| {
        matches!(mapped.char, '_' | '=' | '&' | '%' | '~' | '\\' | '<' | '>' | '{' | '}' | '^')
    };
    let mention = || {
        let start = chunk.iter().position(|mapped| mapped.char == '@').unwrap_or(0) + 1;
        let name = chunk[start..].iter().take_while(|mapped| mapped.char.is_alphanumeric()).count();
        !chunk.get(start + name).is_some_and(|mapped| "@$".contains(mapped.char))
    };
    // A UUID; other hashes are single words.
    let alphanumeric = || chunk.iter().filter(|mapped| mapped.char.is_ascii_alphanumeric());
    let hexadecimal = alphanumeric().count() >= 16
        && alphanumeric().all(|mapped| mapped.char.is_ascii_hexdigit());
    hexadecimal
        || first.is_some_and(|mapped| mapped.char == '@') && mention()
        || chunk.windows(3).any(|three| dotted(three) || scheme(three))
        || chunk.iter().any(technical)
}

/// Letters of every script, so that a word is not cut where its letters stop being ASCII.
fn is_of_part(char: char) -> bool {
    char.is_alphanumeric() || is_substitute(char)
}

/// Where in `part` a word in disguise is, and the word.
///
/// Signs at its ends are punctuation ("rats!", "+rats", "C++"), unless they complete a word
/// ("!mportant").
fn disguised(part: &[Mapped], tokenizer: &Tokenizer) -> Option<(Range<usize>, Vec<Mapped>)> {
    let is_of_word = |mapped: &Mapped| mapped.char.is_alphanumeric() || mapped.char == '$';
    let start = part.iter().position(is_of_word)?;
    let end = part.iter().rposition(is_of_word)? + 1;
    let core = &part[start..end];
    let ordinary = core.iter().all(is_letter);
    let first = start.checked_sub(1).filter(|&before| match part[before].char {
        '!' => true,
        '@' => !ordinary,
        _ => false,
    });
    let last = part.get(end).filter(|after| after.char == '@' && !ordinary).map(|_| end + 1);
    if (first.is_some() || last.is_some()) && !is_entry(core, tokenizer) {
        let whole = first.unwrap_or(start)..last.unwrap_or(end);
        let word = &part[whole.clone()];
        let decoded =
            standard(word, tokenizer).and_then(|_| read(word, Standard::Entry, tokenizer));
        if let Some(decoded) = decoded {
            return Some((whole, decoded));
        }
    }
    let decoded = read(core, standard(core, tokenizer)?, tokenizer)?;
    Some((start..end, decoded))
}

fn is_letter(mapped: &Mapped) -> bool {
    mapped.char.is_ascii_alphabetic()
}

/// Whether letters are an entry of the vocabulary as a whole.
fn is_entry(word: &[Mapped], tokenizer: &Tokenizer) -> bool {
    tokenizer.entry(&collect(word)).is_some()
}

/// What `word` must spell to be one in disguise; none where it is not: an ordinary word, or a price,
/// an ordinal, a hash or a numeronym.
fn standard(word: &[Mapped], tokenizer: &Tokenizer) -> Option<Standard> {
    let repeated = |two: &[Mapped]| two[0].char == two[1].char && "!|+".contains(two[0].char);
    let short = shortened(word);
    if short.len() > LONGEST || word.windows(2).any(repeated) || is_entry(word, tokenizer) {
        None
    } else if word.iter().all(is_letter) {
        let stretched = short.len() < word.len() && is_stretched_word(word);
        stretched.then_some(Standard::Stretched)
    } else {
        leetspeak(&short, tokenizer)
    }
}

/// Whether letters in a row may be a word drawn out, not "www", "AAA" or a Roman number.
fn is_stretched_word(word: &[Mapped]) -> bool {
    let one_letter = word.iter().all(|mapped| mapped.char.eq_ignore_ascii_case(&word[0].char));
    let roman = word.iter().all(|mapped| "IVXLCDM".contains(mapped.char));
    !one_letter && !roman
}

/// What letters with digits and signs among them must spell, by how much they look like leetspeak.
fn leetspeak(word: &[Mapped], tokenizer: &Tokenizer) -> Option<Standard> {
    let is_digit = |mapped: &Mapped| mapped.char.is_ascii_digit();
    let letters = word.iter().filter(|mapped| is_letter(mapped)).count();
    let readable = word.iter().all(|mapped| is_letter(mapped) || is_substitute(mapped.char));
    if !readable || word.len() < 4 || letters == 0 {
        return None;
    }
    let stem = word.len() - word.iter().rev().take_while(|mapped| is_digit(mapped)).count();
    let numbered = word[..stem].iter().all(is_letter);
    let numeronym = match word {
        // i18n, l10n, a11y; "g00d" and "f33d" are the exceptions in use.
        [first, a, b, last]
            if is_letter(first) && is_letter(last) && is_digit(a) && is_digit(b) =>
        {
            a.char != b.char || !matches!(a.char, '0' | '3')
        }
        _ => false,
    };
    let hash = word.len() >= 7
        && word.iter().all(|mapped| mapped.char.is_ascii_hexdigit())
        && word.iter().filter(|mapped| is_digit(mapped)).count() >= 2;
    let literal = match word {
        [zero, base, digit, ..] if zero.char == '0' => {
            base.char == 'x' || base.char == 'b' && is_digit(digit) && "01".contains(digit.char)
        }
        _ => false,
    };
    let symbol = matches!(word, [first, rest @ ..] if first.char == '$'
        && rest.len() <= 5 && rest.iter().all(|mapped| mapped.char.is_ascii_uppercase()));
    if numbered || numeronym || hash || literal || symbol || is_compound(word, tokenizer) {
        return None;
    }
    let quantity = word.iter().take_while(|mapped| is_digit(mapped)).count() >= 2;
    let joined = word.iter().any(|mapped| "+|".contains(mapped.char));
    // "armv7a"
    let is_version = |two: &[Mapped]| two[0].char.eq_ignore_ascii_case(&'v') && is_digit(&two[1]);
    let substituted = word.iter().filter(|mapped| is_substitute(mapped.char)).count();
    let versioned = substituted == 1 && word.windows(2).any(is_version);
    // "N1MaxP4", "UInt16Array", "AT91SAM"
    let lower = word.iter().any(|mapped| mapped.char.is_ascii_lowercase());
    let upper = word.iter().skip(1).any(|mapped| mapped.char.is_ascii_uppercase());
    let of_digits = word.iter().all(|mapped| mapped.char.is_ascii_alphanumeric());
    let capital = upper && (lower || of_digits);
    // "h1n1"
    let alternating = word.last().is_some_and(is_digit)
        && !word.windows(2).any(|two| is_letter(&two[0]) && is_letter(&two[1]));
    let number = |same: &[Mapped]| is_digit(&same[0]) && same.len() > 2;
    let numbers = word.chunk_by(|a, b| is_digit(a) == is_digit(b)).any(number);
    Some(if quantity || joined || versioned || letters * 2 + 1 < word.len() {
        Standard::Entry
    } else if capital || alternating || numbers {
        Standard::Word
    } else {
        Standard::Pronounceable
    })
}

/// Whether a single digit or sign stands between two words: "peer4peer", "cats@home", "wow!nice".
fn is_compound(word: &[Mapped], tokenizer: &Tokenizer) -> bool {
    let mut parts = word.split(|mapped| is_substitute(mapped.char));
    let is_word = |part: &[Mapped]| part.len() >= 3 && is_entry(part, tokenizer);
    let (first, second) = (parts.next(), parts.next());
    parts.next().is_none() && first.is_some_and(is_word) && second.is_some_and(is_word)
}
