//! Generation on several threads, with a cache of prefixes between calls.
//!
//! Each thread repeatedly takes a few prompts and computes them. When none is left, it continues with its own replies, and
//! gives half of them to a thread without rows. No thread waits for a step of another one.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use stepladder_rollout::engine::{Engine, EngineError, Prompt, Reply};

use super::choose::choose;
use super::forward::{Row, Scratch};
use super::model::Model;
use super::segment::{Segment, Source, Span, beginning};
use crate::error::{CpuError, panic_message};
use crate::prefixes::{Prefixes, Stored};
use crate::weights::Shape;

/// Minimum and maximum number of prompt tokens that are computed together: enough to amortise reading the weights, few enough
/// that the activations stay in a core's cache and that all threads end at about the same time.
const READ: [usize; 2] = [24, 128];
/// A thread with fewer rows than twice this gives none away: a step of a few rows costs nearly as much as one of twice as
/// many.
const FEW: usize = 6;
/// Minimum number of prompt tokens per thread: computing fewer takes less time than starting a thread.
const WORTH_A_THREAD: usize = 32;
/// Minimum number of tokens that are read from another row of the same pass; fewer are computed again.
const MIN_SHARED: usize = 2;
/// A prompt is computed together with the one before it if less than 1 / this of its tokens is left to compute.
const LITTLE: usize = 8;
/// Initial capacity for the tokens of a reply to a shared prompt.
const REPLY_CAPACITY: usize = 8;

/// Default memory for keys and values of earlier prompts, in bytes: a few thousand tokens of a small decoder.
pub const DEFAULT_PREFIX_BYTES: usize = 128 << 20;

impl Stored for Arc<Segment> {
    fn handle(&self) -> Self {
        self.clone()
    }

    fn size(&self) -> usize {
        self.bytes()
    }
}

/// Writes replies with one model on several threads.
#[derive(Debug)]
pub struct Writer {
    model: Model,
    /// Scratch memory of each thread.
    scratches: Vec<Scratch>,
    prefixes: Prefixes<Arc<Segment>>,
    submitted: Vec<Submitted>,
}

/// Prompts with the same end tokens that wait for the next call.
#[derive(Debug)]
struct Submitted {
    end: Vec<u32>,
    prompts: Vec<(u64, Prompt)>,
}

/// State shared by the threads of a call.
struct Shared<'a> {
    model: &'a Model,
    end: &'a [u32],
    workers: usize,
    state: Mutex<State>,
    /// Notified when rows are given, or when all rows are done.
    changed: Condvar,
    /// Number of threads that wait for rows.
    hungry: AtomicUsize,
}

struct State {
    /// Prompts that no thread has taken, in the order of their tokens, so that those with a common prefix are taken together.
    waiting: VecDeque<Row>,
    /// Number of their pending tokens.
    left: usize,
    /// Rows for another thread to continue.
    given: Vec<Row>,
    /// Number of threads with rows.
    busy: usize,
    done: Vec<Row>,
}

impl Writer {
    /// Creates a writer with `workers` threads, at least one, that caches at most `prefix_bytes` of keys and values for later
    /// prompts ([`DEFAULT_PREFIX_BYTES`]); with 0 it caches none.
    pub fn new(model: Model, workers: usize, prefix_bytes: usize) -> Self {
        let scratches = (0..workers.max(1)).map(|_| Scratch::default()).collect();
        Self { model, scratches, prefixes: Prefixes::new(prefix_bytes), submitted: Vec::new() }
    }

