//! The engine of the CPU: weights packed once, no padding, kernels fused, integers where they are
//! exact.
//!
//! The tokens of a batch's windows are the rows of one matrix. A batch is computed by one thread, or
//! in parts of its rows by several, which meet once a layer. Either way every row's numbers are
//! those that it would have alone, bit for bit.

mod embeddings;
mod encoder;
mod load;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use self::{
    embeddings::Embeddings,
    encoder::{Layer, Scratch},
};
use super::{Engine, EngineError, Logits, Precision, check_tokens};
#[cfg(target_arch = "x86_64")]
use crate::kernels::{TiledBf16, TiledSingle, TiledW8A16};
use crate::{
    batch::PackedBatch,
    kernels::{Bf16, ForSimd, InstructionSet, Linear, Product, Simd, Single, W8A8, W8A16},
    model::{HiddenAct, Model, Pooling},
};

/// An encoder of BERT's shape with packed weights, pooling over its last hidden states, and a head.
pub(crate) struct PackedEngine<S: Simd, P: Product<S>> {
    simd: S,
    embeddings: Embeddings,
    /// From the embeddings' size to the hidden size.
    projection: Option<Linear<S, P>>,
    hidden_size: usize,
    layers: Vec<Layer<S, P>>,
    pooling: Pooling,
    /// The head's dense layer.
    transform: Option<(Linear<S, Single>, HiddenAct)>,
    head: Linear<S, Single>,
    precision: Precision,
    /// Of batches that are done, for the next.
    scratch: Mutex<Vec<Scratch<S, P>>>,
}

impl<S: Simd, P: Product<S>> Engine for PackedEngine<S, P> {
    fn forward(&self, batch: &PackedBatch, threads: usize) -> Result<Logits, EngineError> {
        check_tokens(batch, self.embeddings.vocabulary())?;
        let free = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = free().pop();
        let mut scratch = taken.unwrap_or_default();
        let logits = self.logits(batch, threads, &mut scratch);
        free().push(scratch);
        Logits::new(logits, self.head.outputs())
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn batch_tokens(&self) -> usize {
        P::BATCH_TOKENS
    }
}

/// Packs a model for this CPU, in the given precision or, where it has no instructions for it, in single precision.
///
/// Unless told otherwise, weights that are stored in int8 are multiplied in the fastest; others, which are rounded here,
/// by activations in 16 bits.
pub(crate) fn load(
    model: &Model,
    precision: Option<Precision>,
) -> Result<Box<dyn Engine>, EngineError> {
    let set = InstructionSet::chosen()?;
    let precision = match precision {
        Some(Precision::Bf16) if !set.multiplies_bf16() => Precision::F32,
        Some(precision) => precision,
        None if model.weights()?.in_int8() => precisions(set)[0],
        None => Precision::W8A16,
    };
    load_for(set, model, precision)
}

/// The name of the CPU's instruction set, and the precisions that it has products for.
#[cfg(all(feature = "cli", feature = "shipped"))]
pub(crate) fn on_this_cpu() -> Result<(&'static str, &'static [Precision]), EngineError> {
    let set = InstructionSet::chosen()?;
    Ok((set.name(), precisions(set)))
}

/// The precisions that an instruction set has products for; the first is the fastest.
fn precisions(set: InstructionSet) -> &'static [Precision] {
    use Precision::{Bf16, F32, Int8, W8A16};
    match (set.multiplies_tiles(), set.multiplies_bf16()) {
        // Two products of bytes take less time there than all that eight bits need besides their one.
        (true, _) => &[W8A16, Bf16, Int8, F32],
        (false, true) => &[Int8, W8A16, Bf16, F32],
        (false, false) => &[Int8, W8A16, F32],
    }
}

/// Packs a model for an instruction set.
pub(super) fn load_for(
    set: InstructionSet,
    model: &Model,
    precision: Precision,
) -> Result<Box<dyn Engine>, EngineError> {
    struct Load<'a>(&'a Model, Precision);
    impl ForSimd for Load<'_> {
        type Output = Result<Box<dyn Engine>, EngineError>;

        fn call<S: Simd>(self, simd: S) -> Self::Output {
            let Self(model, precision) = self;
            Ok(match precision {
                Precision::Int8 => {
                    Box::new(PackedEngine::<S, W8A8>::new(simd, model, Precision::Int8)?)
                }
                Precision::W8A16 => {
                    Box::new(PackedEngine::<S, W8A16>::new(simd, model, Precision::W8A16)?)
                }
                Precision::Bf16 => {
                    Box::new(PackedEngine::<S, Bf16>::new(simd, model, Precision::Bf16)?)
                }
                Precision::F16 | Precision::F32 => {
                    Box::new(PackedEngine::<S, Single>::new(simd, model, Precision::F32)?)
                }
            })
        }
    }
    #[cfg(target_arch = "x86_64")]
    if let InstructionSet::Amx(simd) = set {
        let engine: Box<dyn Engine> = match precision {
            Precision::Int8 => return set.with(Load(model, precision)),
            Precision::W8A16 => {
                Box::new(PackedEngine::<_, TiledW8A16>::new(simd, model, precision)?)
            }
            Precision::Bf16 => Box::new(PackedEngine::<_, TiledBf16>::new(simd, model, precision)?),
            Precision::F16 | Precision::F32 => {
                Box::new(PackedEngine::<_, TiledSingle>::new(simd, model, Precision::F32)?)
            }
        };
        return Ok(engine);
    }
    set.with(Load(model, precision))
}
