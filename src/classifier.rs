//! The front door, and the way of a text through the house.

use std::{num::NonZeroUsize, sync::Arc, thread};

use rayon::ThreadPoolBuildError;

#[cfg(feature = "hub")]
use crate::model::HubOptions;
use crate::{
    batch::{PackedBatch, Worker, Workers, plan},
    digest::Digest,
    engine::{Device, Engine, EngineError, EngineKind, Precision},
    model::{Labels, Model, ModelError, ModelSource, Policies, Roles},
    policy::Policy,
    repeats::{Remembered, without_repeats},
    scores::{Probabilities, Scores, TextView, Unscored, WindowScores},
    text::{NormalizedView, Tokenizer, TokenizerError, Tokens, Window, WindowLimits},
};

/// How many texts a stream takes in before it computes; sorting by length wants many, memory and
/// the time to the first score want few.
const STREAM_TEXTS: usize = 512;
/// How many bytes of text a stream takes in before it computes (and one text more).
const STREAM_BYTES: usize = 512 * 1024;
/// So many times as much for GPUs, which want large batches.
const GPU_STREAM_FACTOR: usize = 16;

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
        Stream {
            classifier: self,
            texts: texts.into_iter(),
            remembered: Remembered::default(),
            ahead: None,
            scored: Vec::new().into_iter(),
            failed: false,
        }
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
    /// Whether letters spell a word is judged by the model's vocabulary. Ordinary texts in any
    /// script, part numbers, prices, addresses and abbreviations are their own view.
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
        let mut readings = Vec::with_capacity(1);
        if let Some(view) = self.normalized_view(text) {
            let mut tokens = self.tokenizer.tokenize(view.text())?;
            if tokens.ids != raw.ids && !tokens.ids.is_empty() {
                for (start, end) in &mut tokens.offsets {
                    let bytes = view.original(*start..*end);
                    (*start, *end) = (bytes.start, bytes.end);
                }
                readings.push(reading(TextView::Normalized, tokens));
            }
        }
        if !raw.ids.is_empty() {
            readings.insert(0, reading(TextView::Raw, raw));
        }
        if readings.is_empty() {
            return without_content(Unscored::NoTokens);
        }
        Ok(WindowedText { readings, unscored: None })
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

/// Texts as windows of tokens; made by [`Classifier::tokenize`] and good for that classifier.
#[derive(Debug)]
pub struct Tokenized {
    pub(crate) texts: Vec<WindowedText>,
    pub(crate) special_tokens: usize,
    /// Of the classifier.
    pub(crate) labels: Arc<Labels>,
}

#[derive(Debug)]
pub(crate) struct WindowedText {
    /// The raw text's, then the normalized view's; at least one unless unscored.
    pub(crate) readings: Vec<Reading>,
    unscored: Option<Unscored>,
}

/// One form of a text as the model reads it.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) view: TextView,
    pub(crate) tokens: Tokens,
    pub(crate) windows: Vec<Window>,
}

impl Reading {
    /// The ids of a window's tokens.
    pub(crate) fn content(&self, window: &Window) -> &[u32] {
        &self.tokens.ids[window.tokens.clone()]
    }
}

impl WindowedText {
    fn windows(&self) -> impl Iterator<Item = (&Reading, &Window)> {
        self.readings
            .iter()
            .flat_map(move |reading| reading.windows.iter().map(move |window| (reading, window)))
    }
}

impl Tokenized {
    /// The length in tokens of every window of every text, special tokens included: what the model
    /// reads, and what scoring costs.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.windows().map(|(_, window)| window.tokens.len() + self.special_tokens)
    }

    /// The tokens of every window of every text, without special ones, in order; each text's are
    /// neighbours.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &[u32]> {
        self.windows().map(|(reading, window)| reading.content(window))
    }

    /// The scores of every text, given the probabilities of every window.
    pub(crate) fn scores(
        &self,
        probabilities: impl IntoIterator<Item = Probabilities>,
    ) -> Vec<Scores> {
        let mut probabilities = probabilities.into_iter();
        let texts = self.texts.iter().map(|text| match text.unscored {
            Some(reason) => Scores::without_content(reason, &self.labels),
            None => {
                let windows = text.windows().zip(probabilities.by_ref());
                let scored = windows.map(|((reading, window), probabilities)| WindowScores {
                    view: reading.view,
                    bytes: window.bytes.clone(),
                    probabilities,
                });
                Scores::from_windows(scored.collect(), &self.labels)
            }
        });
        texts.collect()
    }

    /// Each text by itself, in order.
    #[cfg(feature = "server")]
    pub(crate) fn into_texts(self) -> impl Iterator<Item = Self> {
        let Self { texts, special_tokens, labels } = self;
        let alone =
            move |text| Self { texts: vec![text], special_tokens, labels: Arc::clone(&labels) };
        texts.into_iter().map(alone)
    }

    /// Windows of tokens that are of no text; their scores, in order, are those of one text's windows.
    #[cfg(feature = "server")]
    pub(crate) fn of_windows(
        contents: &[&[u32]],
        special_tokens: usize,
        labels: &Arc<Labels>,
    ) -> Self {
        let mut ids = Vec::new();
        let windows = contents.iter().map(|content| {
            let start = ids.len();
            ids.extend_from_slice(content);
            Window { tokens: start..ids.len(), bytes: 0..0 }
        });
        let windows = windows.collect();
        let tokens = Tokens { ids, offsets: Vec::new() };
        let reading = Reading { view: TextView::Raw, tokens, windows };
        let text = WindowedText { readings: vec![reading], unscored: None };
        Self { texts: vec![text], special_tokens, labels: Arc::clone(labels) }
    }

    fn windows(&self) -> impl Iterator<Item = (&Reading, &Window)> {
        self.texts.iter().flat_map(WindowedText::windows)
    }
}

