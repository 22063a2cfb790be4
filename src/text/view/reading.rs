//! What a word in disguise may be read as, and the likeliest of it.

use super::{
    Mapped, collect,
    disguise::{is_substitute, letters_of},
};
use crate::text::{Spelling, Tokenizer};

/// How many readings of a word are tried at most.
const READINGS: usize = 64;

/// What a reading must be, the less a word looks disguised the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standard {
    /// An entry of the vocabulary, of five letters or more.
    Entry,
    /// A word as the vocabulary spells them, of four letters or more.
    Word,
    /// A word, or what can be pronounced like one, of four letters or more; vocabularies lack many
    /// words of abuse.
    Pronounceable,
    /// A word, of two letters or more.
    Stretched,
}

impl Standard {
    /// How the vocabulary spells letters that meet the standard.
    pub(super) fn met_by(self, letters: &str, tokenizer: &Tokenizer) -> Option<Spelling> {
        let shortest = match self {
            Self::Entry => 5,
            Self::Word | Self::Pronounceable => 4,
            Self::Stretched => 2,
        };
        if letters.len() < shortest {
            return None;
        }
        if self == Self::Entry {
            return tokenizer.entry(letters);
        }
        let pronounced = self == Self::Pronounceable && is_pronounceable(letters);
        let most = match letters.len() {
            _ if !pronounced => 0,
            ..6 => 2,
            6..9 => 3,
            _ => 4,
        };
        let spelling = tokenizer.spelling(letters)?;
        (spelling.is_word(letters) || spelling.pieces <= most).then_some(spelling)
    }
}

/// Whether letters have vowels, and nowhere more consonants in a row than English words mostly have.
fn is_pronounceable(letters: &str) -> bool {
    let is_vowel = |char: char| "aeiouyAEIOUY".contains(char);
    let vowels = letters.split(|char| !is_vowel(char)).map(str::len).max();
    // Beside another consonant "v" is hardly ever.
    let is_cluster = |row: &str| row.len() <= 3 && (row.len() == 1 || !row.contains(['v', 'V']));
    vowels.is_some_and(|most| (1..=3).contains(&most)) && letters.split(is_vowel).all(is_cluster)
}

/// A character, or one that is drawn out over three or more.
#[derive(Clone, Copy)]
struct Unit<'a> {
    same: &'a [Mapped],
}

/// What a unit is read as: the letter in place of its own, if any, and how often.
type Choice = (Option<char>, usize);

impl Unit<'_> {
    fn char(&self) -> char {
        self.same.first().map_or('\0', |mapped| mapped.char)
    }

    fn is_stretched(&self) -> bool {
        self.same.len() >= 3
    }

    fn choices(&self, leetspeak: bool) -> impl Iterator<Item = Choice> {
        let letters = match self.char() {
            'v' | 'V' if leetspeak => &['u'],
            char => letters_of(char),
        };
        let own = (!is_substitute(self.char())).then_some(None);
        let counts = 1..if self.is_stretched() { 3 } else { 2 };
        let letters = own.into_iter().chain(letters.iter().copied().map(Some));
        letters.flat_map(move |letter| counts.clone().map(move |count| (letter, count)))
    }
}

fn units(word: &[Mapped]) -> Vec<Unit<'_>> {
    let same = |a: &Mapped, b: &Mapped| a.char.eq_ignore_ascii_case(&b.char);
    word.chunk_by(same)
        .flat_map(|same| same.chunks(if same.len() < 3 { 1 } else { same.len() }))
        .map(|same| Unit { same })
        .collect()
}

/// `word` with each drawn-out character once.
pub(super) fn shortened(word: &[Mapped]) -> Vec<Mapped> {
    units(word).iter().filter_map(|unit| unit.same.first()).copied().collect()
}

/// The likeliest reading of `word` that meets the standard.
pub(super) fn read(
    word: &[Mapped],
    standard: Standard,
    tokenizer: &Tokenizer,
) -> Option<Vec<Mapped>> {
    let units = units(word);
    let leetspeak = standard != Standard::Stretched;
    let mut readings: Vec<Vec<Choice>> = vec![Vec::new()];
    for unit in &units {
        let longer = readings.iter().flat_map(|reading| {
            unit.choices(leetspeak).map(|choice| [reading.as_slice(), &[choice]].concat())
        });
        readings = longer.take(READINGS).collect();
    }
    let spelled = readings.into_iter().filter_map(|reading| {
        let chosen = units.iter().zip(&reading);
        let letters: String = chosen
            .clone()
            .flat_map(|(unit, &(letter, count))| {
                std::iter::repeat_n(letter.unwrap_or(unit.char()), count)
            })
            .collect();
        let spelling = standard.met_by(&letters, tokenizer)?;
        // Of "good" and "god" for "goood" the commoner, in doubt the one that keeps more.
        let single = chosen.filter(|(unit, choice)| unit.is_stretched() && choice.1 == 1);
        let shortened = single.count().min(16);
        // Entries that are no word say little by their rank: of theirs the shortest.
        let order = match spelling.pieces {
            1 => (spelling.rank << shortened, 0),
            _ => (letters.len() as u64, spelling.rank),
        };
        let cost = spelling.pieces * 2 + rarity(&units, &reading);
        Some(((cost, order), reading, spelling))
    });
    let (_, reading, Spelling { pieces, .. }) = spelled.min_by_key(|(order, ..)| *order)?;
    // A word of several pieces must be shorter to the model than its disguise; clearly so where
    // that may be something else, or is one letter's.
    let substituted = units.iter().skip(1).filter(|unit| is_substitute(unit.char())).count();
    let certain = match standard {
        Standard::Stretched => true,
        Standard::Pronounceable => substituted > 1,
        Standard::Word | Standard::Entry => false,
    };
    let margin = if pieces == 1 || certain { 1 } else { 2 };
    let raw_pieces = tokenizer.pieces(&collect(word))?;
    // A single piece is not the word, which the vocabulary lacks: it stands for the unknown.
    if raw_pieces > 1 && raw_pieces < pieces + margin {
        return None;
    }
    let upper = !word.iter().any(|mapped| mapped.char.is_ascii_lowercase());
    let decoded = units.iter().zip(reading).flat_map(|(unit, (letter, count))| {
        let case = move |letter: char| if upper { letter.to_ascii_uppercase() } else { letter };
        let end = unit.same.last().map_or(0, |mapped| mapped.end);
        unit.same.iter().take(count).enumerate().map(move |(index, mapped)| Mapped {
            char: letter.map_or(mapped.char, case),
            start: mapped.start,
            end: if index + 1 == count { end } else { mapped.end },
        })
    });
    Some(decoded.collect())
}

/// How rare the letters chosen are, where a vocabulary entry more counts two.
fn rarity(units: &[Unit<'_>], reading: &[Choice]) -> usize {
    let next = units.iter().skip(1).map(|unit| Some(unit.char())).chain([None]);
    let chosen = units.iter().zip(reading).zip(next);
    let rarity = chosen.map(|((unit, choice), next)| match (unit.char(), choice.0) {
        ('!', Some('l')) => 1,
        // A "v" for a "u" is rare before a vowel: "c0v1d" is "covid" and not "could".
        ('v' | 'V', Some(_)) => match next {
            Some('i' | 'I' | '1' | '!') => 3,
            Some('a' | 'A' | 'e' | 'E' | 'o' | 'O' | '0' | '3' | '4' | '@') => 1,
            _ => 0,
        },
        _ => 0,
    });
    rarity.sum()
}
