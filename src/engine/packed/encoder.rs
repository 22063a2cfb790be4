//! The forward pass: batches to logits.

use std::ops::Range;

use rayon::prelude::*;

use super::PackedEngine;
use crate::{
    batch::PackedBatch,
    kernels::{
        Accumulate, Activations, Attend, AttentionScratch, Gelu, GeluTanh, LayerNorm, Linear,
        Lines, Multiply, MultiplyPrepare, MultiplyScratch, Normalize, Prepare, Product, Relu,
        ShortGelu, Silu, Simd, Single, Store, Tanh,
    },
    model::{HiddenAct, Pooling},
};

/// One transformer layer, normalized after each residual connection.
///
/// Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
/// Understanding", 2019.
pub(super) struct Layer<S: Simd, P: Product<S>> {
    pub(super) heads: usize,
    pub(super) query: Linear<S, P>,
    /// Keys, and after them values.
    pub(super) key_value: Linear<S, P>,
    pub(super) attention_output: Linear<S, P>,
    pub(super) attention_norm: LayerNorm,
    pub(super) intermediate: Linear<S, P>,
    pub(super) activation: HiddenAct,
    pub(super) output: Linear<S, P>,
    pub(super) norm: LayerNorm,
}

/// Memory that a batch is computed in.
pub(super) struct Scratch<S: Simd, P: Product<S>> {
    /// `[tokens, 2 hidden]`: every token's key and value.
    key_value: Lines,
    /// The same of the layer after, written while others read this one's.
    next_key_value: Lines,
    parts: Vec<Part<S, P>>,
}

impl<S: Simd, P: Product<S>> Default for Scratch<S, P> {
    fn default() -> Self {
        Self { key_value: Lines::default(), next_key_value: Lines::default(), parts: Vec::new() }
    }
}

/// The rows of a batch that one thread computes, with its memory. It reads other parts' rows only
/// as keys and values, so parts meet once a layer.
struct Part<S: Simd, P: Product<S>> {
    /// The batch's tokens that the part begins with, a row each.
    tokens: Range<usize>,
    /// Runs of rows that attend to the same tokens.
    sequences: Vec<Sequence>,
    /// `[rows, hidden]`
    hidden: Lines,
    /// `[rows, hidden]`
    query: Lines,
    /// `[rows, hidden]`
    context: Lines,
    activations: Activations<S, P>,
    /// Of the intermediate layer.
    intermediate: Activations<S, P>,
    /// Embeddings that are not hidden states yet.
    embedded: Lines,
    products: MultiplyScratch<S, P>,
    attention: AttentionScratch<S>,
}

/// Rows of a part that belong to one window.
struct Sequence {
    rows: Range<usize>,
    /// Whether the first of them is the window's first token.
    begins: bool,
    /// The window's tokens in the batch.
    window: Range<usize>,
}

impl<S: Simd, P: Product<S>> Default for Part<S, P> {
    fn default() -> Self {
        Self {
            tokens: 0..0,
            sequences: Vec::new(),
            hidden: Lines::default(),
            query: Lines::default(),
            context: Lines::default(),
            activations: Activations::default(),
            intermediate: Activations::default(),
            embedded: Lines::default(),
            products: MultiplyScratch::default(),
            attention: AttentionScratch::default(),
        }
    }
}

impl<S: Simd, P: Product<S>> PackedEngine<S, P> {
    /// The logits of every window, computed in as many parts as there are `threads`, or fewer.
    pub(super) fn logits(
        &self,
        batch: &PackedBatch,
        threads: usize,
        scratch: &mut Scratch<S, P>,
    ) -> Vec<f32> {
        let tokens = batch.tokens();
        let columns = self.hidden_size;
        let rows = tokens.div_ceil(threads.max(1)).max(1);
        let Scratch { key_value, next_key_value, parts } = scratch;
        for buffer in [&mut *key_value, &mut *next_key_value] {
            buffer.resize(tokens * 2 * columns);
        }
        parts.resize_with(tokens.div_ceil(rows), Part::default);
        for (index, part) in parts.iter_mut().enumerate() {
            part.tokens = index * rows..tokens.min((index + 1) * rows);
        }
        let stride = rows * 2 * columns;
        each(parts, key_value, stride, |part, key_value| {
            self.embed(part, batch);
            if let Some(layer) = self.layers.first() {
                self.project(layer, part, key_value);
            }
        });
        for (index, layer) in self.layers.iter().enumerate() {
            let following = self.layers.get(index + 1);
            each(parts, next_key_value, stride, |part, next_key_value| {
                if following.is_none() && self.pooling == Pooling::Cls {
                    part.keep_first_tokens(self.simd, columns);
                }
                self.attend(layer, part, key_value);
                self.feed_forward(layer, part);
                if let Some(layer) = following {
                    self.project(layer, part, next_key_value);
                }
            });
            std::mem::swap(key_value, next_key_value);
        }
        self.classify(parts, batch.len())
    }

