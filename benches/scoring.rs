//! How fast the shipped model scores short texts: `cargo bench`.
//!
//! All cases are measured in turn, A B C A B C, and each gives the median of its rounds: a machine
//! that is slow for a while is so for every case. The texts are made here, of common words, 8 to 128
//! tokens long with a mean near 32, as short social posts are.

use std::{
    error::Error,
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use dignity::Classifier;

/// Rounds over all cases; the median of an odd number is a measurement.
const ROUNDS: usize = 5;
/// Texts in a throughput case.
const TEXTS: usize = 256;
/// Calls in a latency case.
const CALLS: usize = 20;

const WORDS: [&str; 48] = [
    "the", "a", "of", "and", "to", "in", "we", "they", "was", "were", "for", "on", "with", "new",
    "old", "city", "market", "school", "river", "train", "late", "early", "people", "friend",
    "music", "game", "played", "went", "home", "from", "work", "today", "again", "good", "bad",
    "very", "not", "never", "always", "news", "said", "mayor", "street", "house", "rain", "sun",
    "bread", "tea",
];

/// A text of `tokens` tokens, two of which are special: common words are a token each.
fn text(rng: &mut fastrand::Rng, tokens: usize) -> String {
    let words: Vec<_> = (2..tokens).map(|_| WORDS[rng.usize(..WORDS.len())]).collect();
    words.join(" ")
}

/// Texts of 8 to 128 tokens: 8 and an exponential of mean 25, cut off.
fn posts() -> Vec<String> {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut length = || 8 + (-25.0 * (1.0 - rng.f64()).ln()) as usize;
    let lengths: Vec<_> = (0..TEXTS).map(|_| length().min(128)).collect();
    lengths.into_iter().map(|tokens| text(&mut rng, tokens)).collect()
}

struct Case<'a> {
    name: String,
    /// Texts and tokens that a call of `run` works through.
    texts: usize,
    tokens: usize,
    run: Box<dyn Fn() -> Result<(), dignity::Error> + 'a>,
    times: Vec<Duration>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let posts = posts();
    let build =
        |threads, budget| Classifier::builder().threads(threads).max_batch_tokens(budget).build();
    let mut threads: Vec<usize> = vec![1, cores];
    threads.dedup();
    let mut classifiers = Vec::new();
    for &threads in &threads {
        for budget in [1, 256, 512, 1_024, 4_096] {
            classifiers.push((threads, budget, build(threads, budget)?));
        }
    }
    let standard = build(0, 0)?;
    let tokenized = standard.tokenize(&posts)?;
    let lengths: Vec<_> = tokenized.lengths().collect();
    let tokens: usize = lengths.iter().sum();
    println!(
        "{TEXTS} texts in windows of {} to {} tokens, {:.1} tokens a text; {cores} cores; medians of \
         {ROUNDS} rounds",
        lengths.iter().min().unwrap_or(&0),
        lengths.iter().max().unwrap_or(&0),
        tokens as f64 / TEXTS as f64,
    );

    let mut rng = fastrand::Rng::with_seed(8);
    let singles: Vec<_> = [8, 32, 128].map(|tokens| (tokens, [text(&mut rng, tokens)])).into();

    let mut cases = Vec::new();
    let mut case = |name: String, texts, tokens, run: Box<dyn Fn() -> _>| {
        cases.push(Case { name, texts, tokens, run, times: Vec::new() });
    };
    case(
        format!("tokenizing, {cores} threads"),
        TEXTS,
        tokens,
        Box::new(|| standard.tokenize(&posts).map(|tokenized| drop(black_box(tokenized)))),
    );
    case(
        format!("forward pass, {cores} threads"),
        TEXTS,
        tokens,
        Box::new(|| standard.score_tokenized(&tokenized).map(|scores| drop(black_box(scores)))),
    );
    for (threads, budget, classifier) in &classifiers {
        let posts = &posts;
        case(
            format!("whole way, {threads} threads, batches of {budget} tokens"),
            TEXTS,
            tokens,
            Box::new(move || classifier.score(posts).map(|scores| drop(black_box(scores)))),
        );
    }
    for (tokens, single) in &singles {
        let standard = &standard;
        case(
            format!("one text of {tokens} tokens at a time"),
            CALLS,
            CALLS * tokens,
            Box::new(move || {
                (0..CALLS).try_for_each(|_| standard.score(single).map(|s| drop(black_box(s))))
            }),
        );
    }

    for _ in 0..ROUNDS {
        for case in &mut cases {
            let start = Instant::now();
            (case.run)()?;
            case.times.push(start.elapsed());
        }
    }
    println!("{:<48} {:>10} {:>10} {:>12}", "", "texts/s", "tokens/s", "ms a text");
    for case in &mut cases {
        case.times.sort_unstable();
        let seconds = case.times[ROUNDS / 2].as_secs_f64();
        println!(
            "{:<48} {:>10.0} {:>10.0} {:>12.3}",
            case.name,
            case.texts as f64 / seconds,
            case.tokens as f64 / seconds,
            1e3 * seconds / case.texts as f64,
        );
    }
    Ok(())
}
