//! The front door, and the way of a text through the house.

mod builder;
mod stream;
mod tokenized;

use std::sync::Arc;

use rayon::ThreadPoolBuildError;

pub(crate) use self::tokenized::Reading;
use self::tokenized::WindowedText;
pub use self::{builder::ClassifierBuilder, stream::Stream, tokenized::Tokenized};
use crate::{
    batch::{PackedBatch, Worker, Workers, plan},
    digest::Digest,
    engine::{Device, Engine, EngineError, EngineKind, Precision},
    model::{Labels, ModelError, Policies},
    policy::Policy,
    repeats::{Remembered, without_repeats},
    scores::{Probabilities, Scores, TextView, Unscored},
    text::{NormalizedView, Tokenizer, TokenizerError, Tokens, WindowLimits},
};

/// Scores texts for dehumanizing language.
///
/// Cheap to share: `score` takes `&self`, and a classifier is `Send + Sync`. Several threads may
/// score at once; they share the classifier's worker threads.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "shipped")] {
/// let classifier = dignity::Classifier::shipped()?;
/// let scores = classifier.score(&["Our neighbours from Eritrea opened a bakery."])?;
/// let policy = classifier.policy().expect("the model that ships has policies");
/// println!("{:.3} {}", scores[0].dehumanization(), policy.verdict(&scores[0]).decision);
/// # }
/// # Ok(()) }
/// ```
pub struct Classifier {
    tokenizer: Tokenizer,
    window_limits: WindowLimits,
    name: String,
    version: String,
    digest: Digest,
    tokenizer_digest: Digest,
    labels: Arc<Labels>,
    policies: Policies,
    /// One for each device, all alike; at least one.
    engines: Vec<Box<dyn Engine>>,
    engine_kind: EngineKind,
    device: Device,
    tokenizing: Workers,
    /// Where GPUs compute, those that feed them; on the CPU, those that tokenize compute too.
    feeding: Option<Workers>,
    max_batch_tokens: usize,
}

impl Classifier {
    /// The model that ships, on the CPU, with a thread for every core.
    ///
    /// # Errors
    /// When threads cannot be started.
    #[cfg(feature = "shipped")]
    pub fn shipped() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Options for a classifier, each with a default.
    pub fn builder() -> ClassifierBuilder {
        ClassifierBuilder::default()
    }

    /// Scores texts: one [`Scores`] for every text, in order.
    ///
    /// A text's scores do not depend on the other texts or on the number of threads: not in a single
    /// bit on the CPU, but for rounding below 1e-5 with candle. Empty and blank texts are marked ([`Scores::unscored`]), not errors.
    /// All texts are held at once; for more than a few thousand, see [`Classifier::stream`].
    ///
    /// # Errors
    /// When the engine fails, which leaves no text scored.
    pub fn score<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Scores>, Error> {
        self.score_tokenized(&self.tokenize(texts)?)
    }

    /// The first half of [`Classifier::score`]: texts to windows of tokens.
    ///
    /// # Errors
    /// When a text cannot be tokenized.
    pub fn tokenize<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Tokenized, Error> {
        let texts = self.tokenizing.map(texts, |text, _| self.window(text.as_ref()))?;
        let special_tokens = self.tokenizer.special_tokens();
        Ok(Tokenized { texts, special_tokens, labels: Arc::clone(&self.labels) })
    }

