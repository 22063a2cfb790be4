//! The threads that tokenize texts and compute batches.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Threads that share out whole items among themselves.
///
/// They are one rayon pool, or a pool each. In a pool of its own, a thread computes an item alone,
/// whatever parallel work the item contains; in a common pool, an item may use threads that are idle.
pub(crate) struct Workers {
    pools: Vec<ThreadPool>,
}

/// Who does a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    /// The number of the worker's pool, from 0.
    pub(crate) pool: usize,
    /// How many workers of that pool the work may use.
    pub(crate) threads: usize,
}

impl Workers {
    /// Starts `threads` workers in one pool.
    pub(crate) fn together(threads: NonZeroUsize) -> Result<Self, ThreadPoolBuildError> {
        Ok(Self { pools: vec![pool(threads.get(), 0)?] })
    }

    /// Starts `threads` workers in a pool each.
    pub(crate) fn apart(threads: NonZeroUsize) -> Result<Self, ThreadPoolBuildError> {
        Ok(Self {
            pools: (0..threads.get()).map(|index| pool(1, index)).collect::<Result<_, _>>()?,
        })
    }

    /// How many workers there are.
    pub(crate) fn threads(&self) -> usize {
        self.pools.iter().map(ThreadPool::current_num_threads).sum()
    }

    /// The results of `work` for every item, in the order of `items`. Workers take items in that
    /// order, one at a time. After an error no further item is begun; the first by place is given.
    pub(crate) fn map<T, R, E>(
        &self,
        items: &[T],
        work: impl Fn(&T, Worker) -> Result<R, E> + Sync,
    ) -> Result<Vec<R>, E>
    where
        T: Sync,
        R: Send,
        E: Send,
    {
        if let [item] = items {
            let pool = &self.pools[0];
            let worker = Worker { pool: 0, threads: pool.current_num_threads() };
            return Ok(vec![pool.install(|| work(item, worker))?]);
        }
        let next = AtomicUsize::new(0);
        let run = |pool| {
            let mut done = Vec::new();
            while let Some((index, item)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                items.get(index).map(|item| (index, item))
            } {
                let result = work(item, Worker { pool, threads: 1 });
                if result.is_err() {
                    next.fetch_max(items.len(), Ordering::Relaxed);
                }
                done.push((index, result));
            }
            done
        };
        let mut done: Vec<_> = match self.pools.as_slice() {
            [pool] => pool.broadcast(|_| run(0)).into_iter().flatten().collect(),
            pools => thread::scope(|scope| {
                let busy = pools.len().min(items.len());
                let run = &run;
                let busy = pools[..busy].iter().enumerate();
                let handles: Vec<_> = busy
                    .map(|(index, pool)| scope.spawn(move || pool.install(|| run(index))))
                    .collect();
                let join = |handle: thread::ScopedJoinHandle<'_, Vec<_>>| {
                    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                };
                handles.into_iter().flat_map(join).collect()
            }),
        };
        done.sort_unstable_by_key(|&(index, _)| index);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

fn pool(threads: usize, index: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(move |thread| format!("dignity-{}", index + thread))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_for_any_number_of_threads() {
        let items: Vec<u64> = (0..1_000).collect();
        for threads in (1..5).map(|threads| NonZeroUsize::new(threads).unwrap()) {
            for workers in [Workers::together(threads), Workers::apart(threads)] {
                let workers = workers.unwrap();
                assert_eq!(workers.threads(), threads.get());
                for items in [&items[..], &items[..1], &[]] {
                    let squares = workers.map(items, |&n, _| Ok::<_, ()>(n * n)).unwrap();
                    assert_eq!(squares, items.iter().map(|n| n * n).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn the_first_error_by_place_is_given() {
        let workers = Workers::together(NonZeroUsize::new(3).unwrap()).unwrap();
        let items: Vec<u32> = (0..100).collect();
        let result = workers.map(&items, |&n, _| if n % 40 == 39 { Err(n) } else { Ok(n) });
        assert_eq!(result, Err(39));
    }

    #[test]
    fn nested_parallel_work_stays_on_a_worker_apart() {
        use rayon::prelude::*;
        let workers = Workers::apart(NonZeroUsize::new(2).unwrap()).unwrap();
        let threads_used = workers.map(&[(); 8], |(), _| {
            let ids: Vec<_> = (0..64).into_par_iter().map(|_| thread::current().id()).collect();
            Ok::<_, ()>(ids.iter().all(|&id| id == ids[0]))
        });
        assert_eq!(threads_used, Ok(vec![true; 8]));
    }

    #[test]
    fn a_lone_item_may_use_every_worker_of_its_pool() {
        let two = NonZeroUsize::new(2).unwrap();
        let told = |workers: Workers, items: &[()]| {
            workers.map(items, |(), worker| Ok::<_, ()>(worker.threads))
        };
        assert_eq!(told(Workers::together(two).unwrap(), &[()]), Ok(vec![2]));
        assert_eq!(told(Workers::together(two).unwrap(), &[(), ()]), Ok(vec![1, 1]));
        assert_eq!(told(Workers::apart(two).unwrap(), &[()]), Ok(vec![1]));
    }
}
