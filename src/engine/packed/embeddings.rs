//! Token ids to the encoder's first hidden states.

use crate::kernels::{LayerNorm, MatrixValues};

/// The tables of an encoder's embeddings.
///
/// The word table stays as the model directory stores it: in int8, a fourth of the memory.
pub(super) struct Embeddings {
    /// `[vocabulary, hidden]`
    pub(super) words: MatrixValues,
    /// `[positions, hidden]`, the embedding of the first token type added.
    pub(super) positions: Vec<f32>,
    pub(super) norm: LayerNorm,
}

impl Embeddings {
    /// The hidden size.
    pub(super) fn columns(&self) -> usize {
        self.norm.gamma.len()
    }

    /// How many tokens have an embedding.
    pub(super) fn vocabulary(&self) -> usize {
        match &self.words {
            MatrixValues::F32(values) => values.len() / self.columns(),
            MatrixValues::Int8 { scales, .. } => scales.len(),
        }
    }

    /// Writes the sum of a token's embeddings, not yet normalized, to `out`.
    pub(super) fn write(&self, id: u32, position: usize, out: &mut [f32]) {
        let columns = self.columns();
        let row = |index: usize| index * columns..(index + 1) * columns;
        let positions = &self.positions[row(position)];
        match &self.words {
            MatrixValues::F32(values) => {
                let words = &values[row(id as usize)];
                for (out, (word, position)) in out.iter_mut().zip(words.iter().zip(positions)) {
                    *out = word + position;
                }
            }
            MatrixValues::Int8 { values, scales } => {
                let (words, scale) = (&values[row(id as usize)], scales[id as usize]);
                for (out, (word, position)) in out.iter_mut().zip(words.iter().zip(positions)) {
                    *out = f32::from(*word) * scale + position;
                }
            }
        }
    }
}
