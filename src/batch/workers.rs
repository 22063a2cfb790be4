//! The threads that tokenize texts and compute batches.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Threads that share out whole items among themselves, an item computed by one thread alone.
///
/// Each worker is a rayon pool of one thread: an operation inside an item that would like to spread
/// over rayon's threads stays on its own. Short texts have products too
/// small to be worth sharing out.
pub(crate) struct Workers {
    pools: Vec<ThreadPool>,
}

impl Workers {
    /// Starts `threads` workers.
    pub(crate) fn new(threads: NonZeroUsize) -> Result<Self, ThreadPoolBuildError> {
        let pool = |index| {
            ThreadPoolBuilder::new()
                .num_threads(1)
                .thread_name(move |_| format!("dignity-{index}"))
                .build()
        };
        let pools = (0..threads.get()).map(pool).collect::<Result<_, _>>()?;
        Ok(Self { pools })
    }

    /// How many workers there are.
    pub(crate) fn threads(&self) -> usize {
        self.pools.len()
    }

    /// The results of `work` for every item, in the order of `items`. Workers take items in that
    /// order, one at a time. After an error no further item is begun; the first by place is given.
    pub(crate) fn map<T, R, E>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<R, E> + Sync,
    ) -> Result<Vec<R>, E>
    where
        T: Sync,
        R: Send,
        E: Send,
    {
        let next = AtomicUsize::new(0);
        let run = || {
            let mut done = Vec::new();
            while let Some((index, item)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                items.get(index).map(|item| (index, item))
            } {
                let result = work(item);
                if result.is_err() {
                    next.fetch_max(items.len(), Ordering::Relaxed);
                }
                done.push((index, result));
            }
            done
        };
        let busy = self.pools.len().min(items.len());
        let mut done = thread::scope(|scope| {
            let handles: Vec<_> =
                self.pools[..busy].iter().map(|pool| scope.spawn(|| pool.install(run))).collect();
            let join = |handle: thread::ScopedJoinHandle<'_, Vec<_>>| {
                handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            handles.into_iter().flat_map(join).collect::<Vec<_>>()
        });
        done.sort_unstable_by_key(|&(index, _)| index);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_for_any_number_of_threads() {
        let items: Vec<u64> = (0..1_000).collect();
        for threads in 1..5 {
            let workers = Workers::new(NonZeroUsize::new(threads).unwrap()).unwrap();
            let squares = workers.map(&items, |&n| Ok::<_, ()>(n * n)).unwrap();
            assert_eq!(squares, items.iter().map(|n| n * n).collect::<Vec<_>>());
            assert_eq!(workers.map(&[], |_: &u8| Ok::<u8, ()>(0)), Ok(vec![]));
        }
    }

    #[test]
    fn the_first_error_by_place_is_given() {
        let workers = Workers::new(NonZeroUsize::new(3).unwrap()).unwrap();
        let items: Vec<u32> = (0..100).collect();
        let result = workers.map(&items, |&n| if n % 40 == 39 { Err(n) } else { Ok(n) });
        assert_eq!(result, Err(39));
    }

    #[test]
    fn nested_parallel_work_stays_on_the_worker() {
        use rayon::prelude::*;
        let workers = Workers::new(NonZeroUsize::new(2).unwrap()).unwrap();
        let threads_used = workers.map(&[(); 8], |()| {
            let ids: Vec<_> = (0..64).into_par_iter().map(|_| thread::current().id()).collect();
            Ok::<_, ()>(ids.iter().all(|&id| id == ids[0]))
        });
        assert_eq!(threads_used, Ok(vec![true; 8]));
    }
}
