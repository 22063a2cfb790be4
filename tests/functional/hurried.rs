//! Texts as people type them in a hurry. What they say, and so their label, stays.

use std::fmt;

use fastrand::Rng;

/// What hurry does to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hurry {
    /// A letter left out, doubled, missed or swapped with the next, in one long word of four.
    Typos,
    /// No punctuation.
    Bare,
    /// Short for common words, and no capitals.
    Chat,
    /// Emoji at the end that say nothing of people.
    Emoji,
}

impl Hurry {
    pub(crate) const ALL: [Self; 4] = [Self::Typos, Self::Bare, Self::Chat, Self::Emoji];
}

impl fmt::Display for Hurry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Typos => "typos",
            Self::Bare => "bare",
            Self::Chat => "chat",
            Self::Emoji => "emoji",
        })
    }
}

const CHAT: [(&str, &str); 24] = [
    ("are", "r"),
    ("you", "u"),
    ("your", "ur"),
    ("people", "ppl"),
    ("everyone", "every1"),
    ("because", "cos"),
    ("with", "w/"),
    ("without", "w/o"),
    ("about", "abt"),
    ("and", "n"),
    ("before", "b4"),
    ("for", "4"),
    ("to", "2"),
    ("too", "2"),
    ("should", "shud"),
    ("would", "wud"),
    ("could", "cud"),
    ("please", "plz"),
    ("though", "tho"),
    ("tonight", "2nite"),
    ("really", "rlly"),
    ("what", "wot"),
    ("this", "dis"),
    ("their", "thr"),
];

const EMOJI: [&str; 24] = [
    "😂",
    "🤣",
    "😭",
    "😍",
    "🙏",
    "👍🏽",
    "🔥",
    "💯",
    "❤️",
    "✨",
    "🎉",
    "🙄",
    "💪🏿",
    "🤷‍♀️",
    "☕",
    "🍕",
    "🥕",
    "🚗",
    "📮",
    "📪",
    "⚽",
    "🎶",
    "🌧️",
    "🧰",
];

/// The keys around a letter's.
const KEYS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// The text as somebody in a hurry would have typed it.
pub(crate) fn hurried(text: &str, hurry: Hurry, rng: &mut Rng) -> String {
    match hurry {
        Hurry::Typos => by_word(text, |word| {
            let is_hit = word.len() >= 5 && word.is_ascii() && rng.u8(..4) == 0;
            if is_hit { mistyped(word, rng) } else { word.to_owned() }
        }),
        Hurry::Bare => {
            let is_mark = |c: char| ".,;:!?\"“”()—–".contains(c);
            let bare = text.replace(is_mark, " ");
            bare.split_whitespace().collect::<Vec<_>>().join(" ")
        }
        Hurry::Chat => by_word(&text.to_lowercase(), |word| {
            let short = CHAT.iter().find(|(long, _)| *long == word);
            short.map_or(word, |(_, short)| short).to_owned()
        }),
        Hurry::Emoji => {
            let emoji = rng.choice(&EMOJI).unwrap_or(&EMOJI[0]);
            let space = if rng.bool() { " " } else { "" };
            format!("{text}{space}{}", emoji.repeat(rng.usize(1..4)))
        }
    }
}

/// The text with every stretch of letters replaced.
fn by_word(text: &str, mut replace: impl FnMut(&str) -> String) -> String {
    text.split_inclusive(|c: char| !c.is_alphabetic())
        .map(|part| {
            let word = part.trim_end_matches(|c: char| !c.is_alphabetic());
            replace(word) + &part[word.len()..]
        })
        .collect()
}

/// An ASCII word of three letters or more with one mistake inside.
fn mistyped(word: &str, rng: &mut Rng) -> String {
    let at = rng.usize(1..word.len() - 1);
    let (before, after) = word.split_at(at);
    let (letter, rest) = after.split_at(1);
    match rng.u8(..4) {
        0 => format!("{before}{rest}"),
        1 => format!("{before}{letter}{letter}{rest}"),
        2 => format!("{before}{}{letter}{}", &rest[..1], &rest[1..]),
        _ => {
            let row = KEYS.iter().find_map(|row| Some((row, row.find(letter)?)));
            let key = row.map_or(letter, |(row, at)| {
                let at = if at == 0 { 1 } else { at - 1 };
                &row[at..=at]
            });
            format!("{before}{key}{rest}")
        }
    }
}
