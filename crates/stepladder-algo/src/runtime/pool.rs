//! Fixed pool of threads, each with its own state, that compute one job each per round.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use stepladder_cpu::gradient::Scorer;
use stepladder_model::Decoder;
use stepladder_model::failure::of_panic;
use tch::Tensor;

use crate::AlgoError;

struct PoolThread<J, A> {
    jobs: Option<Sender<J>>,
    answers: Receiver<Result<A, AlgoError>>,
    thread: Option<JoinHandle<()>>,
}

/// Pool of threads that compute an answer `A` to a job `J`.
pub struct Pool<J, A> {
    workers: Vec<PoolThread<J, A>>,
}

/// Error for a thread that ended without an answer. [`Pool::run`] catches panics, so this is not expected.
fn gone() -> AlgoError {
    AlgoError::Worker("it ended without an answer".to_owned())
}

impl<J: Send + 'static, A: Send + 'static> Pool<J, A> {
    /// Starts `count` threads (at least one); `make` creates the function of each.
    pub fn new<W>(count: usize, mut make: impl FnMut() -> W) -> Self
    where
        W: FnMut(J) -> Result<A, AlgoError> + Send + 'static,
    {
        let workers = (0..count.max(1))
            .map(|_| {
                let (jobs, inbox) = channel::<J>();
                let (outbox, answers) = channel();
                let mut work = make();
                let thread = std::thread::spawn(move || {
                    let mut killed: Option<String> = None;
                    for job in inbox {
                        let answer = match &killed {
                            // The panic may have left the worker's state inconsistent.
                            Some(reason) => Err(AlgoError::Worker(reason.clone())),
                            None => catch_unwind(AssertUnwindSafe(|| work(job))).unwrap_or_else(|payload| {
                                let reason = of_panic(&*payload);
                                killed = Some(reason.clone());
                                Err(AlgoError::Worker(reason))
                            }),
                        };
                        if outbox.send(answer).is_err() {
                            return;
                        }
                    }
                });
                PoolThread { jobs: Some(jobs), answers, thread: Some(thread) }
            })
            .collect();
        Self { workers }
    }

    /// Returns the number of threads.
    pub fn count(&self) -> usize {
        self.workers.len()
    }

    /// Runs job i on thread i and returns all answers in the order of the jobs; at most one job per thread.
    ///
    /// # Errors
    /// The first error among the answers; [`AlgoError::Worker`] with the message if a thread panicked, also in later rounds.
    pub fn run(&self, jobs: Vec<J>) -> Result<Vec<A>, AlgoError> {
        let busy = jobs.len().min(self.workers.len());
        debug_assert!(jobs.len() <= self.workers.len());
        for (worker, job) in self.workers.iter().zip(jobs) {
            worker.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        }
        // All answers are received even after an error; otherwise the next round would read them.
        let answers: Vec<Result<A, AlgoError>> = self.workers[..busy]
            .iter()
            .map(|worker| worker.answers.recv().unwrap_or_else(|_| Err(gone())))
            .collect();
        answers.into_iter().collect()
    }
}

impl<J, A> Drop for Pool<J, A> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.jobs = None;
            if let Some(thread) = worker.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

/// Returns the scorer of a thread with the parameters of `decoder`: created by the first call, updated in place later.
pub(crate) fn refreshed<'a>(
    scorer: &'a mut Option<Scorer>,
    decoder: &Decoder,
) -> Result<&'a mut Scorer, AlgoError> {
    let weights = decoder.plain()?;
    Ok(match scorer {
        Some(scorer) => {
            scorer.update(weights);
            scorer
        }
        none => none.insert(Scorer::new(weights)),
    })
}

/// Sums tensors in their order; none without tensors.
pub fn sum_in_order(tensors: impl IntoIterator<Item = Tensor>) -> Option<Tensor> {
    tensors.into_iter().reduce(|sum, next| sum + next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    /// Errors of two rounds of a pool whose second thread runs `work`.
    fn killed(work: fn()) -> [String; 2] {
        let mut threads = 0;
        let pool: Pool<(), ()> = Pool::new(2, || {
            threads += 1;
            let fails = threads == 2;
            move |()| {
                if fails {
                    work();
                }
                Ok(())
            }
        });
        [(); 2].map(|()| pool.run(vec![(), ()]).unwrap_err().to_string())
    }

    #[test]
    fn a_dead_worker_is_reported_as_what_killed_it() {
        let [first, second] = killed(|| {
            panic!(
                "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA out of memory. Tried to allocate 2.00 GiB.\\nException raised from malloc\")"
            )
        });
        let sentence = "a worker thread failed: libtorch: CUDA out of memory. Tried to allocate 2.00 GiB; use \
                        smaller batches (batch_tokens), fewer slots or fewer threads";
        assert_eq!((first.as_str(), second.as_str()), (sentence, sentence));
        let [first, _] = killed(|| panic!("index {} is out of range", 3));
        assert_eq!(first, "a worker thread failed: index 3 is out of range");
        let [first, _] = killed(|| std::panic::panic_any(7));
        assert_eq!(first, "a worker thread failed: it panicked without a message");
    }

    #[test]
    fn libtorchs_own_message_survives() {
        let [first, _] = killed(|| {
            let zeros = |size: i64| Tensor::zeros([size], (Kind::Float, Device::Cpu));
            let _ = zeros(2) + zeros(3);
        });
        assert!(first.starts_with("a worker thread failed: libtorch: The size of tensor a (2)"), "{first}");
        assert!(!first.contains('\n') && !first.contains("\\n"), "{first}");
        // More than any machine has.
        let [first, _] = killed(|| drop(Tensor::zeros([1 << 55], (Kind::Float, Device::Cpu))));
        assert!(first.contains("libtorch: ") && first.ends_with("or fewer threads"), "{first}");
    }
}
