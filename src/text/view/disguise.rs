//! Words in leetspeak ("v3rm1n") or stretched ("verrrmin"), decoded where that spells a word.

use super::{Mapped, collect};
use crate::text::{Spelling, Tokenizer};

/// Part numbers, hashes and encoded data are long; disguised words, stretching aside, are not.
const LONGEST: usize = 24;
/// How many readings of a word are tried at most.
const READINGS: usize = 64;

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
        '!' => &['i'],
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
            let (before, word, after) = trim(part);
            undone.extend_from_slice(before);
            match decode(word, tokenizer) {
                Some(decoded) => undone.extend(decoded),
                None => undone.extend_from_slice(word),
            }
            undone.extend_from_slice(after);
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
    first.is_some_and(|mapped| mapped.char == '@')
        || chunk.windows(3).any(|three| dotted(three) || scheme(three))
        || chunk.iter().any(technical)
}

/// Letters of every script, so that a word is not cut where its letters stop being ASCII.
fn is_of_part(char: char) -> bool {
    char.is_alphanumeric() || is_substitute(char)
}

/// A word without the signs around it that are punctuation: "rats!", "+rats", "C++".
fn trim(part: &[Mapped]) -> (&[Mapped], &[Mapped], &[Mapped]) {
    let is_of_word = |mapped: &Mapped| mapped.char.is_alphanumeric() || mapped.char == '$';
    let Some(start) = part.iter().position(is_of_word) else { return (part, &[], &[]) };
    let end = part.iter().rposition(is_of_word).map_or(start, |last| last + 1);
    (&part[..start], &part[start..end], &part[end..])
}

/// A character that stands once or several times in a row.
#[derive(Clone, Copy)]
struct Run<'a> {
    same: &'a [Mapped],
}

impl Run<'_> {
    fn char(&self) -> char {
        self.same.first().map_or('\0', |mapped| mapped.char)
    }

    fn is_stretched(&self) -> bool {
        self.same.len() >= 3
    }

    /// What the run may be read as: a letter in place of its own, if any, and how often.
    fn readings(&self) -> impl Iterator<Item = (Option<char>, usize)> {
        let letters = letters_of(self.char());
        let own = letters.is_empty().then_some(None);
        let counts = if self.is_stretched() { 1..3 } else { self.same.len()..self.same.len() + 1 };
        let letters = letters.iter().copied().map(Some).chain(own);
        letters.flat_map(move |letter| counts.clone().map(move |count| (letter, count)))
    }
}

