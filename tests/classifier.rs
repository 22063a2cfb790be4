//! The classifier as a library user sees it, on a tiny model whose windows hold 14 tokens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by panicking")]

use std::{num::NonZeroUsize, sync::LazyLock, thread};

use dignity::{
    Category, Classifier, Device, EngineKind, Precision, Scores, TextView, Unscored, Way,
};
use proptest::prelude::*;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");

fn tiny(threads: usize, max_batch_tokens: usize) -> Classifier {
    Classifier::builder()
        .model(TINY)
        .threads(threads)
        .max_batch_tokens(max_batch_tokens)
        .build()
        .unwrap()
}

/// Every window is computed alone, by one thread.
static ALONE: LazyLock<Classifier> = LazyLock::new(|| tiny(1, 1));
/// Large batches on several threads.
static TOGETHER: LazyLock<Classifier> = LazyLock::new(|| tiny(3, 4_096));

fn numbers(scores: &Scores) -> Vec<f32> {
    let windows = scores.windows.iter().map(|window| &window.probabilities);
    std::iter::once(&scores.probabilities)
        .chain(windows)
        .flat_map(|p| {
            let categories = Category::ALL.map(|category| p.categories[category]);
            let ways = Way::ALL.map(|way| p.ways[way]);
            [&[p.dehumanization, p.hate], &categories[..], &ways[..]].concat()
        })
        .collect()
}

fn assert_same(one: &Scores, other: &Scores) {
    assert_eq!(one.unscored, other.unscored);
    let bytes = |scores: &Scores| -> Vec<_> {
        scores.windows.iter().map(|window| (window.view, window.bytes.clone())).collect()
    };
    assert_eq!(bytes(one), bytes(other));
    assert_eq!(numbers(one), numbers(other));
}

/// Empty, blank, short, long, duplicate and odd texts.
fn odd_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just(" \t\u{3000}\n".to_owned()),
        Just("\u{0}\u{1}\u{200b}".to_owned()),
        Just("The same text again.".to_owned()),
        "[a-z ,.!]{1,40}",
        "\\PC{0,60}",
        any::<String>(),
        ("[a-zA-Zé한👩🏽‍🦽 ]{5,20}", 1_usize..120).prop_map(|(part, times)| part.repeat(times)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn scores_depend_on_the_text_alone(
        texts in prop::collection::vec(odd_text(), 0..24), rotation in 0_usize..24,
    ) {
        let together = TOGETHER.score(&texts).unwrap();
        prop_assert_eq!(together.len(), texts.len());
        for (text, scores) in texts.iter().zip(&together) {
            assert_same(scores, &ALONE.score(&[text]).unwrap()[0]);
        }
        let mut rotated = texts.clone();
        rotated.rotate_left(rotation.min(texts.len()));
        let mut again = TOGETHER.score(&rotated).unwrap();
        again.rotate_right(rotation.min(texts.len()));
        for (scores, again) in together.iter().zip(&again) {
            assert_same(scores, again);
        }
    }

    #[test]
    fn every_score_is_a_probability_and_every_window_a_part_of_the_text(text in odd_text()) {
        let scores = TOGETHER.score(&[&text]).unwrap().remove(0);
        prop_assert_eq!(scores.windows.is_empty(), scores.unscored.is_some());
        for number in numbers(&scores) {
            prop_assert!((0.0..=1.0).contains(&number));
        }
        for window in &scores.windows {
            prop_assert!(text.get(window.bytes.clone()).is_some_and(|part| !part.is_empty()));
        }
        let of_one_view = scores.windows.windows(2).filter(|pair| pair[0].view == pair[1].view);
        for pair in of_one_view {
            // Several tokens of a view may stand for the same bytes, those of an emoji.
            let raw = pair[0].view == TextView::Raw;
            let order = pair[0].bytes.start.cmp(&pair[1].bytes.start);
            prop_assert!(order.is_lt() || order.is_eq() && !raw);
            prop_assert!(pair[0].bytes.end > pair[1].bytes.start, "windows overlap");
        }
        let highest = scores.windows.iter().map(|w| w.probabilities.dehumanization);
        prop_assert_eq!(scores.dehumanization(), highest.fold(0.0, f32::max));
    }
}

#[test]
fn candle_gives_the_same_scores_but_for_rounding() {
    let candle = |max_batch_tokens| {
        let builder = Classifier::builder().model(TINY).engine(EngineKind::Candle);
        builder.max_batch_tokens(max_batch_tokens).build().unwrap()
    };
    let single = Classifier::builder().model(TINY).precision(Precision::F32).build().unwrap();
    assert_eq!((single.engine(), single.precision()), (EngineKind::Packed, Precision::F32));
    let texts = ["A short one.", "", "And one that is a good deal longer than the first of them."];
    let reference = candle(1).score(&texts).unwrap();
    for classifier in [candle(4_096), single] {
        for (scores, wanted) in classifier.score(&texts).unwrap().iter().zip(&reference) {
            assert_eq!(scores.windows.len(), wanted.windows.len());
            for (a, b) in numbers(scores).into_iter().zip(numbers(wanted)) {
                assert!((a - b).abs() < 1e-5, "{a} and {b}");
            }
        }
    }
}

