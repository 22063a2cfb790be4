//! The front door, and the way of a text through the house.

use std::{num::NonZeroUsize, thread};

use rayon::ThreadPoolBuildError;

use crate::{
    batch::{PackedBatch, Workers, plan},
    digest::Digest,
    engine::{CandleEngine, Device, Engine, EngineError},
    model::{Manifest, Model, ModelError, ModelSource, Policies},
    policy::Policy,
    scores::{Scores, Unscored, WindowScores},
    text::{Tokenizer, TokenizerError, Tokens, Window, WindowLimits},
};

/// How many texts a stream takes in before it computes; sorting by length wants many, memory and
/// the time to the first score want few.
const STREAM_TEXTS: usize = 512;
/// How many bytes of text a stream takes in before it computes (and one text more).
const STREAM_BYTES: usize = 512 * 1024;

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
/// let verdict = classifier.policy().verdict(&scores[0]);
/// println!("{:.3} {}", scores[0].dehumanization(), verdict.decision);
/// # }
/// # Ok(()) }
/// ```
pub struct Classifier {
    tokenizer: Tokenizer,
    window_limits: WindowLimits,
    manifest: Manifest,
    digest: Digest,
    policies: Policies,
    engine: Box<dyn Engine>,
    device: Device,
    tokenizing: Workers,
    /// One on a GPU, where the device itself is what works in parallel; the same number on CPU.
    computing: Option<Workers>,
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
    /// A text's scores do not depend on the other texts or on the number of threads, but for
    /// rounding below 1e-5. Empty and blank texts are marked ([`Scores::unscored`]), not errors.
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
        let texts = self.tokenizing.map(texts, |text| self.window(text.as_ref()))?;
        Ok(Tokenized { texts, special_tokens: self.tokenizer.special_tokens() })
    }

    /// The second half of [`Classifier::score`]: scores texts that this classifier tokenized.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn score_tokenized(&self, tokenized: &Tokenized) -> Result<Vec<Scores>, Error> {
        // The windows of all texts in one list; each text's are neighbours.
        let windows: Vec<_> = tokenized.windows().collect();
        let lengths: Vec<_> = tokenized.lengths().collect();
        let batches = plan(&lengths, self.max_batch_tokens);
        let workers = self.computing.as_ref().unwrap_or(&self.tokenizing);
        let computed = workers.map(&batches, |indices| self.compute(indices, &windows))?;

        let mut scores: Vec<Option<WindowScores>> = vec![None; windows.len()];
        for (&index, window) in batches.iter().flatten().zip(computed.into_iter().flatten()) {
            scores[index] = Some(window);
        }
        // The plan holds every window exactly once, so `flatten` drops nothing.
        let mut scores = scores.into_iter().flatten();
        let texts = tokenized.texts.iter().map(|text| match text.unscored {
            Some(reason) => Scores::without_content(reason),
            None => Scores::from_windows(scores.by_ref().take(text.windows.len()).collect()),
        });
        Ok(texts.collect())
    }

    /// Scores a stream of texts of any length: every text comes back with its scores, in order.
    ///
    /// Takes in some hundred texts at a time, so memory stays bounded. An item may be anything that
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
        Stream {
            classifier: self,
            texts: texts.into_iter(),
            scored: Vec::new().into_iter(),
            failed: false,
        }
    }

    /// The model's default policy, [`DEFAULT_POLICY`](crate::DEFAULT_POLICY).
    pub fn policy(&self) -> &Policy {
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
        &self.manifest.name
    }

    /// The model's version.
    pub fn model_version(&self) -> &str {
        &self.manifest.version
    }

    /// The digest of the model's `dignity.json`, which holds those of its other files.
    pub fn model_digest(&self) -> Digest {
        self.digest
    }

    /// The device that computes.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The number format that the forward pass computes in.
    pub fn precision(&self) -> &'static str {
        self.engine.precision()
    }

    /// The number of worker threads.
    pub fn threads(&self) -> usize {
        self.tokenizing.threads()
    }

    /// Tokens and windows of one text; none for a text without content.
    fn window(&self, text: &str) -> Result<WindowedText, TokenizerError> {
        let without_content = |reason| {
            Ok(WindowedText {
                tokens: Tokens::default(),
                windows: Vec::new(),
                unscored: Some(reason),
            })
        };
        if text.is_empty() {
            return without_content(Unscored::Empty);
        }
        if text.trim().is_empty() {
            return without_content(Unscored::Blank);
        }
        let tokens = self.tokenizer.tokenize(text)?;
        let windows: Vec<_> = self.window_limits.windows(&tokens).collect();
        if windows.is_empty() {
            return without_content(Unscored::NoTokens);
        }
        Ok(WindowedText { tokens, windows, unscored: None })
    }

    /// The scores of the windows at `indices`, computed in one batch.
    fn compute(
        &self,
        indices: &[usize],
        windows: &[(&Tokens, &Window)],
    ) -> Result<Vec<WindowScores>, EngineError> {
        let mut batch = PackedBatch::default();
        for &index in indices {
            let (tokens, window) = windows[index];
            batch.push(self.tokenizer.frame(&tokens.ids[window.tokens.clone()]));
        }
        let logits = self.engine.forward(&batch)?;
        let scored = indices.iter().zip(logits.rows()).map(|(&index, row)| WindowScores {
            bytes: windows[index].1.bytes.clone(),
            probabilities: self.manifest.probabilities(row),
        });
        Ok(scored.collect())
    }
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Classifier")
            .field("model", &self.manifest.name)
            .field("version", &self.manifest.version)
            .field("digest", &self.digest)
            .field("device", &self.device)
            .field("threads", &self.threads())
            .finish_non_exhaustive()
    }
}