    /// The second half of [`Classifier::score`]: scores texts that this classifier tokenized.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn score_tokenized(&self, tokenized: &Tokenized) -> Result<Vec<Scores>, Error> {
        self.score_remembering(tokenized, None)
    }

    /// Scores texts; windows that are `remembered` are not computed again.
    fn score_remembering(
        &self,
        tokenized: &Tokenized,
        remembered: Option<&mut Remembered>,
    ) -> Result<Vec<Scores>, Error> {
        let contents: Vec<_> = tokenized.contents().collect();
        let probabilities =
            without_repeats(&contents, remembered, |fresh| self.probabilities(fresh))?;
        Ok(tokenized.scores(probabilities))
    }

    /// The probabilities of every window, in order, given its tokens without special ones.
    pub(crate) fn probabilities(&self, contents: &[&[u32]]) -> Result<Vec<Probabilities>, Error> {
        let special_tokens = self.tokenizer.special_tokens();
        let lengths: Vec<_> = contents.iter().map(|ids| ids.len() + special_tokens).collect();
        let workers = self.feeding.as_ref().unwrap_or(&self.tokenizing);
        let batches = plan(&lengths, self.max_batch_tokens, workers.threads());
        let computed =
            workers.map(&batches, |indices, worker| self.compute(indices, contents, worker))?;

        let mut all = vec![Probabilities::default(); contents.len()];
        // The plan holds every window exactly once.
        for (&index, probabilities) in batches.iter().flatten().zip(computed.into_iter().flatten())
        {
            all[index] = probabilities;
        }
        Ok(all)
    }

    /// Scores a stream of texts of any length: every text comes back with its scores, in order.
    ///
    /// Takes in some hundred texts at a time, so memory stays bounded; the last some thousand windows
    /// are remembered, so that what repeats itself is computed once. An item may be anything that
    /// lends a text, a record of a file for instance.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "shipped")] {
    /// # let classifier = dignity::Classifier::shipped()?;
    /// let posts = (1..=3).map(|n| format!("Post number {n}."));
    /// for scored in classifier.stream(posts) {
    ///     let (post, scores) = scored?;
    ///     println!("{post} {:.3}", scores.dehumanization());
    /// }
    /// # }
    /// # Ok(()) }
    /// ```
    pub fn stream<I>(&self, texts: I) -> Stream<'_, I::IntoIter>
    where
        I: IntoIterator<Item: AsRef<str> + Sync>,
    {
        Stream::new(self, texts.into_iter())
    }

    /// The model's default policy, [`DEFAULT_POLICY`](crate::DEFAULT_POLICY). Models of dignity's have
    /// one; those of other makers may have none.
    pub fn policy(&self) -> Option<&Policy> {
        self.policies.default()
    }

    /// The model's policies, the default first.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter()
    }

    /// The model's policy of this name.
    pub fn policy_named(&self, name: &str) -> Option<&Policy> {
        self.policies().find(|policy| policy.name() == name)
    }

    /// The model's name.
    pub fn model_name(&self) -> &str {
        &self.name
    }

    /// The model's version; empty where the model does not tell.
    pub fn model_version(&self) -> &str {
        &self.version
    }

    /// What the model's logits mean.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The digest of the model's `dignity.json`, which holds those of its other files; of a model
    /// without one, the digest of the list of its files' digests.
    pub fn model_digest(&self) -> Digest {
        self.digest
    }

    /// The digest of the model's `tokenizer.json`.
    pub fn tokenizer_digest(&self) -> Digest {
        self.tokenizer_digest
    }

    /// The device that computes.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The implementation of the forward pass.
    pub fn engine(&self) -> EngineKind {
        self.engine_kind
    }

    /// The number format that the forward pass computes in. Single precision, where the one that
    /// was asked for cannot be had.
    pub fn precision(&self) -> Precision {
        self.engines[0].precision()
    }

    /// The number of worker threads.
    pub fn threads(&self) -> usize {
        self.tokenizing.threads()
    }

    /// The normalized view of a text: invisible characters left out, letters in another dress or of
    /// another script made plain, "v3rm1n", "v e r m i n" and "verrrmin" decoded, emoji named. None
    /// where that changes nothing.
    ///
    /// Whether letters spell a word is judged by the model's vocabulary, in leetspeak also by whether
    /// they can be pronounced like an English one. Ordinary texts in any script, part numbers,
    /// prices, addresses and abbreviations are their own view.
    pub fn normalized_view(&self, text: &str) -> Option<NormalizedView> {
        NormalizedView::of(text, &self.tokenizer)
    }

    /// What the model reads of one text; nothing for a text without content.
    fn window(&self, text: &str) -> Result<WindowedText, TokenizerError> {
        let without_content =
            |reason| Ok(WindowedText { readings: Vec::new(), unscored: Some(reason) });
        if text.is_empty() {
            return without_content(Unscored::Empty);
        }
        if text.trim().is_empty() {
            return without_content(Unscored::Blank);
        }
        let reading = |view, tokens| {
            let windows = self.window_limits.windows(&tokens).collect();
            Reading { view, tokens, windows }
        };
        let raw = self.tokenizer.tokenize(text)?;
        let normalized = match self.normalized_view(text) {
            Some(view) => Some(self.tokenize_view(&view)?),
            None => None,
        };
        let normalized = normalized.filter(|view| !view.ids.is_empty() && view.ids != raw.ids);
        let mut raw = reading(TextView::Raw, raw);
        let is_any_unknown = |ids: &[u32]| self.tokenizer.is_any_unknown(ids);
        if normalized.as_ref().is_some_and(|tokens| !is_any_unknown(&tokens.ids)) {
            // Of a word with an emoji the model would read only that it is unknown, and guess.
            let Reading { tokens, windows, .. } = &mut raw;
            windows.retain(|window| !is_any_unknown(&tokens.ids[window.tokens.clone()]));
        }
        let normalized = normalized.map(|tokens| reading(TextView::Normalized, tokens));
        let readings: Vec<_> = std::iter::once(raw)
            .chain(normalized)
            .filter(|reading| !reading.windows.is_empty())
            .collect();
        if readings.is_empty() {
            return without_content(Unscored::NoTokens);
        }
        Ok(WindowedText { readings, unscored: None })
    }

    /// The tokens of a view, with offsets into the original.
    fn tokenize_view(&self, view: &NormalizedView) -> Result<Tokens, TokenizerError> {
        let mut tokens = self.tokenizer.tokenize(view.text())?;
        for (start, end) in &mut tokens.offsets {
            let bytes = view.original(*start..*end);
            (*start, *end) = (bytes.start, bytes.end);
        }
        Ok(tokens)
    }

    /// The probabilities of the windows at `indices`, computed in one batch.
    fn compute(
        &self,
        indices: &[usize],
        contents: &[&[u32]],
        worker: Worker,
    ) -> Result<Vec<Probabilities>, EngineError> {
        let mut batch = PackedBatch::default();
        for &index in indices {
            batch.push(self.tokenizer.frame(contents[index]));
        }
        let engine = &self.engines[worker.pool % self.engines.len()];
        let logits = engine.forward(&batch, worker.threads)?;
        Ok(logits.rows().map(|row| self.labels.probabilities(row)).collect())
    }
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Classifier")
            .field("model", &self.name)
            .field("version", &self.version)
            .field("digest", &self.digest)
            .field("device", &self.device)
            .field("threads", &self.threads())
            .finish_non_exhaustive()
    }
}

/// Why a classifier could not be built or could not score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No model was named and none ships with this build.
    #[error(
        "no model was named, and this build has none; name a directory, or use the feature `shipped`"
    )]
    NoModel,
    /// The model could not be loaded.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The engine could not be built or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A text could not be tokenized.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The threads could not be started.
    #[error("the worker threads could not be started: {0}")]
    Threads(#[from] ThreadPoolBuildError),
}