#[test]
fn repeated_texts_have_the_scores_of_the_first() {
    let texts: Vec<_> = (0..1_500).map(|n| format!("Text {} of a few.", n % 7)).collect();
    let alone: Vec<_> = texts[..7].iter().map(|text| ALONE.score(&[text]).unwrap()).collect();
    for (index, scored) in TOGETHER.stream(&texts).enumerate() {
        assert_same(&scored.unwrap().1, &alone[index % 7][0]);
    }
}

#[test]
fn texts_without_content_are_marked_in_their_place() {
    let scores = TOGETHER.score(&["", "a", " \n\u{3000}", "b", "\u{1}\u{2}"]).unwrap();
    let marks: Vec<_> = scores.iter().map(|scores| scores.unscored).collect();
    let (empty, blank, none) = (Unscored::Empty, Unscored::Blank, Unscored::NoTokens);
    assert_eq!(marks, [Some(empty), None, Some(blank), None, Some(none)]);
    assert!(TOGETHER.score::<&str>(&[]).unwrap().is_empty());
}

#[test]
fn a_text_in_disguise_is_scored_as_it_is_and_as_its_view() {
    let texts = ["no b1rd or w@ter", "no bird or water", "no b i r d", "ca\u{200b}t"];
    let [disguised, plain, spaced, invisible] = TOGETHER.score(&texts).unwrap().try_into().unwrap();
    let views = |scores: &Scores| -> Vec<_> { scores.windows.iter().map(|w| w.view).collect() };
    assert_eq!(views(&disguised), [TextView::Raw, TextView::Normalized]);
    assert_eq!(views(&plain), [TextView::Raw]);
    assert_eq!(spaced.windows[1].bytes, 0..texts[2].len());
    assert_eq!(views(&invisible), [TextView::Raw], "the tokens are the same");
    let [raw, view] = disguised.windows.try_into().unwrap();
    assert_eq!(view.probabilities.dehumanization, plain.dehumanization());
    assert_eq!(view.bytes, 0..texts[0].len());
    let larger = raw.probabilities.hate.max(view.probabilities.hate);
    assert_eq!(disguised.probabilities.hate, larger);
}

#[test]
fn a_text_that_the_vocabulary_knows_only_in_its_view_is_scored_as_that() {
    // Of the first two words the tokenizer would make one unknown token.
    let texts = ["no bird🐕 or water", "no bird dog or water", "no bird🐕 or w\u{a5}ter"];
    let [emoji, named, unknown] = TOGETHER.score(&texts).unwrap().try_into().unwrap();
    let views = |scores: &Scores| -> Vec<_> { scores.windows.iter().map(|w| w.view).collect() };
    assert_eq!(views(&emoji), [TextView::Normalized]);
    assert_eq!(emoji.probabilities, named.probabilities);
    assert_eq!(emoji.windows[0].bytes, 0..texts[0].len());
    assert_eq!(views(&unknown), [TextView::Raw, TextView::Normalized]);
}

#[test]
fn of_a_long_text_windows_that_the_vocabulary_knows_are_read_as_they_are() {
    let text = format!("{}A bird🐕. {0}", "The b1rd and w@ter came again. ".repeat(10));
    let scores = TOGETHER.score(&[&text]).unwrap().remove(0);
    let emoji = text.find('🐕').unwrap();
    let of = |view| {
        let bytes = scores.windows.iter().filter(move |w| w.view == view).map(|w| w.bytes.clone());
        bytes.collect::<Vec<_>>()
    };
    assert!(of(TextView::Normalized).iter().any(|bytes| bytes.contains(&emoji)));
    let raw = of(TextView::Raw);
    assert!(raw.iter().all(|bytes| !bytes.contains(&emoji)));
    assert_eq!((raw[0].start, raw[raw.len() - 1].end), (0, text.trim_end().len()));
}

#[test]
fn a_long_text_in_disguise_has_windows_of_both_views_in_bytes_of_the_original() {
    let text = "The b1rd and w@ter came again. ".repeat(20);
    let scores = TOGETHER.score(&[&text]).unwrap().remove(0);
    let normalized = scores.windows.iter().filter(|w| w.view == TextView::Normalized);
    let bytes: Vec<_> = normalized.map(|window| window.bytes.clone()).collect();
    assert!(bytes.len() > 10 && bytes.len() < scores.windows.len());
    assert_eq!((bytes[0].start, bytes[bytes.len() - 1].end), (0, text.trim_end().len()));
    assert!(bytes.iter().all(|bytes| text.get(bytes.clone()).is_some()));
}

#[test]
fn a_text_that_only_its_view_has_tokens_for_is_scored_by_it() {
    // Tag characters, which the tokenizer drops and a flag is spelled with, do not make content.
    let flag = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}";
    let scores = TOGETHER.score(&[flag, "\u{200b}\u{200e}"]).unwrap();
    assert_eq!(scores[0].windows.last().unwrap().view, TextView::Normalized);
    assert_eq!(scores[1].unscored, Some(Unscored::NoTokens));
}

