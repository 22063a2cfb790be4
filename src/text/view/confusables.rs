//! Letters of other scripts, and phonetic ones, that imitate Latin letters.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};
use unicode_security::confusable_detection::skeleton;

use super::{Mapped, collect};
use crate::text::Tokenizer;

/// Maps letters to the Latin ones that they look like (Unicode TR39), in words that mix scripts and
/// in words of an otherwise Latin text that imitate a Latin word as a whole.
///
/// Plain and accented Latin letters stay, and so does every word with a letter that looks like no
/// Latin one: honest Russian or Greek words in an English sentence are of that kind, or spell
/// nothing.
pub(super) fn map(characters: &mut [Mapped], tokenizer: &Tokenizer) {
    let odd = |mapped: &&Mapped| is_odd(mapped.char);
    if !characters.iter().any(|mapped| odd(&mapped)) {
        return;
    }
    let letters = characters.iter().filter(|mapped| mapped.char.is_alphabetic());
    let all = letters.clone().count();
    let latin = letters.filter(|mapped| mapped.char.script() == Script::Latin).count();
    let latin_text = latin > all - latin;
    for word in words(characters) {
        let original = &mut characters[word];
        if let Some(plain) = imitated(original, latin_text, tokenizer) {
            for (mapped, char) in original.iter_mut().zip(plain) {
                mapped.char = char;
            }
        }
    }
}

/// Maximal runs of letters and marks.
fn words(characters: &[Mapped]) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    for (at, mapped) in characters.iter().enumerate() {
        if mapped.char.is_alphabetic() || is_combining_mark(mapped.char) {
            match words.last_mut() {
                Some(word) if word.end == at => word.end = at + 1,
                _ => words.push(at..at + 1),
            }
        }
    }
    words
}

/// The letters of the Latin word that `word` imitates.
fn imitated(word: &[Mapped], latin_text: bool, tokenizer: &Tokenizer) -> Option<Vec<char>> {
    let odd = || word.iter().map(|mapped| mapped.char).filter(|&char| is_odd(char));
    odd().next()?;
    let mixed = odd().count() < word.len();
    let foreign = odd().any(|char| char.script() != Script::Latin);
    let plain: Vec<char> = word
        .iter()
        .map(|mapped| match is_odd(mapped.char) {
            true => latin_letter(mapped.char, mixed || !foreign),
            false => Some(mapped.char),
        })
        .collect::<Option<_>>()?;
    let spelled: String = plain.iter().collect();
    let spells = tokenizer.spells(&spelled).is_some();
    let accepted = match (foreign, mixed) {
        // Greek letters are variables and units in Latin words.
        (true, true) if odd().all(|char| char.script() != Script::Greek) => {
            spells && plain.len() >= 3 || latin_text && plain.len() >= 4
        }
        (true, true) => spells && plain.len() >= 4,
        (true, false) => latin_text && spells && plain.len() >= 4,
        (false, _) => spells && (plain.len() >= 3 || !mixed),
    };
    (accepted && spelled != collect(word)).then_some(plain)
}

/// Whether a letter is neither plain nor ordinary accented Latin.
fn is_odd(char: char) -> bool {
    char.is_alphabetic()
        && !matches!(char, 'a'..='z' | 'A'..='Z' | '\u{aa}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

/// The ASCII letter that `char` looks like; small capitals among them only where they are `loose`
/// (Cyrillic has many, and honest words of nothing else).
fn latin_letter(char: char, loose: bool) -> Option<char> {
    let mut buffer = [0; 4];
    let mut prototype = skeleton(char.encode_utf8(&mut buffer));
    let (first, second) = (prototype.next()?, prototype.next());
    match (first, second) {
        ('r', Some('n')) if prototype.next().is_none() => Some('m'),
        (_, Some(_)) => None,
        // The prototype of everything that is one stroke.
        ('l', None) if char.is_uppercase() => Some('I'),
        (letter, None) if letter.is_ascii_alphabetic() => Some(letter),
        (letter, None) if loose => small_capital(letter),
        _ => None,
    }
}

/// TR39 keeps small capitals apart from the letters that they are read as.
fn small_capital(char: char) -> Option<char> {
    Some(match char {
        'ᴀ' => 'a',
        'ʙ' => 'b',
        'ᴅ' => 'd',
        'ᴇ' => 'e',
        'ꜰ' => 'f',
        'ɢ' => 'g',
        'ʜ' => 'h',
        'ᴊ' => 'j',
        'ĸ' | 'ᴋ' => 'k',
        'ʟ' => 'l',
        'ᴍ' | 'ʍ' => 'm',
        'ɴ' => 'n',
        'ᴘ' => 'p',
        'ʀ' => 'r',
        'ᴛ' => 't',
        _ => return None,
    })
}