/// The word that `word` disguises; none where it is an ordinary one, or spells nothing.
fn decode(word: &[Mapped], tokenizer: &Tokenizer) -> Option<Vec<Mapped>> {
    let ordinary = word.iter().all(|mapped| mapped.char.is_ascii_alphabetic());
    let runs = || {
        let same = |a: &Mapped, b: &Mapped| a.char.eq_ignore_ascii_case(&b.char);
        word.chunk_by(same).map(|same| Run { same })
    };
    if runs().nth(LONGEST).is_some() {
        return None;
    }
    let stretched = runs().any(|run| run.is_stretched());
    let punctuated = runs().any(|run| "!|+".contains(run.char()) && run.same.len() > 1);
    let readable = ordinary && stretched && is_stretched_word(word)
        || !ordinary && !punctuated && is_leetspeak(&shortened(runs()), tokenizer);
    if !readable {
        return None;
    }
    let raw = collect(word);
    if tokenizer.spells(&raw).is_some_and(|spelling| spelling.pieces == 1) {
        return None;
    }
    // Every combination of the runs' readings, each a list of choices.
    let mut readings: Vec<Vec<(Option<char>, usize)>> = vec![Vec::new()];
    for run in runs() {
        let mut longer = Vec::new();
        for reading in &readings {
            for choice in run.readings() {
                let mut reading = reading.clone();
                reading.push(choice);
                longer.push(reading);
            }
        }
        longer.truncate(READINGS);
        readings = longer;
    }
    let spelled = readings.into_iter().filter_map(|reading| {
        let letters: String = runs()
            .zip(&reading)
            .flat_map(|(run, &(letter, count))| {
                std::iter::repeat_n(letter.unwrap_or(run.char()), count)
            })
            .collect();
        let minimum = if ordinary { 2 } else { 4 };
        let spelling = tokenizer.spells(&letters).filter(|_| letters.len() >= minimum)?;
        // Of "good" and "god" for "goood" the commoner, in doubt the one that keeps more.
        let single = runs().zip(&reading).filter(|(run, (_, n))| run.is_stretched() && *n == 1);
        let shortened = single.count().min(16);
        // Entries that are no word say little by their rank: of theirs the shortest.
        let order = match spelling.pieces {
            1 => u64::from(spelling.rank) << shortened,
            _ => letters.len() as u64,
        };
        Some(((spelling.pieces, order), reading, spelling))
    });
    let (_, reading, Spelling { pieces, .. }) = spelled.min_by_key(|(order, ..)| *order)?;
    // A word of several pieces must be clearly shorter to the model than its disguise.
    let margin = if ordinary || pieces == 1 { 1 } else { 2 };
    let raw_pieces = tokenizer.pieces(&raw)?;
    // A single piece is not the word, which the vocabulary lacks: it stands for the unknown.
    if raw_pieces > 1 && raw_pieces < pieces + margin {
        return None;
    }
    let upper = !word.iter().any(|mapped| mapped.char.is_ascii_lowercase());
    let decoded = runs().zip(reading).flat_map(|(run, (letter, count))| {
        let case = move |letter: char| if upper { letter.to_ascii_uppercase() } else { letter };
        let end = run.same.last().map_or(0, |mapped| mapped.end);
        run.same.iter().take(count).enumerate().map(move |(index, mapped)| Mapped {
            char: letter.map_or(mapped.char, case),
            start: mapped.start,
            end: if index + 1 == count { end } else { mapped.end },
        })
    });
    Some(decoded.collect())
}

/// One character of each stretched run and all of the others.
fn shortened<'a>(runs: impl Iterator<Item = Run<'a>>) -> Vec<Mapped> {
    runs.flat_map(|run| if run.is_stretched() { &run.same[..1] } else { run.same })
        .copied()
        .collect()
}

/// Whether letters in a row may be a word drawn out, not "www", "AAA" or a Roman number.
fn is_stretched_word(word: &[Mapped]) -> bool {
    let one_letter = word.iter().all(|mapped| mapped.char.eq_ignore_ascii_case(&word[0].char));
    let roman = word.iter().all(|mapped| "IVXLCDM".contains(mapped.char));
    !one_letter && !roman
}

/// Whether letters with digits and signs among them have the form of a word in leetspeak rather than
/// of a quantity, an ordinal, a price, a part number, a hash or a numeronym.
fn is_leetspeak(word: &[Mapped], tokenizer: &Tokenizer) -> bool {
    let is_digit = |mapped: &Mapped| mapped.char.is_ascii_digit();
    let is_letter = |mapped: &Mapped| mapped.char.is_ascii_alphabetic();
    let letters = word.iter().filter(|mapped| is_letter(mapped)).count();
    let readable = word.iter().all(|mapped| is_letter(mapped) || is_substitute(mapped.char));
    if !readable || word.len() < 4 || word.len() > LONGEST || letters * 2 < word.len() {
        return false;
    }
    let quantity = word.iter().take_while(|mapped| is_digit(mapped)).count() >= 2;
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
    let symbol = matches!(word, [first, rest @ ..] if first.char == '$'
        && rest.len() <= 5 && rest.iter().all(|mapped| mapped.char.is_ascii_uppercase()));
    !(quantity || numbered || numeronym || hash || symbol || is_compound(word, tokenizer))
}

/// Whether a single digit or sign stands between two words: "peer4peer", "cats@home", "wow!nice".
fn is_compound(word: &[Mapped], tokenizer: &Tokenizer) -> bool {
    let mut parts = word.split(|mapped| is_substitute(mapped.char));
    let is_word = |part: &[Mapped]| {
        let whole = |spelling: Spelling| spelling.pieces == 1;
        part.len() >= 3 && tokenizer.spells(&collect(part)).is_some_and(whole)
    };
    let (first, second) = (parts.next(), parts.next());
    parts.next().is_none() && first.is_some_and(is_word) && second.is_some_and(is_word)
}
