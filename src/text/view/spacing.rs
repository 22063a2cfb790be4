//! Words written letter by letter ("v e r m i n", "v.e.r.m.i.n"), joined where that spells a word.

use std::ops::Range;

use super::{
    Mapped,
    disguise::{is_substitute, letters_of},
    reading::Standard,
};
use crate::text::Tokenizer;

/// Shorter ones ("U.S.A.", "a b c") are not words in disguise.
const FEWEST: usize = 4;
/// Longer rows of letters are taken in stretches of this many.
const MOST: usize = 48;
/// Longer words are not looked for.
const LONGEST_WORD: usize = 16;
/// The words of two letters that may stand in such a row; vocabularies hold every pair.
const SHORT_WORDS: [&str; 22] = [
    "am", "an", "as", "at", "be", "by", "do", "go", "he", "if", "in", "is", "it", "me", "my", "no",
    "of", "on", "or", "so", "to", "us",
];

/// Joins letters that stand apart, where together they spell a word or several.
pub(super) fn join(characters: &[Mapped], tokenizer: &Tokenizer) -> Vec<Mapped> {
    let mut joined = Vec::with_capacity(characters.len());
    let mut at = 0;
    while at < characters.len() {
        let row = row_at(characters, at);
        let words = match row.as_slice() {
            row if row.len() >= FEWEST => words(characters, row, tokenizer),
            _ => None,
        };
        let end = row.last().map_or(at + 1, |last| last + 1);
        match words {
            Some((letters, words)) => {
                for word in words {
                    if word.start > 0 {
                        joined.push(Mapped { char: ' ', ..characters[row[word.start - 1] + 1] });
                    }
                    joined.extend(
                        word.map(|index| Mapped { char: letters[index], ..characters[row[index]] }),
                    );
                }
            }
            None => joined.extend_from_slice(&characters[at..end]),
        }
        at = end;
    }
    joined
}

/// Where the letters are that stand one by one from `at` on, with the same between them each time.
fn row_at(characters: &[Mapped], at: usize) -> Vec<usize> {
    let is_letter = |at: usize| {
        let unit = |char: char| {
            char.is_ascii_alphabetic() || is_substitute(char) && !is_separator(char) && char != '!'
        };
        characters.get(at).is_some_and(|mapped| unit(mapped.char))
    };
    let stands_alone = |at: usize| {
        let joins = |mapped: &Mapped| mapped.char.is_alphanumeric() || "@$".contains(mapped.char);
        let before = at.checked_sub(1).and_then(|before| characters.get(before));
        is_letter(at) && !before.is_some_and(joins) && !characters.get(at + 1).is_some_and(joins)
    };
    let mut row = Vec::new();
    if !stands_alone(at) {
        return row;
    }
    row.push(at);
    let mut last = at;
    let mut first_gap: Option<&[Mapped]> = None;
    while row.len() < MOST {
        let rest = &characters[last + 1..];
        let length = rest.iter().take(4).take_while(|mapped| is_separator(mapped.char)).count();
        let gap = &rest[..length];
        let like_first = first_gap.is_none_or(|first| {
            first.iter().map(|mapped| mapped.char).eq(gap.iter().map(|mapped| mapped.char))
        });
        if !(1..=3).contains(&length) || !like_first || !stands_alone(last + 1 + length) {
            break;
        }
        first_gap = Some(gap);
        last += 1 + length;
        row.push(last);
    }
    row
}

fn is_separator(char: char) -> bool {
    matches!(
        char,
        ' ' | '\t'
            | '\u{a0}'
            | '.'
            | ','
            | '-'
            | '_'
            | '*'
            | '/'
            | '|'
            | '~'
            | '+'
            | '\''
            | '\u{b7}'
            | '\u{2022}'
            | '\u{2010}'..='\u{2015}'
    )
}

/// The letters of a row and the words that they spell, as ranges of the row.
fn words(
    characters: &[Mapped],
    row: &[usize],
    tokenizer: &Tokenizer,
) -> Option<(Vec<char>, Vec<Range<usize>>)> {
    let written: Vec<char> = row.iter().map(|&at| characters[at].char).collect();
    let letters = written.iter().filter(|char| char.is_ascii_alphabetic()).count();
    let upper = !written.iter().any(char::is_ascii_lowercase);
    let abbreviation = upper && row.len() <= 5 && characters[row[0] + 1].char == '.';
    let alphabet = written.windows(2).all(|pair| {
        u32::from(pair[0].to_ascii_lowercase()) + 1 == u32::from(pair[1].to_ascii_lowercase())
    });
    let bases = written.iter().all(|char| "ACGTacgt".contains(*char));
    if letters < 3 || letters * 2 < written.len() || abbreviation || alphabet || bases {
        return None;
    }
    // "1" is two letters; a row of both is rare.
    let read = |index: usize| -> Vec<char> {
        let letter = |&char: &char| {
            let letters = letters_of(char);
            let letter = letters.get(index).or(letters.first()).copied().unwrap_or(char);
            if upper { letter.to_ascii_uppercase() } else { letter }
        };
        written.iter().map(letter).collect()
    };
    let words = (0..2).find_map(|index| {
        let letters = read(index);
        let words = segment(&letters, tokenizer)?;
        Some((letters, words))
    });
    // Else one word that the vocabulary lacks; initials and acronyms are capitals.
    let one_word = || {
        let letters = read(0);
        let word: String = letters.iter().collect();
        let small = letters.iter().all(char::is_ascii_lowercase) && letters.len() > FEWEST;
        Standard::Pronounceable.met_by(&word, tokenizer).filter(|_| small)?;
        Some((letters, std::iter::once(0..row.len()).collect()))
    };
    words.or_else(one_word)
}

/// Divides letters into words at the least cost.
fn segment(letters: &[char], tokenizer: &Tokenizer) -> Option<Vec<Range<usize>>> {
    let text: String = letters.iter().map(char::to_ascii_lowercase).collect();
    // For every end: the least cost, and where its last word begins.
    let mut best: Vec<Option<(usize, usize)>> = vec![None; letters.len() + 1];
    best[0] = Some((0, 0));
    for end in 1..=letters.len() {
        let options = (end.saturating_sub(LONGEST_WORD)..end).filter_map(|start| {
            let (before, _) = best[start]?;
            Some((before + cost(&text[start..end], tokenizer)?, start))
        });
        best[end] = options.min();
    }
    let mut words = Vec::new();
    let mut end = letters.len();
    while end > 0 {
        let (_, start) = best[end]?;
        words.push(start..end);
        end = start;
    }
    words.reverse();
    let sound = words.len() == 1
        || letters.len() * 10 >= words.len() * 26 && words.iter().any(|word| word.len() >= 4);
    sound.then_some(words)
}

/// What it costs to read `word` as a word: less is likelier.
fn cost(word: &str, tokenizer: &Tokenizer) -> Option<usize> {
    match word {
        "a" | "i" => Some(0),
        _ if word.len() < 3 => SHORT_WORDS.contains(&word).then_some(12),
        _ => match tokenizer.spells(word)?.pieces {
            1 => Some(10),
            // Letters count, so that "avermin" is "a vermin".
            pieces => Some(12 * pieces + word.len()),
        },
    }
}
