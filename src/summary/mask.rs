//! Texts as a report shows them: so that nobody reads a slur, a name or an address in it.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// The words that are shown whole: those that only hold a sentence together.
const SHOWN: [&str; 128] = [
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be",
    "because", "been", "before", "being", "between", "both", "but", "by", "can", "could", "did",
    "do", "does", "each", "even", "ever", "every", "few", "for", "from", "had", "has", "have",
    "he", "her", "here", "hers", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "just", "like", "many", "may", "me", "might", "more", "most", "much", "must", "my", "never",
    "no", "nor", "not", "now", "of", "off", "often", "on", "once", "one", "only", "or", "other",
    "our", "ours", "out", "over", "own", "same", "shall", "she", "should", "since", "so", "some",
    "still", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they",
    "this", "those", "through", "to", "too", "two", "under", "until", "up", "us", "very", "was",
    "we", "were", "what", "when", "where", "which", "while", "who", "why", "will", "with",
    "without", "would", "yet", "you", "your", "yours", "yes",
];
/// How many characters of a text are shown at most.
const LONGEST: usize = 400;
/// How many stars stand for a word at most.
const STARS: usize = 12;

/// The words of a text that `bytes` touches. Only those of [`SHOWN`] and ASCII punctuation stand as
/// they are: of any other word of three letters or more the first letter is left, and emoji and other
/// signs become stars.
pub(super) fn mask(text: &str, bytes: &Range<usize>) -> String {
    let mut masked = String::new();
    let mut length = 0;
    // Whole words, since the piece of one may look like a word to be shown.
    let words = text
        .split_word_bound_indices()
        .skip_while(|(at, part)| at + part.len() <= bytes.start)
        .take_while(|(at, _)| *at < bytes.end);
    for (_, part) in words {
        let shown = masked_part(part);
        if shown == " " && masked.ends_with(' ') {
            continue;
        }
        length += shown.chars().count();
        if length > LONGEST {
            masked.push('…');
            break;
        }
        masked.push_str(&shown);
    }
    masked
}

fn masked_part(part: &str) -> String {
    if part.chars().all(|c| c.is_whitespace() || c.is_control()) {
        return " ".to_owned();
    }
    if part.chars().all(|c| c.is_ascii_punctuation()) {
        return part.to_owned();
    }
    if SHOWN.contains(&part.to_lowercase().as_str()) {
        return part.to_owned();
    }
    let letters = part.graphemes(true).count();
    match part.chars().next().filter(|first| letters >= 3 && first.is_alphabetic()) {
        Some(first) => format!("{first}{}", "*".repeat((letters - 1).min(STARS))),
        None => "*".repeat(letters.min(STARS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        super::mask(text, &(0..text.len()))
    }

    #[test]
    fn only_words_that_hold_a_sentence_together_are_shown() {
        assert_eq!(
            mask("They are like spoons, and You know it!"),
            "They are like s*****, and You k*** it!"
        );
        assert_eq!(mask("@maria: https://example.org/x"), "@m****: h****://e**********/*");
        assert_eq!(mask("s p o o n sp00n 5poon"), "* * * * * s**** *****");
        assert_eq!(mask("ox 🥄 ложка 匙子"), "** * л**** **");
        assert_eq!(mask("two\n\tlines\u{200b}"), "two l*****");
        assert_eq!(super::mask("one lantern there", &(5..14)), "l****** there");
        assert!(mask(&"word ".repeat(1_000)).chars().count() <= LONGEST + 1);
        assert!(mask(&"x".repeat(10_000)).len() <= STARS + 1);
    }
}