#[test]
fn texts_are_told_apart() {
    // Would fail if scores were mixed up, or constant.
    let scores = TOGETHER.score(&["alpha", "beta gamma", "delta, epsilon! zeta?"]).unwrap();
    let numbers: Vec<_> = scores.iter().map(numbers).collect();
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let difference = numbers[a].iter().zip(&numbers[b]).map(|(x, y)| (x - y).abs());
        assert!(difference.fold(0.0, f32::max) > 1e-3);
    }
}

#[test]
fn a_long_text_is_scored_to_its_end() {
    let page = "The committee met again and read the minutes. ".repeat(200);
    let with_end = format!("{page}qqq zzz xxx!");
    let scores = TOGETHER.score(&[&page, &with_end]).unwrap();
    let last = |scores: &Scores| scores.windows.last().unwrap().clone();
    assert!(scores[0].windows.len() > 100);
    assert_eq!(last(&scores[0]).bytes.end, page.trim_end().len());
    assert_eq!(last(&scores[1]).bytes.end, with_end.len());
    assert_ne!(last(&scores[0]).probabilities, last(&scores[1]).probabilities);
}

#[test]
fn a_stream_gives_every_item_back_in_order_with_the_scores_of_its_text() {
    // More than one intake of the stream, with a large text in between.
    let texts: Vec<String> = (0..1_300)
        .map(|n| if n == 700 { "word ".repeat(3_000) } else { format!("text {n}") })
        .collect();
    let streamed: Vec<_> = TOGETHER.stream(&texts).map(Result::unwrap).collect();
    assert_eq!(streamed.len(), texts.len());
    for (at, (text, scores)) in streamed.iter().enumerate() {
        assert_eq!(*text, &texts[at]);
        if at % 97 == 0 {
            assert_same(scores, &ALONE.score(&[text]).unwrap()[0]);
        }
    }
    assert_eq!(TOGETHER.stream(Vec::<String>::new()).count(), 0);
}

#[test]
fn a_stream_takes_no_more_than_it_needs() {
    let taken = std::cell::Cell::new(0);
    let endless = (0_u64..).inspect(|_| taken.set(taken.get() + 1)).map(|n| n.to_string());
    assert_eq!(TOGETHER.stream(endless).take(10).count(), 10);
    assert!(taken.get() < 10_000, "{} texts were taken in for ten", taken.get());
}

#[test]
fn one_classifier_serves_many_threads() {
    let texts = ["one", "two words", "and three words"];
    let alone = ALONE.score(&texts).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (a, b) in TOGETHER.score(&texts).unwrap().iter().zip(&alone) {
                    assert_same(a, b);
                }
            });
        }
    });
}

#[test]
fn options_are_taken_and_bad_ones_told() {
    assert_eq!(TOGETHER.threads(), 3);
    let default = Classifier::builder().model(TINY).build().unwrap();
    assert_eq!(default.threads(), thread::available_parallelism().map_or(1, NonZeroUsize::get));
    assert_eq!(default.device(), Device::Cpu);
    assert_eq!(default.model_name(), "tiny-bert");
    let missing = Classifier::builder().model("no/such/place").build().unwrap_err().to_string();
    assert!(missing.contains("dignity.json") && missing.contains("no/such/place"), "{missing}");
    #[cfg(not(feature = "cuda"))]
    {
        let device = Device::Cuda(0);
        let error = Classifier::builder().model(TINY).device(device).build().unwrap_err();
        assert!(error.to_string().contains("--features cuda"), "{error}");
    }
}

#[cfg(feature = "shipped")]
#[test]
fn the_shipped_model_scores_a_text_alike_alone_and_in_company() {
    let texts: Vec<_> = (1..40).map(|n| "Old friends met by the river. ".repeat(n)).collect();
    let together = Classifier::builder().threads(2).max_batch_tokens(2_048).build().unwrap();
    let alone = Classifier::builder().threads(1).max_batch_tokens(1).build().unwrap();
    let (together, alone) = (together.score(&texts).unwrap(), alone.score(&texts).unwrap());
    assert!(together.last().unwrap().windows.len() > 1);
    for (a, b) in together.iter().zip(&alone) {
        assert_same(a, b);
    }
}

#[cfg(feature = "shipped")]
#[test]
fn the_shipped_model_sees_through_disguises() {
    let classifier = Classifier::shipped().unwrap();
    let plain = "Those immigrants are vermin and rats.";
    let disguised = [
        "Those immigrants are v3rm1n and r@ts.",
        "Those immigrants are v e r m i n and r a t s.",
        "Those immigrants are v\u{435}rmin and r\u{430}ts.",
        "Those immigrants are 𝓿𝓮𝓻𝓶𝓲𝓷 and 𝓻𝓪𝓽𝓼.",
        "Those immigrants are verrrrmin and raaaats.",
    ];
    let plain = classifier.score(&[plain]).unwrap()[0].dehumanization();
    for scores in classifier.score(&disguised).unwrap() {
        assert!(scores.dehumanization() >= plain);
    }
}