    /// Returns the model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Completes every prompt, in order; each of the ids in `end` ends a reply.
    ///
    /// # Errors
    /// [`CpuError::Input`] for the first prompt that is empty, has an unknown token or does not fit into the context window
    /// with its budget; no prompt is completed then. [`CpuError::Thread`] with the message of a thread's panic.
    pub fn write(&mut self, prompts: Vec<Prompt>, end: &[u32]) -> Result<Vec<Reply>, CpuError> {
        let Shape { vocab, max_positions, .. } = self.model.shape;
        for (index, prompt) in prompts.iter().enumerate() {
            prompt.check(max_positions, vocab, end).map_err(|reason| CpuError::Input { index, reason })?;
        }
        let count = prompts.len();
        let mut waiting: Vec<Row> = prompts.into_iter().enumerate().map(|row| self.row(row)).collect();
        waiting.sort_by(|a, b| a.ids.cmp(&b.ids).then(a.index.cmp(&b.index)));
        let left = waiting.iter().map(Row::pending).sum::<usize>();
        let workers = (left / WORTH_A_THREAD).clamp(1, self.scratches.len());
        let shared = Shared {
            model: &self.model,
            end,
            workers,
            state: Mutex::new(State {
                waiting: waiting.into(),
                left,
                given: Vec::new(),
                busy: workers,
                done: Vec::with_capacity(count),
            }),
            changed: Condvar::new(),
            hungry: AtomicUsize::new(0),
        };
        let (own, others) = self.scratches[..workers].split_at_mut(1);
        let failed: Mutex<Option<CpuError>> = Mutex::new(None);
        let work = |scratch: &mut Scratch| {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| shared.work(scratch))) {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert_with(|| CpuError::Thread(panic_message(&*payload)));
            }
        };
        let work = &work;
        std::thread::scope(|scope| {
            for scratch in others {
                scope.spawn(move || work(scratch));
            }
            work(&mut own[0]);
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut done = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner).done;
        done.sort_by(|a, b| a.ids.cmp(&b.ids).then(a.index.cmp(&b.index)));
        let mut replies = vec![Reply::default(); count];
        for mut row in done {
            row.freeze(0);
            let spans = row.spans.iter().filter_map(|span| match &span.source {
                Source::Kept(segment) => Some((segment.clone(), span.start as i64, span.count as i64)),
                Source::Row(_) => None,
            });
            self.prefixes.insert(&row.ids, 0, spans);
            replies[row.index] = row.reply;
        }
        self.prefixes.trim();
        Ok(replies)
    }

    fn row(&mut self, (index, prompt): (usize, Prompt)) -> Row {
        let spans: Vec<Span> = self
            .prefixes
            .find(&prompt.ids)
            .into_iter()
            .map(|(segment, start, count)| Span {
                source: Source::Kept(segment),
                start: start as usize,
                count: count as usize,
            })
            .collect();
        let known = spans.iter().map(|span| span.count).sum::<usize>();
        // The capacity is rounded up to whole blocks; the rest of the last block often holds the reply.
        let own = Segment::new(self.model.kv, prompt.ids.len() - known);
        Row { index, ids: prompt.ids.clone(), prompt, reply: Reply::default(), spans, own }
    }
}

impl Engine for Writer {
    fn context(&self) -> usize {
        self.model.shape.max_positions
    }

    fn submit(&mut self, id: u64, prompt: Prompt, end: &[u32]) -> Result<(), EngineError> {
        let Shape { vocab, max_positions, .. } = self.model.shape;
        prompt.check(max_positions, vocab, end).map_err(EngineError::new)?;
        match self.submitted.iter_mut().find(|group| group.end == end) {
            Some(group) => group.prompts.push((id, prompt)),
            None => self.submitted.push(Submitted { end: end.to_vec(), prompts: vec![(id, prompt)] }),
        }
        Ok(())
    }

    /// Completes all prompts that were submitted with the same end tokens.
    fn advance(&mut self) -> Result<Vec<(u64, Reply)>, EngineError> {
        if self.submitted.is_empty() {
            return Ok(Vec::new());
        }
        let Submitted { end, prompts } = self.submitted.remove(0);
        let (ids, prompts): (Vec<u64>, Vec<Prompt>) = prompts.into_iter().unzip();
        match self.write(prompts, &end) {
            Ok(replies) => Ok(ids.into_iter().zip(replies).collect()),
            Err(error) => {
                self.submitted.clear();
                Err(EngineError::new(error))
            }
        }
    }