    /// A part's first hidden states.
    fn embed(&self, part: &mut Part<S, P>, batch: &PackedBatch) {
        let columns = self.embeddings.columns();
        // Embeddings that are projected are not hidden states yet.
        let embedded = match &self.projection {
            Some(_) => &mut part.embedded,
            None => &mut part.hidden,
        };
        embedded.resize(part.tokens.len() * columns);
        part.sequences.clear();
        let mut rows = embedded.chunks_exact_mut(columns);
        let mut start = 0;
        for ids in batch.windows() {
            let window = start..start + ids.len();
            start = window.end;
            let own = window.start.max(part.tokens.start)..window.end.min(part.tokens.end);
            if own.is_empty() {
                continue;
            }
            for (token, row) in own.clone().zip(rows.by_ref()) {
                let position = token - window.start;
                self.embeddings.write(ids[position], position, row);
            }
            let rows = own.start - part.tokens.start..own.end - part.tokens.start;
            let begins = own.start == window.start;
            part.sequences.push(Sequence { rows, begins, window });
        }
        self.simd.run(Normalize { rows: embedded, norm: &self.embeddings.norm });
        if let Some(projection) = &self.projection {
            let Part { embedded, activations, hidden, products, tokens, .. } = part;
            hidden.resize(tokens.len() * self.hidden_size);
            self.simd.run(Prepare { rows: embedded, columns, out: activations });
            self.simd.run(Multiply {
                activations,
                linear: projection,
                epilogue: Store,
                out: hidden,
                scratch: products,
            });
        }
    }

    /// A part's keys and values, to `key_value`.
    fn project(&self, layer: &Layer<S, P>, part: &mut Part<S, P>, key_value: &mut [f32]) {
        let columns = self.hidden_size;
        part.prepare(self.simd, columns);
        self.simd.run(Multiply {
            activations: &part.activations,
            linear: &layer.key_value,
            epilogue: Store,
            out: key_value,
            scratch: &mut part.products,
        });
    }

    /// Adds to a part's hidden states what they attend to.
    fn attend(&self, layer: &Layer<S, P>, part: &mut Part<S, P>, key_value: &[f32]) {
        let columns = self.hidden_size;
        let Part { hidden, query, context, activations, products, attention, sequences, .. } = part;
        query.resize(hidden.len());
        context.resize(hidden.len());
        self.simd.run(Multiply {
            activations,
            linear: &layer.query,
            epilogue: Store,
            out: query,
            scratch: products,
        });
        for Sequence { rows, window, .. } in sequences {
            let rows = rows.start * columns..rows.end * columns;
            let keys = &key_value[window.start * 2 * columns..window.end * 2 * columns];
            self.simd.run(Attend {
                queries: &query[rows.clone()],
                keys_values: keys,
                heads: layer.heads,
                hidden: columns,
                out: &mut context[rows],
                scratch: attention,
            });
        }
        self.simd.run(Prepare { rows: context, columns, out: activations });
        self.simd.run(Multiply {
            activations,
            linear: &layer.attention_output,
            epilogue: Accumulate,
            out: hidden,
            scratch: products,
        });
        self.simd.run(Normalize { rows: hidden, norm: &layer.attention_norm });
    }

    /// The layer's second half, on each hidden state alone.
    fn feed_forward(&self, layer: &Layer<S, P>, part: &mut Part<S, P>) {
        part.prepare(self.simd, self.hidden_size);
        let Part { hidden, activations, intermediate, products, .. } = part;
        multiply_activated(
            self.simd,
            layer.activation,
            activations,
            &layer.intermediate,
            intermediate,
            products,
        );
        self.simd.run(Multiply {
            activations: intermediate,
            linear: &layer.output,
            epilogue: Accumulate,
            out: hidden,
            scratch: products,
        });
        self.simd.run(Normalize { rows: hidden, norm: &layer.norm });
    }

