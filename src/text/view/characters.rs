//! Characters that are not seen, and characters that are letters in another dress.

use unicode_normalization::{
    IsNormalized, UnicodeNormalization,
    char::{canonical_combining_class, is_combining_mark},
    is_nfkc_quick,
};
use unicode_script::{Script, UnicodeScript};

use super::Mapped;

/// Leaves out zero-width characters, controls of writing direction, soft hyphens, variation
/// selectors and fillers.
///
/// Joiners stay in the scripts that spell with them (Persian, Hindi and others).
pub(super) fn drop_invisible(characters: &[Mapped]) -> Vec<Mapped> {
    let mut kept: Vec<Mapped> = Vec::with_capacity(characters.len());
    for mapped in characters {
        let joiner = matches!(mapped.char, '\u{200c}' | '\u{200d}');
        let joins = || kept.last().is_some_and(|previous| is_of_joining_script(previous.char));
        if !is_invisible(mapped.char) || joiner && joins() {
            kept.push(*mapped);
        }
    }
    kept
}

fn is_of_joining_script(char: char) -> bool {
    let spells = char.is_alphabetic() || is_combining_mark(char);
    spells && !matches!(char.script(), Script::Latin | Script::Common | Script::Inherited)
}

/// Whether a character has no shape of its own.
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Letters in mathematical, fullwidth, circled, squared, superscript or another dress become plain;
/// marks become part of their letter where Unicode has the two as one, and what more is piled on a
/// letter is left out.
pub(super) fn unstyle(characters: &[Mapped]) -> Vec<Mapped> {
    let mut plain = Vec::with_capacity(characters.len());
    let mut rest = characters;
    while let [first, after @ ..] = rest {
        let followers = after.iter().take_while(|mapped| is_follower(mapped.char)).count();
        let (cluster, next) = rest.split_at(1 + followers);
        rest = next;
        if followers == 0 && first.char.is_ascii() {
            plain.push(*first);
            continue;
        }
        let letters: String = cluster.iter().flat_map(|mapped| unstyled(mapped.char)).collect();
        let composed: Vec<char> = letters.nfc().collect();
        let (start, end) = (first.start, cluster[followers].end);
        if composed.iter().copied().eq(cluster.iter().map(|mapped| mapped.char)) {
            plain.extend(without_piled(cluster.iter().copied(), |mapped| mapped.char));
        } else {
            let chars = without_piled(composed.into_iter(), |&char| char);
            plain.extend(chars.map(|char| Mapped { char, start, end }));
        }
    }
    plain
}

/// Whether a character may become one with the character before it.
fn is_follower(char: char) -> bool {
    !char.is_ascii()
        && (canonical_combining_class(char) != 0
            || is_diacritic(char)
            || is_nfkc_quick(std::iter::once(char)) == IsNormalized::Maybe)
}

/// Marks that go on letters of any script, unlike vowel signs.
fn is_diacritic(char: char) -> bool {
    is_combining_mark(char) && char.script() == Script::Inherited
}

/// A cluster without its marks if they are piled up or strike it through. One mark that Unicode has
/// no composed letter for is some language's spelling.
fn without_piled<T>(
    cluster: impl Iterator<Item = T> + Clone,
    char: impl Fn(&T) -> char + Copy,
) -> impl Iterator<Item = T> {
    let marks = cluster.clone().filter(|item| is_diacritic(char(item))).count();
    cluster.filter(move |item| {
        let char = char(item);
        !(is_diacritic(char) && (marks > 1 || is_overlay(char)))
    })
}

fn is_overlay(char: char) -> bool {
    matches!(char, '\u{334}'..='\u{338}' | '\u{20d0}'..='\u{20ff}')
}

/// The plain letters that a styled character stands for, or the character.
fn unstyled(char: char) -> impl Iterator<Item = char> {
    let letter = |first: u32| char::from_u32(u32::from('A') + (u32::from(char) - first));
    let plain = match char {
        // Unicode gives these no compatibility mapping.
        '\u{1f150}'..='\u{1f169}' => letter(0x1f150),
        '\u{1f170}'..='\u{1f189}' => letter(0x1f170),
        '\u{249c}'..='\u{24b5}' => letter(0x249c).map(|letter| letter.to_ascii_lowercase()),
        '\u{ff04}' => Some('$'),
        '\u{ff20}' => Some('@'),
        _ => None,
    };
    let compatible = plain.is_none() && is_styled_letter(char);
    let mapped = std::iter::once(plain.unwrap_or(char));
    let (mapped, decomposed) = match compatible {
        true => (None, Some(std::iter::once(char).nfkc())),
        false => (Some(mapped), None),
    };
    mapped.into_iter().flatten().chain(decomposed.into_iter().flatten())
}

/// Whether a character is a letter or digit that differs from a plainer one in style alone.
///
/// Signs that have become their own ("½", "²", "…", "µ", "º", "™") are none.
fn is_styled_letter(char: char) -> bool {
    let styled_digit = matches!(char, '\u{ff10}'..='\u{ff19}' | '\u{1d7ce}'..='\u{1d7ff}');
    if char.is_numeric() {
        return styled_digit;
    }
    if !char.is_alphabetic() || matches!(char, '\u{aa}' | '\u{b5}' | '\u{ba}' | '\u{2139}') {
        return false;
    }
    let mut plain = std::iter::once(char).nfkc();
    // Ligatures that stand for a phrase are no letters.
    plain.clone().count() <= 3
        && plain.all(|char| char.is_alphanumeric() || is_combining_mark(char))
}
