//! From windows to batches and back: planning by token budget, and the threads that work.

mod plan;
mod workers;

pub(crate) use plan::plan;
pub(crate) use workers::{Worker, Workers};

/// A batch for an engine: the token ids of several windows one after another, without padding.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedBatch {
    ids: Vec<u32>,
    ends: Vec<usize>,
}

impl PackedBatch {
    /// Adds a window's ids, special tokens included.
    pub(crate) fn push(&mut self, ids: impl IntoIterator<Item = u32>) {
        self.ids.extend(ids);
        self.ends.push(self.ids.len());
    }

    /// How many windows the batch holds.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the batch holds no window.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many tokens the batch holds.
    pub(crate) fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The ids of every window, in the order they were added.
    pub(crate) fn windows(&self) -> impl ExactSizeIterator<Item = &[u32]> + Clone {
        self.ends.iter().enumerate().map(|(index, &end)| {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            &self.ids[start..end]
        })
    }

    /// The length of the longest window, in tokens.
    pub(crate) fn longest(&self) -> usize {
        self.windows().map(<[u32]>::len).max().unwrap_or(0)
    }
}