    fn cancel(&mut self, id: u64) -> Result<(), EngineError> {
        for group in &mut self.submitted {
            group.prompts.retain(|(other, _)| *other != id);
        }
        self.submitted.retain(|group| !group.prompts.is_empty());
        Ok(())
    }
}

/// Counts a thread as busy while it exists, so that a panic does not leave the other threads waiting.
struct Busy<'a, 'b>(&'a Shared<'b>);

impl Drop for Busy<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
        self.0.changed.notify_all();
    }
}

impl Shared<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes prompts and generates replies until no rows are left for this thread.
    fn work(&self, scratch: &mut Scratch) {
        let mut open = Vec::new();
        loop {
            let busy = Busy(self);
            let mut done = Vec::new();
            loop {
                let mut rows = self.take();
                if !rows.is_empty() {
                    share_prefixes(&mut rows);
                    self.advance(&mut rows, scratch, &mut done);
                    open.append(&mut rows);
                } else if open.is_empty() {
                    break;
                } else {
                    self.give(&mut open);
                    self.advance(&mut open, scratch, &mut done);
                }
            }
            self.lock().done.append(&mut done);
            drop(busy);
            match self.wait() {
                Some(rows) => open = rows,
                None => return,
            }
        }
    }

    /// Takes the next prompts to compute; empty if none is left.
    fn take(&self) -> Vec<Row> {
        let mut state = self.lock();
        let most = (state.left / (2 * self.workers)).clamp(READ[0], READ[1]);
        let mut rows: Vec<Row> = Vec::new();
        let mut tokens = 0;
        while let Some(next) = state.waiting.front() {
            // A prefix shared with the row before costs nothing, so the equal prompts of a group stay together.
            let more = next.pending() - rows.last().map_or(0, |row| shared_tokens(row, next));
            if tokens >= most && more * LITTLE > next.pending() {
                break;
            }
            tokens += more;
            if let Some(row) = state.waiting.pop_front() {
                state.left -= row.pending();
                rows.push(row);
            }
        }
        rows
    }

    /// Gives half of these rows to a thread without rows.
    fn give(&self, open: &mut Vec<Row>) {
        if open.len() < 2 * FEW || self.hungry.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut state = self.lock();
        if state.given.is_empty() {
            state.given = open.split_off(open.len() / 2);
            self.changed.notify_one();
        }
    }

    /// Waits for rows from another thread and counts this thread as busy again; `None` when all rows are done.
    fn wait(&self) -> Option<Vec<Row>> {
        let mut state = self.lock();
        self.hungry.fetch_add(1, Ordering::Relaxed);
        while state.given.is_empty() && state.busy > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.hungry.fetch_sub(1, Ordering::Relaxed);
        let rows = std::mem::take(&mut state.given);
        if rows.is_empty() {
            return None;
        }
        state.busy += 1;
        Some(rows)
    }

    /// Computes the pending tokens and generates one token of every reply; moves rows that end to `done`.
    fn advance(&self, rows: &mut Vec<Row>, scratch: &mut Scratch, done: &mut Vec<Row>) {
        let chosen: Vec<(u32, f32)> = self.model.forward(rows, scratch, |row, logits, weights| {
            let Prompt { sampling, constraint, .. } = &mut row.prompt;
            match constraint {
                None => choose(self.model.arch, logits, weights, sampling),
                Some(constraint) => {
                    let allowed: Vec<f32> =
                        constraint.allowed().iter().map(|&id| logits[id as usize]).collect();
                    constraint.choose(&allowed, sampling)
                }
            }
        });
        complete(rows);
        for (position, (id, logprob)) in chosen.into_iter().enumerate().rev() {
            let row = &mut rows[position];
            row.reply.ids.push(id);
            row.reply.logprobs.push(logprob);
            let stop = &mut row.prompt.stop;
            let ended = self.end.contains(&id) || stop.as_mut().is_some_and(|stop| stop.push(id));
            if ended || row.reply.ids.len() >= row.prompt.budget {
                row.reply.cut = !ended;
                done.push(rows.swap_remove(position));
            } else {
                row.ids.push(id);
            }
        }
    }
}

