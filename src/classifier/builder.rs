//! Options for a classifier, and how it is put together.

use std::{num::NonZeroUsize, sync::Arc, thread};

use super::{Classifier, Error};
#[cfg(feature = "hub")]
use crate::model::HubOptions;
use crate::{
    batch::Workers,
    engine::{Device, EngineKind, Precision},
    model::{Model, ModelSource, Roles},
};

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

    /// The number format that products are computed in; by default the fastest that the engine has on this CPU, but
    /// [`Precision::W8A16`] for weights that are not stored in int8. Where it cannot be had, single precision takes its place; see [`Classifier::precision`].
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
        let (tokenizing, feeding) = match (engine_kind, device) {
            (EngineKind::Packed, _) => (Workers::together(threads)?, None),
            (EngineKind::Candle, Device::Cpu) => (Workers::apart(threads)?, None),
            (EngineKind::Candle, _) => {
                let feeding = NonZeroUsize::MIN.saturating_add(FEEDERS * engines.len() - 1);
                (Workers::together(threads)?, Some(Workers::apart(feeding)?))
            }
        };
        let best_batch = engines[0].batch_tokens();
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
            max_batch_tokens: self.max_batch_tokens.map_or(best_batch, NonZeroUsize::get),
        })
    }
}

/// Threads that feed a GPU: while it computes for one, the other packs and copies.
pub(super) const FEEDERS: usize = 2;
