//! Windows of equal tokens have equal probabilities: they are computed once.

use std::{collections::HashMap, num::NonZeroUsize};

use lru::LruCache;

use crate::scores::Probabilities;

/// How many windows are remembered: some megabytes with windows of 64 tokens.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();

/// The windows that a stream met last, with their probabilities.
#[derive(Debug)]
pub(crate) struct Remembered(LruCache<Box<[u32]>, Probabilities>);

impl Default for Remembered {
    fn default() -> Self {
        Self(LruCache::new(REMEMBERED))
    }
}

/// The probabilities of windows, given their ids, of which `compute` is asked only for those that are
/// neither equal to one before nor `remembered`.
pub(crate) fn without_repeats<E>(
    windows: &[&[u32]],
    mut remembered: Option<&mut Remembered>,
    compute: impl FnOnce(&[&[u32]]) -> Result<Vec<Probabilities>, E>,
) -> Result<Vec<Probabilities>, E> {
    let mut found = Vec::with_capacity(windows.len());
    let mut fresh = Vec::new();
    let mut places = HashMap::new();
    for &window in windows {
        let known = remembered.as_mut().and_then(|Remembered(known)| known.get(window).cloned());
        found.push(known.ok_or_else(|| {
            *places.entry(window).or_insert_with(|| {
                fresh.push(window);
                fresh.len() - 1
            })
        }));
    }
    let computed = compute(&fresh)?;
    if let Some(Remembered(known)) = remembered {
        for (window, probabilities) in fresh.into_iter().zip(&computed) {
            known.put(window.into(), probabilities.clone());
        }
    }
    Ok(found
        .into_iter()
        .map(|known| known.unwrap_or_else(|place| computed[place].clone()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities that tell windows apart.
    fn probabilities(window: &[u32]) -> Probabilities {
        let dehumanization = window.iter().fold(0.0, |sum, &id| sum * 0.5 + id as f32);
        Probabilities { dehumanization, ..Probabilities::default() }
    }

    #[test]
    fn equal_windows_are_computed_once_and_each_gets_its_own() {
        let windows: [&[u32]; 6] = [&[1, 2], &[3], &[1, 2], &[], &[3], &[2, 1]];
        let wanted: Vec<_> = windows.iter().map(|window| probabilities(window)).collect();
        let mut remembered = Remembered::default();
        let mut asked = Vec::new();
        for (remembered, computed) in
            [(None, 4), (Some(&mut remembered), 4)].into_iter().chain([(None, 4)])
        {
            let found = without_repeats(&windows, remembered, |fresh| {
                asked.push(fresh.len());
                Ok::<_, ()>(fresh.iter().map(|window| probabilities(window)).collect())
            });
            assert_eq!(found.unwrap(), wanted);
            assert_eq!(asked.pop(), Some(computed));
        }
        let again = without_repeats(&windows, Some(&mut remembered), |fresh| {
            assert!(fresh.is_empty());
            Ok::<_, ()>(Vec::new())
        });
        assert_eq!(again.unwrap(), wanted);
    }

    #[test]
    fn memory_is_bounded_and_an_error_leaves_it_as_it_was() {
        let mut remembered = Remembered::default();
        let failed = without_repeats(&[&[1][..]], Some(&mut remembered), |_| Err("no"));
        assert_eq!(failed, Err("no"));
        assert_eq!(remembered.0.len(), 0);
        let many: Vec<[u32; 1]> = (0..20_000).map(|id| [id]).collect();
        let windows: Vec<&[u32]> = many.iter().map(<[u32; 1]>::as_slice).collect();
        let compute = |fresh: &[&[u32]]| Ok::<_, ()>(vec![Probabilities::default(); fresh.len()]);
        without_repeats(&windows, Some(&mut remembered), compute).unwrap();
        assert_eq!(remembered.0.len(), REMEMBERED.get());
    }
}