/// Texts with their scores, in order; made by [`Classifier::stream`].
///
/// An error ends it: the texts that were being scored have no scores to come back with. Where GPUs
/// compute, the next texts are taken in and tokenized meanwhile.
#[derive(Debug)]
pub struct Stream<'c, I: Iterator> {
    classifier: &'c Classifier,
    texts: I,
    remembered: Remembered,
    /// What was taken in while a GPU computed.
    ahead: Option<Result<Taken<I::Item>, Error>>,
    scored: std::vec::IntoIter<(I::Item, Scores)>,
    failed: bool,
}

/// Some texts of a stream, tokenized.
#[derive(Debug)]
struct Taken<T> {
    texts: Vec<T>,
    tokenized: Tokenized,
}

impl<T: AsRef<str> + Sync> Taken<T> {
    /// Takes in some hundred texts, or what is left; none at the end.
    fn from(classifier: &Classifier, rest: &mut impl Iterator<Item = T>) -> Result<Self, Error> {
        let factor = if classifier.feeding.is_some() { GPU_STREAM_FACTOR } else { 1 };
        let mut bytes = 0;
        let mut texts = Vec::new();
        while texts.len() < factor * STREAM_TEXTS && bytes < factor * STREAM_BYTES {
            let Some(text) = rest.next() else { break };
            bytes += text.as_ref().len();
            texts.push(text);
        }
        let tokenized = classifier.tokenize(&texts)?;
        Ok(Self { texts, tokenized })
    }
}

