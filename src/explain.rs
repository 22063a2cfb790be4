//! Which words a text's scores rest on: each is left out in turn, and what the scores lose by it is
//! the word's part in them.

use std::ops::Range;

use enum_map::EnumMap;
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    classifier::{Classifier, Error, Reading, Tokenized},
    scores::{Probabilities, Scores, TextView, Unscored},
    taxonomy::{Category, Way},
    text::{NormalizedView, Tokens, Window},
};

/// How far [`Classifier::explain`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainOptions {
    /// How many windows are explained at most, and at least one. What an explanation costs is bounded by this many
    /// windows times the words of one.
    pub max_windows: usize,
}

impl Default for ExplainOptions {
    /// Four windows.
    fn default() -> Self {
        Self { max_windows: 4 }
    }
}

/// Which words the scores of a text rest on.
///
/// The explanation is of the form of the text that `dehumanization` is highest in
/// ([`view`](Self::view)), and there of all its windows, or in a long text of the windows that a
/// label is highest in, as many as [`ExplainOptions::max_windows`] allows: first that of
/// `dehumanization`, then those of the other labels, the likelier first
/// ([`windows`](Self::windows)).
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The text's scores, as [`Classifier::score`] gives them.
    pub scores: Scores,
    /// The form of the text that is explained.
    pub view: TextView,
    /// The windows that are explained, as bytes of the original, in text order; none for a text
    /// without content.
    pub windows: Vec<Range<usize>>,
    /// The words of those windows, in text order. They do not overlap.
    pub words: Vec<WordAttribution>,
}

/// What a word contributes to the scores of its text.
///
/// Each number is how far the log-odds of a label fall when the word is left out, in nats, in the
/// one explained window where the label is highest; 0 for words outside that window. A positive
/// number says that the word speaks for the label, a negative one that it speaks against it. Log-odds,
/// because of two words that each suffice neither would move a probability that is near 1 anyway.
///
/// The numbers tell what the model reacts to, not why, and do not add up to the score.
#[derive(Clone, Debug, PartialEq)]
pub struct WordAttribution {
    /// The word's bytes in the original text, on character boundaries.
    pub bytes: Range<usize>,
    /// Its part in [`Scores::dehumanization`].
    pub dehumanization: f32,
    /// Its part in [`Scores::hate`].
    pub hate: f32,
    /// Its parts in the categories' probabilities.
    pub categories: EnumMap<Category, f32>,
    /// Its parts in the ways' probabilities.
    pub ways: EnumMap<Way, f32>,
}

impl Classifier {
    /// Explains the scores of a text by its words.
    ///
    /// Words are those of Unicode's word boundaries, emoji and other symbols among them, punctuation
    /// not. Where the [normalized view](Classifier::normalized_view) scores higher than the raw text,
    /// words are of the view, in bytes of the original. Costs about as much as scoring every
    /// explained window once for each of its words.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "shipped")] {
    /// # let classifier = dignity::Classifier::shipped()?;
    /// let text = "Those migrants are vermin.";
    /// let explanation = classifier.explain(text, &Default::default())?;
    /// let mut words = explanation.words;
    /// words.sort_by(|a, b| b.dehumanization.total_cmp(&a.dehumanization));
    /// // Without either of them the text dehumanizes nobody.
    /// let strongest: Vec<_> = words[..2].iter().map(|word| &text[word.bytes.clone()]).collect();
    /// assert!(strongest.contains(&"vermin") && strongest.contains(&"migrants"));
    /// # }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the text cannot be tokenized or the engine fails.
    pub fn explain(&self, text: &str, options: &ExplainOptions) -> Result<Explanation, Error> {
        let tokenized = self.tokenize(&[text])?;
        let scores = self.score_tokenized(&tokenized)?.into_iter().next();
        // One text in, one out.
        let empty = || Scores::without_content(Unscored::Empty, &tokenized.labels);
        let scores = scores.unwrap_or_else(empty);
        self.explain_scored(text, &tokenized, scores, options, |contents| {
            self.probabilities(contents)
        })
    }

