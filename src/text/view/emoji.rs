//! Emoji to words.

use emojis::{Emoji, SkinTone};

use super::{Mapped, collect};

/// The longest sequence of Unicode 17 has ten characters.
const LONGEST: usize = 12;

/// Puts the name of an emoji ("rat", "waving hand", "Norway flag") in its place, set off by spaces.
///
/// Names leave skin tones out, and whether a woman or a man does something. The same emoji several
/// times over is named once.
pub(super) fn name(characters: &[Mapped]) -> Vec<Mapped> {
    let mut named = Named { characters: Vec::with_capacity(characters.len()), last: None };
    let mut rest = characters;
    while let [first, after @ ..] = rest {
        let flags = rest.iter().take_while(|mapped| regional_letter(mapped.char).is_some()).count();
        rest = if flags > 0 {
            let (indicators, rest) = rest.split_at(flags);
            named.push_flags(indicators);
            rest
        } else if let Some((emoji, length)) = emoji_at(rest) {
            let (sequence, rest) = rest.split_at(length);
            named.push_emoji(emoji, sequence);
            rest
        } else {
            named.push(*first);
            after
        };
    }
    named.characters
}

/// What is named so far.
struct Named {
    characters: Vec<Mapped>,
    /// The emoji that it ends with.
    last: Option<&'static Emoji>,
}

impl Named {
    fn push(&mut self, mapped: Mapped) {
        if let (Some(_), Some(name)) = (self.last.take(), self.characters.last().copied())
            && mapped.char.is_alphanumeric()
        {
            self.characters.push(Mapped { char: ' ', ..name });
        }
        self.characters.push(mapped);
    }

    fn push_emoji(&mut self, emoji: &'static Emoji, sequence: &[Mapped]) {
        let (Some(first), Some(last)) = (sequence.first(), sequence.last()) else { return };
        let (start, end) = (first.start, last.end);
        if self.last == Some(emoji) {
            let begun = self.characters.last().map(|mapped| mapped.start);
            let name = self.characters.iter_mut().rev();
            for mapped in name.take_while(|mapped| Some(mapped.start) == begun) {
                mapped.end = end;
            }
        } else {
            let place = |char| Mapped { char, start, end };
            if self.characters.last().is_some_and(|last| last.char.is_alphanumeric()) {
                self.characters.push(place(' '));
            }
            self.characters.extend(name_of(emoji).chars().map(place));
        }
        self.last = Some(emoji);
    }

    /// Regional indicators are flags two by two, or letters where a pair is none.
    fn push_flags(&mut self, indicators: &[Mapped]) {
        let flags: Option<Vec<_>> =
            indicators.chunks(2).map(|pair| emojis::get(&collect(pair))).collect();
        match flags {
            Some(flags) => {
                for (flag, pair) in flags.into_iter().zip(indicators.chunks(2)) {
                    self.push_emoji(flag, pair);
                }
            }
            None => {
                for mapped in indicators {
                    let char = regional_letter(mapped.char).unwrap_or(mapped.char);
                    self.push(Mapped { char, ..*mapped });
                }
            }
        }
    }
}

/// The emoji that `characters` begin with, less its skin tone, and its length.
fn emoji_at(characters: &[Mapped]) -> Option<(&'static Emoji, usize)> {
    let [first, after @ ..] = characters else { return None };
    let is_variant = |mapped: &&Mapped| mapped.char == '\u{fe0f}';
    let shown_as_emoji = match first.char {
        '\u{231a}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' => true,
        '\u{1f170}'..='\u{1f189}' => after.first().filter(is_variant).is_some(),
        '\u{1f000}'.. => true,
        // Punctuation and signs that an emoji is drawn for, too.
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' => false,
        char => !char.is_ascii() && after.first().filter(is_variant).is_some(),
    };
    if !shown_as_emoji {
        return None;
    }
    // A sequence goes on with a modifier, or with anything after a joiner.
    let mut length = 1;
    while let Some(next) = characters.get(length).filter(|_| length < LONGEST) {
        let joined = characters[length - 1].char == '\u{200d}';
        let goes_on = matches!(next.char,
            '\u{fe0f}' | '\u{200d}' | '\u{20e3}' | '\u{1f3fb}'..='\u{1f3ff}'
            | '\u{e0020}'..='\u{e007f}');
        if !(goes_on || joined) {
            break;
        }
        length += 1;
    }
    let sequence = collect(&characters[..length]);
    // Of its beginnings the longest that is an emoji.
    let ends: Vec<_> = sequence.char_indices().map(|(at, char)| at + char.len_utf8()).collect();
    let (index, emoji) = (0..length)
        .rev()
        .find_map(|index| Some((index, emojis::get(&sequence[..ends[index]])?)))?;
    // A variation selector that the emoji is known without belongs to it all the same.
    let selectors = characters[index + 1..].iter().take_while(|m| m.char == '\u{fe0f}').count();
    Some((emoji.with_skin_tone(SkinTone::Default).unwrap_or(emoji), index + 1 + selectors))
}

/// What people call the emoji; where they have no other word for it, Unicode's name.
fn name_of(emoji: &'static Emoji) -> String {
    let emoji = whoever(emoji);
    let name = common_name(emoji).unwrap_or(emoji.name());
    match name.strip_prefix("flag: ") {
        Some(place) => format!("{place} flag"),
        None => name.strip_prefix("person ").unwrap_or(name).replace([':', ','], ""),
    }
}

/// Of somebody who does something the emoji that does not say whether a woman or a man does it, nor
/// which way they face: what they do is meant.
fn whoever(emoji: &'static Emoji) -> &'static Emoji {
    emoji
        .as_str()
        .split_once('\u{200d}')
        .filter(|(_, how)| how.starts_with(['\u{2640}', '\u{2642}', '\u{27a1}']))
        .and_then(|(someone, _)| emojis::get(someone))
        .unwrap_or(emoji)
}

/// Short for names that describe what is drawn ("closed mailbox with lowered flag") rather than what
/// is meant: in a sentence about people they read like something said of them.
fn common_name(emoji: &Emoji) -> Option<&'static str> {
    let name = match emoji.as_str() {
        "📪" | "📫" | "📬" | "📭" => "mail",
        "📮" => "post",
        "📤" => "outbox",
        "📥" => "inbox",
        "🧰" => "tools",
        "🎛\u{fe0f}" => "dials",
        "🚗" | "🚙" => "car",
        "🍗" => "chicken",
        "🍖" => "ribs",
        "🥩" => "steak",
        "🥣" => "cereal",
        "🍵" => "tea",
        "\u{1fadc}" => "beetroot",
        "🩸" => "blood",
        "✖\u{fe0f}" => "x",
        "👯" => "dancers",
        "🤘" => "rock on",
        "🙅" => "no",
        "🙈" => "hands over eyes",
        "🙉" => "hands over ears",
        "🙊" => "hand over mouth",
        "😮\u{200d}💨" => "sigh",
        _ => return None,
    };
    Some(name)
}

/// The letter of a regional indicator; two that make no flag spell.
fn regional_letter(char: char) -> Option<char> {
    let index = u32::from(char).checked_sub(0x1f1e6).filter(|&index| index < 26)?;
    char::from_u32(u32::from('A') + index)
}
