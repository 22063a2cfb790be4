//! Which windows are computed together.

/// Divides windows, given by their lengths in tokens, into batches of window indices.
///
/// Windows are sorted by length, so that a batch holds windows of nearly one length and an engine
/// that pads wastes little. A batch counts as many tokens as it has after padding, windows times the
/// longest, and holds at most `max_tokens` of them; a window longer than that is a batch of its own.
/// The longest batches come first, so that no thread starts a long one when the others are done.
pub(crate) fn plan(lengths: &[usize], max_tokens: usize) -> Vec<Vec<usize>> {
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
        assert_eq!(plan(&[2, 9, 3, 9, 2], 9), [vec![1], vec![3], vec![2, 0, 4]]);
        assert_eq!(plan(&[50], 9), [vec![0]]);
        assert!(plan(&[], 9).is_empty());
    }

    proptest! {
        #[test]
        fn every_window_is_in_one_batch_and_budgets_hold(
            lengths in prop::collection::vec(0_usize..200, 0..100), max_tokens in 0_usize..1_000,
        ) {
            let batches = plan(&lengths, max_tokens);
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