    /// Explains the `scores` of a text, given what it was `tokenized` to; `compute` gives the
    /// probabilities of windows of tokens.
    pub(crate) fn explain_scored<E>(
        &self,
        text: &str,
        tokenized: &Tokenized,
        scores: Scores,
        options: &ExplainOptions,
        compute: impl FnOnce(&[&[u32]]) -> Result<Vec<Probabilities>, E>,
    ) -> Result<Explanation, E> {
        let readings = tokenized.texts.first().map_or(&[][..], |text| &text.readings);
        let view = scores.highest_window().map_or(TextView::Raw, |window| window.view);
        let Some(reading) = readings.iter().find(|reading| reading.view == view) else {
            return Ok(Explanation { scores, view, windows: Vec::new(), words: Vec::new() });
        };
        let whole: Vec<Probabilities> = scores
            .windows
            .iter()
            .filter(|window| window.view == view)
            .map(|window| window.probabilities.clone())
            .collect();
        let explained = explained_windows(&whole, options.max_windows);
        let normalized = match view {
            TextView::Raw => None,
            TextView::Normalized => self.normalized_view(text),
        };
        let words = words(text, normalized.as_ref());
        let words =
            attribute(reading, &whole, &explained, &words, tokenized.special_tokens, compute)?;
        let windows = explained.iter().map(|&index| reading.windows[index].bytes.clone()).collect();
        Ok(Explanation { scores, view, windows, words })
    }
}

/// What each of `words` that has tokens in an explained window contributes.
fn attribute<E>(
    reading: &Reading,
    whole: &[Probabilities],
    explained: &[usize],
    words: &[Range<usize>],
    special_tokens: usize,
    compute: impl FnOnce(&[&[u32]]) -> Result<Vec<Probabilities>, E>,
) -> Result<Vec<WordAttribution>, E> {
    // A window without one of its words, for each.
    let mut without: Vec<(usize, usize, Vec<u32>)> = Vec::new();
    for &index in explained {
        let window = &reading.windows[index];
        for (word, bytes) in words.iter().enumerate() {
            let left_out = tokens_of(&reading.tokens, window, bytes);
            let kept = window.tokens.clone().filter(|token| !left_out.contains(token));
            let kept: Vec<u32> = kept.map(|token| reading.tokens.ids[token]).collect();
            // A model whose tokenizer frames nothing has nothing to read without the only word.
            if !left_out.is_empty() && kept.len() + special_tokens > 0 {
                without.push((index, word, kept));
            }
        }
    }
    let contents: Vec<&[u32]> = without.iter().map(|(.., ids)| ids.as_slice()).collect();
    let occluded = compute(&contents)?;

    let best = |label: &dyn Fn(&Probabilities) -> f32| highest(whole, explained, label);
    let best_categories: EnumMap<Category, usize> =
        EnumMap::from_fn(|category| best(&|p| p.categories[category]));
    let best_ways: EnumMap<Way, usize> = EnumMap::from_fn(|way| best(&|p| p.ways[way]));
    let (best_overall, best_hate) = (best(&|p| p.dehumanization), best(&|p| p.hate));

    let mut attributions: Vec<Option<WordAttribution>> = vec![None; words.len()];
    for ((index, word, _), occluded) in without.iter().zip(&occluded) {
        let attribution = attributions[*word].get_or_insert_with(|| WordAttribution {
            bytes: words[*word].clone(),
            dehumanization: 0.0,
            hate: 0.0,
            categories: EnumMap::default(),
            ways: EnumMap::default(),
        });
        let whole = &whole[*index];
        let drop = |before: f32, after: f32| log_odds(before) - log_odds(after);
        if best_overall == *index {
            attribution.dehumanization = drop(whole.dehumanization, occluded.dehumanization);
        }
        if best_hate == *index {
            attribution.hate = drop(whole.hate, occluded.hate);
        }
        for category in Category::ALL {
            if best_categories[category] == *index {
                attribution.categories[category] =
                    drop(whole.categories[category], occluded.categories[category]);
            }
        }
        for way in Way::ALL {
            if best_ways[way] == *index {
                attribution.ways[way] = drop(whole.ways[way], occluded.ways[way]);
            }
        }
    }
    Ok(attributions.into_iter().flatten().collect())
}

/// The windows to explain, in text order: all if they are few, else those that a label is highest in.
fn explained_windows(windows: &[Probabilities], most: usize) -> Vec<usize> {
    let all: Vec<usize> = (0..windows.len()).collect();
    if windows.len() <= most {
        return all;
    }
    let of = |label: &dyn Fn(&Probabilities) -> f32| {
        let index = highest(windows, &all, label);
        (label(&windows[index]), index)
    };
    let mut others: Vec<(f32, usize)> = Category::ALL
        .into_iter()
        .map(|category| of(&|p| p.categories[category]))
        .chain(Way::ALL.into_iter().map(|way| of(&|p| p.ways[way])))
        .chain([of(&|p| p.hate)])
        .collect();
    others.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut explained = vec![of(&|p| p.dehumanization).1];
    for (_, index) in others {
        if explained.len() < most && !explained.contains(&index) {
            explained.push(index);
        }
    }
    explained.sort_unstable();
    explained
}