impl<I> Stream<'_, I>
where
    I: Iterator<Item: AsRef<str> + Sync>,
{
    fn score_next(&mut self) -> Result<Vec<(I::Item, Scores)>, Error> {
        let Self { classifier, texts: rest, remembered, ahead, .. } = self;
        let taken = ahead.take().unwrap_or_else(|| Taken::from(classifier, rest));
        let Taken { texts, tokenized } = taken?;
        let mut score = || classifier.score_remembering(&tokenized, Some(remembered));
        let scores = match classifier.feeding {
            None => score(),
            Some(_) => thread::scope(|scope| {
                let scoring = scope.spawn(score);
                *ahead = Some(Taken::from(classifier, rest));
                scoring.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }),
        };
        Ok(texts.into_iter().zip(scores?).collect())
    }
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
        match self.score_next() {
            Ok(scored) => {
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
    roles: Option<Roles>,
    #[cfg(feature = "hub")]
    hub: Option<HubOptions>,
    device: Device,
    engine: Option<EngineKind>,
    precision: Option<Precision>,
    threads: Option<NonZeroUsize>,
    max_batch_tokens: Option<NonZeroUsize>,
}

impl ClassifierBuilder {
    /// The model: the name of one that ships, a [model directory](ModelSource), or `hub:` and a
    /// [`HubModel`](crate::HubModel), which is fetched. By default the first that ships.
    #[must_use]
    pub fn model(mut self, model: impl Into<ModelSource>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// What labels of a model of another maker are to dignity, in place of its `roles.toml`.
    #[must_use]
    pub fn roles(mut self, roles: Roles) -> Self {
        self.roles = Some(roles);
        self
    }

    /// Where the hub and its cache are, for a model of the hub; by default what the environment says
    /// ([`HubOptions::from_env`]).
    #[cfg(feature = "hub")]
    #[must_use]
    pub fn hub(mut self, options: HubOptions) -> Self {
        self.hub = Some(options);
        self
    }

    /// The device that computes; by default [`Device::Auto`].
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// The implementation of the forward pass; by default dignity's own on the CPU, candle's
    /// elsewhere.
    #[must_use]
    pub fn engine(mut self, engine: EngineKind) -> Self {
        self.engine = Some(engine);
        self
    }

    /// The number format that products are computed in; by default the fastest that the engine has.
    /// Where it cannot be had, single precision takes its place; see [`Classifier::precision`].
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = Some(precision);
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
        #[cfg(feature = "hub")]
        let source = source.fetched(self.hub)?;
        let model = Model::load(&source, self.roles.as_ref())?;
        let device = self.device.resolve();
        let best = || EngineKind::best(&model.config.encoder, device);
        let engine_kind = self.engine.unwrap_or_else(best);
        let each = device.each().into_iter();
        let engines: Vec<_> = each
            .map(|device| engine_kind.load(&model, device, self.precision))
            .collect::<Result<_, _>>()?;
        let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let threads = self.threads.unwrap_or_else(cores);
        let (tokenizing, feeding, default_batch) = match (engine_kind, device) {
            (EngineKind::Packed, _) => {
                (Workers::together(threads)?, None, packed_batch_tokens(engines[0].precision()))
            }
            (EngineKind::Candle, Device::Cpu) => {
                (Workers::apart(threads)?, None, CANDLE_BATCH_TOKENS)
            }
            (EngineKind::Candle, _) => {
                let feeding = NonZeroUsize::MIN.saturating_add(FEEDERS * engines.len() - 1);
                (Workers::together(threads)?, Some(Workers::apart(feeding)?), GPU_BATCH_TOKENS)
            }
        };
        Ok(Classifier {
            tokenizer: model.tokenizer,
            window_limits: model.window_limits,
            name: model.name,
            version: model.version,
            tokenizer_digest: model.tokenizer_digest,
            labels: Arc::new(model.labels),
            digest: model.digest,
            policies: model.policies,
            engines,
            engine_kind,
            device,
            tokenizing,
            feeding,
            max_batch_tokens: self.max_batch_tokens.map_or(default_batch, NonZeroUsize::get),
        })
    }
}

/// Tokens in a batch of the packed engine: few enough that their activations stay in a core's cache,
/// more where the weights that are read for each batch are larger.
const fn packed_batch_tokens(precision: Precision) -> usize {
    match precision {
        Precision::Int8 => 128,
        Precision::Bf16 | Precision::F16 | Precision::F32 => 512,
    }
}
/// Tokens in a batch of candle on the CPU, where an operation costs the same however small it is.
const CANDLE_BATCH_TOKENS: usize = 1_024;
/// Tokens in a batch on a GPU.
const GPU_BATCH_TOKENS: usize = 16_384;
/// Threads that feed a GPU: while it computes for one, the other packs and copies.
const FEEDERS: usize = 2;

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

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");

    fn tiny() -> Classifier {
        Classifier::builder().model(TINY).threads(2).build().unwrap()
    }

    /// As where two GPUs compute, with the CPU in their place.
    fn fed() -> Classifier {
        let mut classifier = tiny();
        classifier.engines.extend(tiny().engines);
        let feeders = NonZeroUsize::new(FEEDERS * 2).unwrap();
        classifier.feeding = Some(Workers::apart(feeders).unwrap());
        classifier
    }

    #[test]
    fn texts_that_are_taken_in_ahead_keep_their_place() {
        let texts: Vec<_> = (0..20_000).map(|n| format!("bread {} and rain", n % 700)).collect();
        let scores = |classifier: &Classifier, texts: &[String]| {
            let scored = classifier.stream(texts).map(|scored| scored.unwrap());
            scored.map(|(text, scores)| (text.clone(), scores.dehumanization())).collect::<Vec<_>>()
        };
        assert!(texts.len() > 2 * GPU_STREAM_FACTOR * STREAM_TEXTS);
        for count in [0, 1, texts.len()] {
            assert_eq!(scores(&fed(), &texts[..count]), scores(&tiny(), &texts[..count]));
        }
    }

    #[test]
    fn an_error_ends_a_stream_that_takes_in_ahead() {
        let mut classifier = fed();
        let model = Model::load(&TINY.into(), None).unwrap();
        let fails: Box<dyn Engine> = Box::new(Fails(model.labels.len()));
        classifier.engines = vec![fails];
        let texts = vec!["bread"; 2 * GPU_STREAM_FACTOR * STREAM_TEXTS];
        let mut stream = classifier.stream(texts);
        assert!(matches!(stream.next(), Some(Err(Error::Engine(_)))));
        assert!(stream.next().is_none());
    }

    /// An engine whose logits are none.
    struct Fails(usize);

    impl Engine for Fails {
        fn forward(&self, _: &PackedBatch, _: usize) -> Result<crate::engine::Logits, EngineError> {
            Err(EngineError::NotFinite { label: self.0 })
        }

        fn precision(&self) -> Precision {
            Precision::F32
        }
    }
}
