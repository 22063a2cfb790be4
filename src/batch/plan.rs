//! Which windows are computed together.

/// Divides windows, given by their lengths in tokens, into batches of window indices.
///
/// Windows are sorted by length, so that a batch holds windows of nearly one length and an engine
/// that pads wastes little. A batch counts as many tokens as it has after padding, windows times the
/// longest, and holds at most `max_tokens` of them; a window longer than that is a batch of its own.
/// Where all windows are too few to keep every one of `threads` busy, batches are smaller.
/// The longest batches come first, so that no thread starts a long one when the others are done.
pub(crate) fn plan(lengths: &[usize], max_tokens: usize, threads: usize) -> Vec<Vec<usize>> {
    let max_tokens = max_tokens.min(lengths.iter().sum::<usize>().div_ceil(threads));
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    // Stable: the plan depends on nothing but the lengths and their order.
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut batches = Vec::new();
    let mut rest = order.as_slice();
    while let [longest, ..] = rest {
        let fitting = (max_tokens / lengths[*longest].max(1)).max(1);
        let (batch, after) = rest.split_at(fitting.min(rest.len()));
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn batches_hold_windows_of_like_length_longest_first() {
        assert_eq!(plan(&[2, 9, 3, 9, 2], 9, 1), [vec![1], vec![3], vec![2, 0, 4]]);
        assert_eq!(plan(&[50], 9, 1), [vec![0]]);
        assert!(plan(&[], 9, 1).is_empty());
        assert_eq!(plan(&[4, 4], 9, 1), [vec![0, 1]]);
        assert_eq!(plan(&[4, 4], 9, 2), [vec![0], vec![1]]);
    }

    proptest! {
        #[test]
        fn every_window_is_in_one_batch_and_budgets_hold(
            lengths in prop::collection::vec(0_usize..200, 0..100), max_tokens in 0_usize..1_000,
            threads in 1_usize..5,
        ) {
            let batches = plan(&lengths, max_tokens, threads);
            let mut seen: Vec<_> = batches.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                let longest = batch.iter().map(|&i| lengths[i]).max().unwrap();
                prop_assert!(batch.len() == 1 || batch.len() * longest <= max_tokens);
            }
        }
    }
}
