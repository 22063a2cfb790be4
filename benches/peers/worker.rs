//! A process that holds dignity for the side-by-side runs of `benches/peers`: takes a JSON command a
//! line, gives a JSON answer a line. `peer_worker ENGINE PRECISION THREADS MODEL_DIRECTORY`

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    time::Instant,
};

use dignity::{Classifier, EngineKind, Precision};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Command {
    /// Scores every `share`-th text of a file in batches of at most `batch` tokens.
    Run {
        texts: String,
        batch: usize,
        #[serde(default = "one")]
        share: usize,
        #[serde(default)]
        scores: bool,
    },
    /// Scores one text `calls` times, alone.
    Latency { text: String, calls: usize },
}

fn one() -> usize {
    1
}

/// A classifier, made anew where another batch size is asked for; 0 is dignity's own.
struct Worker {
    arguments: Vec<String>,
    batch: usize,
    classifier: Classifier,
}

fn build(arguments: &[String], batch: usize) -> Result<Classifier, Box<dyn Error>> {
    let [engine, precision, threads, model] = arguments else {
        return Err("usage: peer_worker ENGINE PRECISION THREADS MODEL_DIRECTORY".into());
    };
    let precision = precision.parse::<Precision>()?;
    let classifier = Classifier::builder()
        .model(model.as_str())
        .engine(engine.parse::<EngineKind>()?)
        .precision(precision)
        .threads(threads.parse()?)
        .max_batch_tokens(batch)
        .build()?;
    if classifier.precision() != precision {
        let instead = classifier.precision();
        return Err(format!("dignity has no {precision} here and takes {instead} instead").into());
    }
    Ok(classifier)
}

impl Worker {
    fn new(arguments: Vec<String>) -> Result<Self, Box<dyn Error>> {
        let classifier = build(&arguments, 0)?;
        Ok(Self { arguments, batch: 0, classifier })
    }

    fn answer(&mut self, line: &str) -> Result<Value, Box<dyn Error>> {
        match serde_json::from_str(line)? {
            Command::Run { texts, batch, share, scores } => self.run(&texts, batch, share, scores),
            Command::Latency { text, calls } => self.latency(&text, calls),
        }
    }

    fn run(
        &mut self,
        texts: &str,
        batch: usize,
        share: usize,
        with_scores: bool,
    ) -> Result<Value, Box<dyn Error>> {
        if batch != self.batch {
            self.classifier = build(&self.arguments, batch)?;
            self.batch = batch;
        }
        let texts: Vec<String> = serde_json::from_slice(&fs::read(texts)?)?;
        let texts: Vec<_> = texts.into_iter().step_by(share).collect();
        let start = Instant::now();
        let tokenized = self.classifier.tokenize(&texts)?;
        let scores = self.classifier.score_tokenized(&tokenized)?;
        let seconds = start.elapsed().as_secs_f64();
        let windows: Vec<_> = tokenized.lengths().collect();
        if windows.len() != texts.len() {
            return Err(format!("{} texts have {} windows", texts.len(), windows.len()).into());
        }
        let tokens: usize = windows.iter().sum();
        let mut answer = json!({"seconds": seconds, "texts": texts.len(), "tokens": tokens});
        if with_scores {
            let scores: Vec<_> = scores.iter().map(|scores| scores.dehumanization()).collect();
            answer["scores"] = json!(scores);
        }
        Ok(answer)
    }

    fn latency(&self, text: &str, calls: usize) -> Result<Value, Box<dyn Error>> {
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let start = Instant::now();
            self.classifier.score(&[text])?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        Ok(json!({"milliseconds": 1e3 * times[calls / 2].as_secs_f64()}))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut answers = io::stdout().lock();
    let mut worker = match Worker::new(env::args().skip(1).collect()) {
        Ok(worker) => worker,
        Err(error) => {
            writeln!(answers, "{}", json!({"error": error.to_string()}))?;
            return Ok(());
        }
    };
    writeln!(answers, "{}", json!({"ready": true}))?;
    for line in io::stdin().lines() {
        let answer = worker.answer(&line?).unwrap_or_else(|e| json!({"error": e.to_string()}));
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}