    /// Pools each window's last hidden states and puts them through the head.
    fn classify(&self, parts: &[Part<S, P>], windows: usize) -> Vec<f32> {
        let columns = self.hidden_size;
        let mut pooled: Vec<f32> = Vec::with_capacity(windows * columns);
        for part in parts {
            for Sequence { rows, begins, .. } in &part.sequences {
                let mut rows =
                    part.hidden[rows.start * columns..rows.end * columns].chunks_exact(columns);
                if *begins {
                    pooled.extend(rows.next().into_iter().flatten());
                }
                if self.pooling == Pooling::Mean {
                    let at = pooled.len() - columns;
                    for row in rows {
                        for (sum, number) in pooled[at..].iter_mut().zip(row) {
                            *sum += number;
                        }
                    }
                }
            }
        }
        if self.pooling == Pooling::Mean {
            let sequences = parts.iter().flat_map(|part| &part.sequences);
            let windows = sequences.filter(|sequence| sequence.begins);
            for (sums, Sequence { window, .. }) in pooled.chunks_exact_mut(columns).zip(windows) {
                sums.iter_mut().for_each(|sum| *sum /= window.len() as f32);
            }
        }
        let mut activations = Activations::<S, Single>::default();
        let mut transformed = Activations::default();
        let products = &mut MultiplyScratch::default();
        self.simd.run(Prepare { rows: &pooled, columns, out: &mut activations });
        if let Some((dense, activation)) = &self.transform {
            let prepared = &mut transformed;
            multiply_activated(self.simd, *activation, &activations, dense, prepared, products);
            std::mem::swap(&mut activations, &mut transformed);
        }
        let mut logits = vec![0.0; windows * self.head.outputs()];
        self.simd.run(Multiply {
            activations: &activations,
            linear: &self.head,
            epilogue: Store,
            out: &mut logits,
            scratch: products,
        });
        logits
    }
}

impl<S: Simd, P: Product<S>> Part<S, P> {
    /// Brings the hidden states into the form that is multiplied.
    fn prepare(&mut self, simd: S, columns: usize) {
        simd.run(Prepare { rows: &self.hidden, columns, out: &mut self.activations });
    }

    /// Forgets all rows but each window's first: nothing reads the others any more.
    fn keep_first_tokens(&mut self, simd: S, columns: usize) {
        self.sequences.retain(|sequence| sequence.begins);
        for (row, sequence) in self.sequences.iter_mut().enumerate() {
            let kept = sequence.rows.start;
            self.hidden.copy_within(kept * columns..(kept + 1) * columns, row * columns);
            sequence.rows = row..row + 1;
        }
        self.hidden.resize(self.sequences.len() * columns);
        self.prepare(simd, columns);
    }
}

/// Multiplies, puts the results through an activation function, and prepares them for the next product.
fn multiply_activated<S: Simd, P: Product<S>>(
    simd: S,
    activation: HiddenAct,
    activations: &Activations<S, P>,
    linear: &Linear<S, P>,
    out: &mut Activations<S, P>,
    scratch: &mut MultiplyScratch<S, P>,
) {
    macro_rules! with {
        ($activation:expr) => {
            simd.run(MultiplyPrepare { activations, linear, activation: $activation, out, scratch })
        };
    }
    match activation {
        HiddenAct::Gelu if P::EIGHT_BITS => with!(ShortGelu),
        HiddenAct::Gelu => with!(Gelu),
        HiddenAct::GeluTanh => with!(GeluTanh),
        HiddenAct::Relu => with!(Relu),
        HiddenAct::Silu => with!(Silu),
        HiddenAct::Tanh => with!(Tanh),
    }
}

/// Runs `work` on every part and its stretch of `buffer`, at once if there are several.
fn each<S: Simd, P: Product<S>>(
    parts: &mut [Part<S, P>],
    buffer: &mut [f32],
    stride: usize,
    work: impl Fn(&mut Part<S, P>, &mut [f32]) + Sync,
) {
    match parts {
        [part] => work(part, buffer),
        parts => parts
            .par_iter_mut()
            .zip(buffer.par_chunks_mut(stride))
            .for_each(|(part, buffer)| work(part, buffer)),
    }
}
