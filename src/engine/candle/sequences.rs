//! The windows of a batch on a device: their tokens in one row each, and the way to a padded form and
//! back.

use candle_core::{Device, Result, Tensor};

use crate::batch::PackedBatch;

/// What is added to the attention scores of padding. Far below every score, and finite: a row of
/// nothing else has a softmax still.
pub(super) const MASKED: f32 = f32::MIN / 2.0;

/// The tokens of a batch.
pub(super) struct Sequences {
    /// `[tokens]`
    pub(super) ids: Tensor,
    /// `[tokens]`: each token's place in its window, from 0.
    pub(super) positions: Tensor,
    /// `[windows]`: the row of each window's first token.
    pub(super) first_tokens: Tensor,
    /// `[windows + 1]`: 0, and where each window's rows end.
    #[cfg(feature = "flash-attn")]
    pub(super) ends: Tensor,
    /// Tokens of each window.
    pub(super) lengths: Vec<usize>,
    /// Of the longest window.
    pub(super) longest: usize,
    padding: Option<Padding>,
}

/// Where tokens are in a padded form. Windows of one length need none.
struct Padding {
    /// `[windows * longest]`: the row of each place's token; of padding, any.
    rows: Tensor,
    /// `[tokens]`: each token's place.
    places: Tensor,
    /// `[windows, 1, 1, longest]`: 0 for a token, [`MASKED`] for padding.
    mask: Tensor,
}

impl Sequences {
    pub(super) fn new(batch: &PackedBatch, device: &Device) -> Result<Self> {
        let (windows, longest, tokens) = (batch.len(), batch.longest(), batch.tokens());
        let lengths: Vec<usize> = batch.windows().map(<[u32]>::len).collect();
        let mut first_tokens = Vec::with_capacity(windows);
        let mut positions = Vec::with_capacity(tokens);
        for &length in &lengths {
            // Token ids are 32 bits wide, and so are counts of tokens.
            first_tokens.push(positions.len() as u32);
            positions.extend(0..length as u32);
        }
        let padding = match lengths.iter().all(|&length| length == longest) {
            true => None,
            false => Some(Padding::new(&lengths, longest, tokens, device)?),
        };
        #[cfg(feature = "flash-attn")]
        let ends = {
            let ends = first_tokens.iter().copied().chain([tokens as u32]);
            Tensor::from_vec(ends.collect(), windows + 1, device)?
        };
        let ids: Vec<u32> = batch.windows().flatten().copied().collect();
        Ok(Self {
            ids: Tensor::from_vec(ids, tokens, device)?,
            positions: Tensor::from_vec(positions, tokens, device)?,
            first_tokens: Tensor::from_vec(first_tokens, windows, device)?,
            #[cfg(feature = "flash-attn")]
            ends,
            lengths,
            longest,
            padding,
        })
    }

    /// How many windows there are.
    pub(super) fn windows(&self) -> usize {
        self.lengths.len()
    }

    /// Rows `[tokens, columns]` as `[windows, longest, columns]`; what stands for padding is
    /// arbitrary, but finite.
    pub(super) fn padded(&self, rows: &Tensor) -> Result<Tensor> {
        let columns = rows.dim(1)?;
        let places = match &self.padding {
            Some(padding) => &rows.contiguous()?.index_select(&padding.rows, 0)?,
            None => rows,
        };
        places.reshape((self.windows(), self.longest, columns))
    }

    /// The same with zeros for padding.
    pub(super) fn zero_padded(&self, rows: &Tensor) -> Result<Tensor> {
        let padded = self.padded(rows)?;
        let Some(padding) = &self.padding else { return Ok(padded) };
        let tokens = padding.mask.eq(0.0)?.reshape((self.windows(), self.longest, 1))?;
        padded.broadcast_mul(&tokens.to_dtype(rows.dtype())?)
    }

    /// The rows `[tokens, columns]` of what is `[windows, longest, columns]`.
    pub(super) fn rows(&self, padded: &Tensor) -> Result<Tensor> {
        let columns = padded.dim(2)?;
        let places = padded.reshape((self.windows() * self.longest, columns))?;
        match &self.padding {
            Some(padding) => places.contiguous()?.index_select(&padding.places, 0),
            None => Ok(places),
        }
    }

    /// What to add to attention scores `[windows, heads, longest, longest]`, in f32.
    pub(super) fn mask(&self) -> Option<&Tensor> {
        self.padding.as_ref().map(|padding| &padding.mask)
    }

    /// The means of each window's rows, `[windows, columns]` in f32, of `rows` `[tokens, columns]`.
    pub(super) fn means(&self, rows: &Tensor) -> Result<Tensor> {
        let mut start = 0;
        let mut means = Vec::with_capacity(self.windows());
        for &length in &self.lengths {
            let window = rows.narrow(0, start, length)?.to_dtype(candle_core::DType::F32)?;
            means.push(window.mean_keepdim(0)?);
            start += length;
        }
        Tensor::cat(&means, 0)
    }
}

impl Padding {
    fn new(lengths: &[usize], longest: usize, tokens: usize, device: &Device) -> Result<Self> {
        let size = lengths.len() * longest;
        let mut rows = vec![0_u32; size];
        let mut mask = vec![MASKED; size];
        let mut places = Vec::with_capacity(tokens);
        for (window, &length) in lengths.iter().enumerate() {
            for place in window * longest..window * longest + length {
                rows[place] = places.len() as u32;
                mask[place] = 0.0;
                places.push(place as u32);
            }
        }
        Ok(Self {
            rows: Tensor::from_vec(rows, size, device)?,
            places: Tensor::from_vec(places, tokens, device)?,
            mask: Tensor::from_vec(mask, (lengths.len(), 1, 1, longest), device)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_padding_and_the_mask_knows_them() {
        for lengths in [&[3_u32, 1, 2][..], &[2, 2], &[1]] {
            let mut batch = PackedBatch::default();
            for &length in lengths {
                batch.push((0..length).map(|position| 10 * length + position));
            }
            let sequences = Sequences::new(&batch, &Device::Cpu).unwrap();
            let tokens = batch.tokens();
            let rows = sequences.ids.to_dtype(candle_core::DType::F32).unwrap();
            let rows = rows.reshape((tokens, 1)).unwrap();
            let padded = sequences.padded(&rows).unwrap();
            assert_eq!(padded.dims(), [lengths.len(), batch.longest(), 1]);
            let back: Vec<Vec<f32>> = sequences.rows(&padded).unwrap().to_vec2().unwrap();
            assert_eq!(back, rows.to_vec2::<f32>().unwrap());
            let means: Vec<f32> =
                sequences.means(&rows).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let wanted = lengths.iter().map(|&n| 10.0 * n as f32 + (n - 1) as f32 / 2.0);
            assert!(means.into_iter().eq(wanted));
            if let Some(mask) = sequences.mask() {
                let mask: Vec<f32> = mask.flatten_all().unwrap().to_vec1().unwrap();
                assert_eq!(mask.iter().filter(|&&value| value == 0.0).count(), tokens);
            }
        }
    }
}
