//! How fast the shipped model scores short texts, and what share that is of what the CPU could do if it
//! did nothing but multiply: `cargo bench`.
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

use dignity::{
    Classifier, EngineKind, MultiplicationLimits, Precision, instruction_set, multiplication_limits,
};

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

/// Multiplications and additions of the linear layers, each counted as one, that a window of so many
/// tokens needs. The last layer computes queries and its second half for the first token only, which
/// is all that is pooled.
fn operations(tokens: usize) -> usize {
    const HIDDEN: usize = 384;
    const INTERMEDIATE: usize = 1_536;
    const LAYERS: usize = 6;
    let (key_value, rest) = (2 * HIDDEN * HIDDEN, 2 * HIDDEN * HIDDEN + 2 * HIDDEN * INTERMEDIATE);
    2 * (tokens * (LAYERS * key_value + (LAYERS - 1) * rest) + rest)
}

struct Case<'a> {
    name: String,
    texts: usize,
    /// What a call of `run` multiplies and adds, and on how many threads; none where that is not the
    /// point.
    operations: Option<(usize, Precision, usize)>,
    run: Box<dyn Fn() -> Result<(), dignity::Error> + 'a>,
    times: Vec<Duration>,
}

/// Operations a second that this many threads reach together.
fn limits(threads: usize) -> Result<MultiplicationLimits, Box<dyn Error>> {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(multiplication_limits)).collect();
        let mut sums = MultiplicationLimits::default();
        for worker in workers {
            let limits = worker.join().map_err(|_| "a thread panicked")??;
            sums.int8 += limits.int8;
            sums.w8a16 += limits.w8a16;
            sums.bf16 = limits.bf16.map(|bf16| bf16 + sums.bf16.unwrap_or_default());
            sums.f32 += limits.f32;
        }
        Ok(sums)
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let posts = posts();
    let mut rng = fastrand::Rng::with_seed(8);
    let singles: Vec<_> = [8, 32, 128].map(|tokens| (tokens, [text(&mut rng, tokens)])).into();
    let mut threads = vec![1, cores];
    threads.dedup();
    let mut classifiers = Vec::new();
    for &threads in &threads {
        let mut build = |engine, precision, budgets: &[usize]| -> Result<(), dignity::Error> {
            for &budget in budgets {
                let builder = Classifier::builder().engine(engine).precision(precision);
                let classifier = builder.threads(threads).max_batch_tokens(budget).build()?;
                // Where the CPU has no products of bf16 it computes in f32.
                if classifier.precision() == precision {
                    classifiers.push((threads, budget, classifier));
                }
            }
            Ok(())
        };
        build(EngineKind::Packed, Precision::Int8, &[1, 64, 128, 256, 1_024])?;
        build(EngineKind::Packed, Precision::W8A16, &[64, 128, 256])?;
        build(EngineKind::Packed, Precision::Bf16, &[128, 512])?;
        build(EngineKind::Packed, Precision::F32, &[128, 512])?;
        build(EngineKind::Candle, Precision::F32, &[1_024])?;
    }
    let standard = Classifier::shipped()?;
    let tokenized = standard.tokenize(&posts)?;
    let lengths: Vec<_> = tokenized.lengths().collect();
    let needed = lengths.iter().map(|&length| operations(length)).sum::<usize>();
    println!(
        "{TEXTS} texts in windows of {} to {} tokens, {:.1} tokens and {:.3} billion operations a text; \
         {cores} cores, {}; medians of {ROUNDS} rounds",
        lengths.iter().min().unwrap_or(&0),
        lengths.iter().max().unwrap_or(&0),
        lengths.iter().sum::<usize>() as f64 / TEXTS as f64,
        needed as f64 / 1e9 / TEXTS as f64,
        instruction_set()?,
    );

    let mut cases = Vec::new();
    let mut case = |name, texts, operations, run: Box<dyn Fn() -> _>| {
        cases.push(Case { name, texts, operations, run, times: Vec::new() });
    };
    case(
        format!("tokenizing, {cores} threads"),
        TEXTS,
        None,
        Box::new(|| standard.tokenize(&posts).map(|tokenized| drop(black_box(tokenized)))),
    );
    for (threads, budget, classifier) in &classifiers {
        let (posts, precision, engine) = (&posts, classifier.precision(), classifier.engine());
        case(
            format!("{engine} {precision}, {threads} threads, batches of {budget} tokens"),
            TEXTS,
            Some((needed, precision, *threads)),
            Box::new(move || classifier.score(posts).map(|scores| drop(black_box(scores)))),
        );
    }
    for (tokens, single) in &singles {
        let needed = standard.tokenize(single)?.lengths().map(operations).sum::<usize>();
        for (threads, _, classifier) in classifiers.iter().filter(|(_, budget, _)| *budget == 128) {
            let precision = classifier.precision();
            case(
                format!("{precision}, {threads} threads, one text of {tokens} tokens at a time"),
                CALLS,
                Some((CALLS * needed, precision, *threads)),
                Box::new(move || {
                    (0..CALLS)
                        .try_for_each(|_| classifier.score(single).map(|s| drop(black_box(s))))
                }),
            );
        }
    }

    let mut reached: Vec<Vec<MultiplicationLimits>> = vec![Vec::new(); threads.len()];
    for _ in 0..ROUNDS {
        for (&threads, reached) in threads.iter().zip(&mut reached) {
            reached.push(limits(threads)?);
        }
        for case in &mut cases {
            let start = Instant::now();
            (case.run)()?;
            case.times.push(start.elapsed());
        }
    }
    let mut limits = Vec::new();
    for (&threads, reached) in threads.iter().zip(reached) {
        let of =
            |limit: fn(&MultiplicationLimits) -> f64| median(reached.iter().map(limit).collect());
        let (int8, w8a16, f32) = (of(|l| l.int8), of(|l| l.w8a16), of(|l| l.f32));
        println!(
            "limit of {threads} threads: int8 {:.0}, w8a16 {:.0}, f32 {:.0} billion operations a second",
            int8 / 1e9,
            w8a16 / 1e9,
            f32 / 1e9,
        );
        if reached.iter().all(|limits| limits.bf16.is_some()) {
            let bf16 = of(|l| l.bf16.unwrap_or_default());
            println!("and bf16 {:.0}", bf16 / 1e9);
            limits.push((threads, Precision::Bf16, bf16));
        }
        limits.push((threads, Precision::Int8, int8));
        limits.push((threads, Precision::W8A16, w8a16));
        limits.push((threads, Precision::F32, f32));
    }
    println!("{:<54} {:>9} {:>10} {:>9}", "", "texts/s", "ms a text", "of limit");
    for case in cases {
        let seconds = median(case.times.iter().map(Duration::as_secs_f64).collect());
        let share = case.operations.and_then(|(operations, precision, threads)| {
            let same =
                |limit: &&(usize, Precision, f64)| (limit.0, limit.1) == (threads, precision);
            let (_, _, limit) = limits.iter().find(same)?;
            Some(format!("{:.0}%", 100.0 * operations as f64 / seconds / limit))
        });
        println!(
            "{:<54} {:>9.0} {:>10.3} {:>9}",
            case.name,
            case.texts as f64 / seconds,
            1e3 * seconds / case.texts as f64,
            share.unwrap_or_default(),
        );
    }
    Ok(())
}
