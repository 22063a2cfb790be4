//! Explanations as a library user sees them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by panicking")]

use std::sync::LazyLock;

use dignity::{Category, Classifier, ExplainOptions, Explanation, TextView, Unscored, Way};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");

static CLASSIFIER: LazyLock<Classifier> =
    LazyLock::new(|| Classifier::builder().model(TINY).threads(2).build().unwrap());

fn explain(text: &str) -> Explanation {
    CLASSIFIER.explain(text, &ExplainOptions::default()).unwrap()
}

fn words<'a>(text: &'a str, explanation: &Explanation) -> Vec<&'a str> {
    explanation.words.iter().map(|word| &text[word.bytes.clone()]).collect()
}

fn log_odds(probability: f32) -> f32 {
    (probability / (1.0 - probability)).ln()
}

#[test]
fn every_word_has_its_part_in_the_scores() {
    let text = "The dog, the café and 42 birds!";
    let explanation = explain(text);
    assert_eq!(words(text, &explanation), ["The", "dog", "the", "café", "and", "42", "birds"]);
    assert_eq!(explanation.view, TextView::Raw);
    assert_eq!(explanation.windows, std::slice::from_ref(&(0..text.len())));
    assert_eq!(explanation.scores, CLASSIFIER.score(&[text]).unwrap()[0]);
    // What is left out is the word and nothing else.
    for (word, without) in [(1, "The , the café and 42 birds!"), (6, "The dog, the café and 42 !")]
    {
        let (whole, without) = (&explanation.scores, &CLASSIFIER.score(&[without]).unwrap()[0]);
        let part = &explanation.words[word];
        let close = |part: f32, whole: f32, without: f32| {
            let expected = log_odds(whole) - log_odds(without);
            assert!((part - expected).abs() < 1e-3, "{part} and {expected}");
        };
        close(part.dehumanization, whole.dehumanization(), without.dehumanization());
        close(part.hate, whole.hate(), without.hate());
        let (race, animal) = (Category::Race, Way::Animal);
        close(part.categories[race], whole.category(race), without.category(race));
        close(part.ways[animal], whole.way(animal), without.way(animal));
    }
    assert_eq!(explain(text), explanation);
}

#[test]
fn words_in_disguise_are_those_of_the_original() {
    let text = "no b1rd, t r e e 🐕";
    let explanation = explain(text);
    assert!(explanation.scores.windows.iter().any(|w| w.view == TextView::Normalized));
    let expected = match explanation.view {
        TextView::Raw => vec!["no", "b1rd", "t", "r", "e", "e", "🐕"],
        TextView::Normalized => vec!["no", "b1rd", "t r e e", "🐕"],
    };
    assert_eq!(words(text, &explanation), expected);
}

#[test]
fn a_long_text_is_explained_where_its_labels_are_highest() {
    let text = (0..60).map(|n| format!("Word {n} is not a bird. ")).collect::<String>();
    let whole = explain(&text);
    let windows = &whole.scores.windows;
    assert!(windows.len() > 20);
    assert!(whole.windows.len() <= 4);
    let one = CLASSIFIER.explain(&text, &ExplainOptions { max_windows: 1 }).unwrap();
    let highest = whole.scores.dehumanization();
    let highest = windows.iter().find(|w| w.probabilities.dehumanization == highest).unwrap();
    assert_eq!(one.windows, std::slice::from_ref(&highest.bytes));
    let inside = one
        .words
        .iter()
        .all(|word| word.bytes.start < highest.bytes.end && word.bytes.end > highest.bytes.start);
    assert!(inside && one.words.len() > 2);
    for pair in whole.words.windows(2) {
        assert!(pair[0].bytes.end <= pair[1].bytes.start);
    }
}

#[test]
fn texts_of_one_word_or_none_are_explained() {
    assert_eq!(explain("dog").words.len(), 1);
    assert!(explain("...").words.is_empty());
    for (text, reason) in [("", Unscored::Empty), (" \n", Unscored::Blank)] {
        let explanation = explain(text);
        assert_eq!(explanation.scores.unscored, Some(reason));
        assert!(explanation.words.is_empty() && explanation.windows.is_empty());
    }
}

#[cfg(feature = "shipped")]
#[test]
fn the_words_that_drive_the_shipped_model_come_first() {
    let classifier = Classifier::shipped().unwrap();
    for (text, driver, group, category) in [
        (
            "I saw the Somali family at the market, and to me they are vermin.",
            "vermin",
            "Somali",
            Category::NationalOrigin,
        ),
        (
            "It rained all day and the Muslims next door are rats, as I told my brother.",
            "rats",
            "Muslims",
            Category::Religion,
        ),
        ("Muslims are vermin in this town.", "vermin", "Muslims", Category::Religion),
        ("Those migrants are v3rm1n.", "v3rm1n", "migrants", Category::NationalOrigin),
    ] {
        let explanation = classifier.explain(text, &ExplainOptions::default()).unwrap();
        let ranked = |part: &dyn Fn(&dignity::WordAttribution) -> f32| -> Vec<&str> {
            let mut words: Vec<_> = explanation.words.iter().collect();
            words.sort_by(|a, b| part(b).total_cmp(&part(a)));
            words.into_iter().map(|word| &text[word.bytes.clone()]).collect()
        };
        // Without either of them the text dehumanizes nobody; every other word must weigh less.
        let overall = ranked(&|word| word.dehumanization);
        assert!(overall[..2].contains(&driver), "{text}: {overall:?}");
        assert!(overall[..2].contains(&group), "{text}: {overall:?}");
        let of_way = ranked(&|word| word.ways[Way::Animal]);
        assert!(of_way[..2].contains(&driver), "{text}: {of_way:?}");
        let of_category = ranked(&|word| word.categories[category]);
        assert!(of_category[..2].contains(&group), "{text}: {of_category:?}");
    }
}