/// Counts the tokens, beyond the known ones, that `row` can read from the row before it since both have the same prefix; 0
/// for fewer than [`MIN_SHARED`]. A row computes its last token itself.
fn shared_tokens(before: &Row, row: &Row) -> usize {
    let alike = before.ids.iter().zip(&row.ids).take_while(|(a, b)| a == b).count();
    let more = alike.min(row.ids.len() - 1).saturating_sub(row.known());
    if more < MIN_SHARED { 0 } else { more }
}

/// Makes every row read the prefix that it shares with the row before it from that row.
fn share_prefixes(rows: &mut [Row]) {
    for at in 1..rows.len() {
        let (before, row) = (&rows[at - 1], &rows[at]);
        let more = shared_tokens(before, row);
        if more == 0 {
            continue;
        }
        let alike = row.known() + more;
        let mut spans = before.spans.clone();
        spans.push(Span { source: Source::Row(at - 1), start: 0, count: before.pending() });
        rows[at].spans = beginning(&spans, alike);
    }
}

/// Replaces the spans in other rows' segments, which are complete after a pass, by handles to those segments.
fn complete(rows: &mut [Row]) {
    let mut wanted = vec![false; rows.len()];
    for span in rows.iter().flat_map(|row| &row.spans) {
        if let Source::Row(other) = span.source {
            wanted[other] = true;
        }
    }
    let mut frozen: Vec<Option<Arc<Segment>>> = vec![None; rows.len()];
    for (at, row) in rows.iter_mut().enumerate() {
        for span in &mut row.spans {
            if let Source::Row(other) = span.source
                && let Some(segment) = &frozen[other]
            {
                span.source = Source::Kept(segment.clone());
            }
        }
        if wanted[at] {
            row.freeze(REPLY_CAPACITY);
            if let Some(Span { source: Source::Kept(segment), .. }) = row.spans.last() {
                frozen[at] = Some(segment.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::KvShape;
    use crate::testing::{shapes, weights};

    #[test]
    fn the_prompt_of_a_group_is_computed_once() {
        let row = |ids: &[u32], index: usize| {
            let prompt =
                Prompt { ids: ids.to_vec(), budget: 4, sampling: None, constraint: None, stop: None };
            let own = Segment::new(KvShape { layers: 1, heads: 1, head: 8, lanes: 8 }, ids.len());
            Row { index, ids: ids.to_vec(), prompt, reply: Reply::default(), spans: Vec::new(), own }
        };
        let prompts: [Vec<u32>; 3] = [(0..200).collect(), (100..240).collect(), (100..245).collect()];
        let rows: Vec<Row> = (0..24).map(|index| row(&prompts[index / 8], index)).collect();
        let left = rows.iter().map(Row::pending).sum();
        let model = Model::new(weights(&shapes()[0], 1));
        let state = State { waiting: rows.into(), left, given: Vec::new(), busy: 1, done: Vec::new() };
        let shared = Shared {
            model: &model,
            end: &[0],
            workers: 2,
            state: Mutex::new(state),
            changed: Condvar::new(),
            hungry: AtomicUsize::new(0),
        };
        let taken: Vec<(usize, usize)> = std::iter::from_fn(|| {
            let mut rows = shared.take();
            share_prefixes(&mut rows);
            (!rows.is_empty()).then(|| (rows.len(), rows.iter().map(Row::pending).sum()))
        })
        .collect();
        // Each row computes its last token itself.
        assert_eq!(taken, [(8, 200 + 7), (16, 140 + 7 + 5 + 7)]);
        assert_eq!(shared.lock().left, 0);
    }
}