/// Texts as windows of tokens; made by [`Classifier::tokenize`] and good for that classifier.
#[derive(Debug)]
pub struct Tokenized {
    texts: Vec<WindowedText>,
    special_tokens: usize,
}

#[derive(Debug)]
struct WindowedText {
    tokens: Tokens,
    windows: Vec<Window>,
    unscored: Option<Unscored>,
}

impl Tokenized {
    /// The length in tokens of every window of every text, special tokens included: what the model
    /// reads, and what scoring costs.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.windows().map(|(_, window)| window.tokens.len() + self.special_tokens)
    }

    fn windows(&self) -> impl Iterator<Item = (&Tokens, &Window)> {
        self.texts.iter().flat_map(|text| text.windows.iter().map(|window| (&text.tokens, window)))
    }
}

/// Texts with their scores, in order; made by [`Classifier::stream`].
///
/// An error ends it: the texts that were being scored have no scores to come back with.
#[derive(Debug)]
pub struct Stream<'c, I: Iterator> {
    classifier: &'c Classifier,
    texts: I,
    scored: std::vec::IntoIter<(I::Item, Scores)>,
    failed: bool,
}

impl<I> Iterator for Stream<'_, I>
where
    I: Iterator<Item: AsRef<str> + Sync>,
{
    type Item = Result<(I::Item, Scores), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(scored) = self.scored.next() {
            return Some(Ok(scored));
        }
        if self.failed {
            return None;
        }
        let mut bytes = 0;
        let mut texts = Vec::new();
        while texts.len() < STREAM_TEXTS && bytes < STREAM_BYTES {
            let Some(text) = self.texts.next() else { break };
            bytes += text.as_ref().len();
            texts.push(text);
        }
        match self.classifier.score(&texts) {
            Ok(scores) => {
                let scored: Vec<_> = texts.into_iter().zip(scores).collect();
                self.scored = scored.into_iter();
                self.scored.next().map(Ok)
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

/// Options for a [`Classifier`].
#[derive(Clone, Debug, Default)]
pub struct ClassifierBuilder {
    model: Option<ModelSource>,
    device: Device,
    threads: Option<NonZeroUsize>,
    max_batch_tokens: Option<NonZeroUsize>,
}

impl ClassifierBuilder {
    /// The model: the name of one that ships, or a model directory. By default the first that ships.
    #[must_use]
    pub fn model(mut self, model: impl Into<ModelSource>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// The device that computes; by default the CPU.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// The number of worker threads; 0, the default, is one for every core.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = NonZeroUsize::new(threads);
        self
    }

    /// How many tokens, padding included, are computed at once by one thread; 0, the default,
    /// chooses by device. A window longer than this is computed alone.
    #[must_use]
    pub fn max_batch_tokens(mut self, tokens: usize) -> Self {
        self.max_batch_tokens = NonZeroUsize::new(tokens);
        self
    }

    /// Loads the model and starts the threads.
    ///
    /// # Errors
    /// When the model's files cannot be read or do not fit one another, the device cannot be used,
    /// or threads cannot be started.
    pub fn build(self) -> Result<Classifier, Error> {
        let source = self.model.or_else(ModelSource::default_shipped).ok_or(Error::NoModel)?;
        let model = Model::load(&source)?;
        let engine = CandleEngine::new(&model, self.device)?;
        let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let tokenizing = Workers::new(self.threads.unwrap_or_else(cores))?;
        let (computing, default_batch) = match self.device {
            Device::Cpu => (None, CPU_BATCH_TOKENS),
            Device::Cuda(_) | Device::Metal(_) => {
                (Some(Workers::new(NonZeroUsize::MIN)?), GPU_BATCH_TOKENS)
            }
        };
        Ok(Classifier {
            tokenizer: model.tokenizer,
            window_limits: model.window_limits,
            manifest: model.manifest,
            digest: model.digest,
            policies: model.policies,
            engine: Box::new(engine),
            device: self.device,
            tokenizing,
            computing,
            max_batch_tokens: self.max_batch_tokens.map_or(default_batch, NonZeroUsize::get),
        })
    }
}

/// Tokens in a batch on the CPU.
const CPU_BATCH_TOKENS: usize = 1_024;
/// Tokens in a batch on a GPU.
const GPU_BATCH_TOKENS: usize = 16_384;

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
