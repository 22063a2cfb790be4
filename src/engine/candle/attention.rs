//! Attention among the tokens of each window.

use candle_core::{DType, Result, Tensor};

use super::sequences::{MASKED, Sequences};

/// Scaled dot-product attention: `softmax(q kᵀ / sqrt(size of a head)) v`, head by head.
///
/// `query`, `key` and `value` are `[tokens, hidden]`, and so is the result. Tokens farther apart than
/// `sliding_window` do not see each other.
///
/// Vaswani et al., "Attention Is All You Need", 2017.
pub(super) fn attend(
    sequences: &Sequences,
    [query, key, value]: [&Tensor; 3],
    heads: usize,
    sliding_window: Option<usize>,
) -> Result<Tensor> {
    let size = query.dim(1)? / heads;
    let scale = 1.0 / (size as f64).sqrt();
    #[cfg(feature = "flash-attn")]
    if flash_knows(query, size) {
        return flash(sequences, [query, key, value], heads, scale as f32, sliding_window);
    }
    let [query, key, value] = [
        split_heads(sequences, &(query * scale)?, heads)?,
        split_heads(sequences, key, heads)?,
        split_heads(sequences, value, heads)?,
    ];
    let mut scores = query.matmul(&key.t()?)?.to_dtype(DType::F32)?;
    if let Some(distance) = sliding_window.filter(|&distance| distance + 1 < sequences.longest) {
        let band = band(sequences.longest, distance, scores.device())?;
        scores = scores.broadcast_add(&band)?;
    }
    merge_heads(sequences, &weigh(sequences, &scores, &value)?)
}

/// Whether FlashAttention computes such heads: in half precision, on CUDA.
#[cfg(feature = "flash-attn")]
fn flash_knows(query: &Tensor, size: usize) -> bool {
    let half = matches!(query.dtype(), DType::F16 | DType::BF16);
    half && query.device().is_cuda() && size.is_multiple_of(8) && size <= 256
}

/// The same by FlashAttention, without a row of padding.
///
/// Dao, "FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning", 2023.
#[cfg(feature = "flash-attn")]
fn flash(
    sequences: &Sequences,
    rows: [&Tensor; 3],
    heads: usize,
    scale: f32,
    sliding_window: Option<usize>,
) -> Result<Tensor> {
    let (tokens, hidden) = rows[0].dims2()?;
    let split = |rows: &Tensor| rows.contiguous()?.reshape((tokens, heads, hidden / heads));
    candle_flash_attn::flash_attn_varlen_windowed(
        &split(rows[0])?,
        &split(rows[1])?,
        &split(rows[2])?,
        &sequences.ends,
        &sequences.ends,
        sequences.longest,
        sequences.longest,
        scale,
        sliding_window,
        sliding_window,
    )?
    .reshape((tokens, hidden))
}

/// Rows `[tokens, hidden]` as `[windows, heads, longest, size of a head]`, padded.
pub(super) fn split_heads(sequences: &Sequences, rows: &Tensor, heads: usize) -> Result<Tensor> {
    let padded = sequences.padded(rows)?;
    let (windows, longest, hidden) = padded.dims3()?;
    padded.reshape((windows, longest, heads, hidden / heads))?.transpose(1, 2)?.contiguous()
}

/// The reverse of [`split_heads`].
pub(super) fn merge_heads(sequences: &Sequences, split: &Tensor) -> Result<Tensor> {
    let (windows, heads, longest, size) = split.dims4()?;
    sequences.rows(&split.transpose(1, 2)?.reshape((windows, longest, heads * size))?)
}

/// The sums of `value` `[windows, heads, longest, size of a head]` by the softmax of `scores`
/// `[windows, heads, longest, longest]`, which are in f32; padding has no part in them.
pub(super) fn weigh(sequences: &Sequences, scores: &Tensor, value: &Tensor) -> Result<Tensor> {
    let scores = match sequences.mask() {
        Some(mask) => &scores.broadcast_add(mask)?,
        None => scores,
    };
    candle_nn::ops::softmax_last_dim(scores)?.to_dtype(value.dtype())?.matmul(value)
}

/// `[longest, longest]`: 0 for tokens at most `distance` apart, else [`MASKED`].
fn band(longest: usize, distance: usize, device: &candle_core::Device) -> Result<Tensor> {
    let near = |query: usize, key: usize| query.abs_diff(key) <= distance;
    let values: Vec<f32> = (0..longest)
        .flat_map(|query| (0..longest).map(move |key| if near(query, key) { 0.0 } else { MASKED }))
        .collect();
    Tensor::from_vec(values, (longest, longest), device)
}
