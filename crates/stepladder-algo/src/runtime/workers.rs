//! Data-parallel gradients on one machine: each worker thread runs forward and backward on its share of a step with its
//! own leaf over the same parameter storage; gradients are added in the order of the shares.
//!
//! On small matrices two workers with one libtorch thread each beat one worker with two (docs/benchmarks.md).

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use stepladder_data::Batch;
use stepladder_model::decoder::rotations;
use stepladder_model::{Decoder, Factors, Layout, Params};
use tch::{Device, Kind, Tensor};

use crate::AlgoError;

/// A loss of one share; shares add up to the loss of the step.
pub type Loss = fn(&Decoder, &Batch, Device) -> Result<LossParts, AlgoError>;

/// A loss and the token log-probabilities behind it.
pub struct LossParts {
    /// Scalar with gradient.
    pub loss: Tensor,
    /// Log-probability of each target of the batch.
    pub logprobs: Vec<f32>,
}

/// What a share came to.
pub struct Share {
    /// Its part of the loss.
    pub loss: f64,
    /// Log-probability of each target.
    pub logprobs: Vec<f32>,
}

struct Job {
    flat: Tensor,
    batch: Batch,
}

type Outcome = Result<(Share, Tensor), AlgoError>;

struct Worker {
    jobs: Option<Sender<Job>>,
    results: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
}

/// A fixed set of worker threads.
pub struct Workers {
    workers: Vec<Worker>,
}

impl Workers {
    /// `count` workers for a model.
    pub fn new(count: usize, params: &Params, factors: &Factors, kind: Kind, loss: Loss) -> Self {
        let device = params.flat.device();
        let workers = (0..count.max(1))
            .map(|_| {
                let (jobs, inbox) = channel::<Job>();
                let (outbox, results) = channel();
                let layout = params.layout.clone();
                let incidence = factors.matrix(device);
                let rotations = rotations(&layout.config().shape, device);
                let thread = std::thread::spawn(move || {
                    for job in inbox {
                        let outcome = compute(&layout, incidence.as_ref(), &rotations, kind, loss, job);
                        if outbox.send(outcome).is_err() {
                            return;
                        }
                    }
                });
                Worker { jobs: Some(jobs), results, thread: Some(thread) }
            })
            .collect();
        Self { workers }
    }

    /// Number of workers.
    pub fn count(&self) -> usize {
        self.workers.len()
    }

    /// Losses and the summed gradient of all shares; at most one share per worker.
    ///
    /// # Errors
    /// Whatever the loss answers, or [`AlgoError::Shape`] if a worker died.
    pub fn gradient(&self, params: &Params, shares: Vec<Batch>) -> Result<(Vec<Share>, Tensor), AlgoError> {
        let busy = shares.len().min(self.workers.len());
        let died = || AlgoError::Shape { op: "workers", reason: "a worker thread died".to_owned() };
        debug_assert!(shares.len() <= self.workers.len());
        for (worker, batch) in self.workers.iter().zip(shares) {
            let job = Job { flat: params.flat.detach(), batch };
            worker.jobs.as_ref().ok_or_else(died)?.send(job).map_err(|_| died())?;
        }
        // Every answer is awaited even after an error, so that none is mistaken for the next step's.
        let outcomes: Vec<Outcome> = self.workers[..busy]
            .iter()
            .map(|worker| worker.results.recv().unwrap_or_else(|_| Err(died())))
            .collect();
        let mut total: Option<Tensor> = None;
        let mut done = Vec::with_capacity(busy);
        for outcome in outcomes {
            let (share, gradient) = outcome?;
            done.push(share);
            total = Some(match total {
                None => gradient,
                Some(sum) => sum + gradient,
            });
        }
        let gradient = total.unwrap_or_else(|| params.flat.zeros_like());
        Ok((done, gradient))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.jobs = None;
            if let Some(thread) = worker.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

fn compute(
    layout: &Layout,
    incidence: Option<&Tensor>,
    rotations: &Tensor,
    kind: Kind,
    loss: Loss,
    job: Job,
) -> Outcome {
    let device = job.flat.device();
    let leaf = job.flat.set_requires_grad(true);
    let decoder = Decoder::new(layout, &leaf, incidence, rotations, kind);
    let parts = loss(&decoder, &job.batch, device)?;
    parts.loss.f_backward()?;
    let share = Share { loss: parts.loss.f_double_value(&[])?, logprobs: parts.logprobs };
    Ok((share, leaf.grad()))
}