/// Which of the windows at `indices` a label is highest in; of equals the first.
fn highest(
    windows: &[Probabilities],
    indices: &[usize],
    label: &dyn Fn(&Probabilities) -> f32,
) -> usize {
    let higher = |best: usize, &index: &usize| {
        if label(&windows[index]) > label(&windows[best]) { index } else { best }
    };
    indices.iter().fold(indices.first().copied().unwrap_or(0), higher)
}

/// The words of a text, or of its view, as bytes of the original. Words that stand for the same bytes
/// (the name of an emoji) are one.
fn words(text: &str, view: Option<&NormalizedView>) -> Vec<Range<usize>> {
    let shown = view.map_or(text, NormalizedView::text);
    let mut words: Vec<Range<usize>> = Vec::new();
    for (start, word) in shown.split_word_bound_indices() {
        if word.chars().all(|char| char.is_whitespace() || is_punctuation(char)) {
            continue;
        }
        let range = start..start + word.len();
        let bytes = view.map_or(range.clone(), |view| view.original(range));
        match words.last_mut() {
            Some(last) if bytes.start < last.end => last.end = last.end.max(bytes.end),
            _ => words.push(bytes),
        }
    }
    words
}

fn is_punctuation(char: char) -> bool {
    char.is_ascii_punctuation()
        || matches!(char, '\u{a1}' | '\u{ab}' | '\u{bb}' | '\u{bf}' | '\u{2010}'..='\u{205e}' | '\u{3001}'..='\u{3003}')
}

/// The tokens of `window` that stand for any of `bytes`.
fn tokens_of(tokens: &Tokens, window: &Window, bytes: &Range<usize>) -> Range<usize> {
    let start = tokens.offsets.partition_point(|&(_, end)| end <= bytes.start);
    let end = tokens.offsets.partition_point(|&(start, _)| start < bytes.end);
    start.max(window.tokens.start)..end.min(window.tokens.end)
}

/// The log-odds of a probability, in nats. Within what an f32 can tell from 0 and 1.
fn log_odds(probability: f32) -> f32 {
    let probability = probability.clamp(1e-6, 1.0 - 1e-6);
    (probability / (1.0 - probability)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(dehumanization: f32, religion: f32, animal: f32) -> Probabilities {
        let mut window = Probabilities { dehumanization, ..Probabilities::default() };
        window.categories[Category::Religion] = religion;
        window.ways[Way::Animal] = animal;
        window
    }

    #[test]
    fn of_many_windows_the_highest_of_each_label_are_explained() {
        let windows = [
            window(0.1, 0.1, 0.1),
            window(0.2, 0.8, 0.1),
            window(0.9, 0.1, 0.1),
            window(0.1, 0.1, 0.7),
        ];
        assert_eq!(explained_windows(&windows, 4), [0, 1, 2, 3]);
        assert_eq!(explained_windows(&windows, 3), [1, 2, 3]);
        assert_eq!(explained_windows(&windows, 2), [1, 2]);
        assert_eq!(explained_windows(&windows, 0), [2]);
    }

    #[test]
    fn words_are_without_punctuation_and_of_the_original() {
        let text = "Don't, (she) said: 5.5 caf\u{e9}s \u{1f400}!";
        let found: Vec<_> = words(text, None).into_iter().map(|word| &text[word]).collect();
        assert_eq!(found, ["Don't", "she", "said", "5.5", "caf\u{e9}s", "\u{1f400}"]);
        assert!(words("... !", None).is_empty());
    }

    #[test]
    fn a_word_has_the_tokens_of_its_bytes_inside_the_window() {
        let tokens = Tokens { ids: vec![1; 4], offsets: vec![(0, 2), (2, 4), (5, 7), (7, 9)] };
        let window = Window { tokens: 1..4, bytes: 2..9 };
        assert_eq!(tokens_of(&tokens, &window, &(0..4)), 1..2);
        assert_eq!(tokens_of(&tokens, &window, &(5..9)), 2..4);
        assert!(tokens_of(&tokens, &window, &(4..5)).is_empty());
    }
}
