//! Rows shared among threads, and what is kept between calls.
//!
//! Threads take prompts a few at a time and read them; when none is left, each goes on with the replies of its own, and
//! gives half of them to a thread that has none. Nobody waits for another's step.

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

/// Most and fewest tokens of prompts that are read together: enough that a product's weights are read for many, few
/// enough that what they give stays in a core's cache and that all threads end together.
const READ: [usize; 2] = [24, 128];
/// A thread with fewer rows than twice this gives none away: a step of few costs nearly as much as one of twice as many.
const FEW: usize = 6;
/// Calls with fewer tokens to read than this for each thread use fewer threads: starting one takes as long.
const WORTH_A_THREAD: usize = 32;
/// Fewer tokens than this are computed again rather than read beside another row.
const ALIKE: usize = 2;
/// A prompt stays with the one before it if less than one in so many of its tokens is left to compute.
const LITTLE: usize = 8;
/// Tokens of a reply that room is made for where its prompt is shared.
const ROOM: usize = 8;

/// Default of the memory for keys and values of earlier prompts, in bytes: enough for a few thousand tokens of a small
/// decoder.
pub const DEFAULT_PREFIX_BYTES: usize = 128 << 20;

impl Stored for Arc<Segment> {
    fn share(&self) -> Self {
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
    /// One per thread.
    scratches: Vec<Scratch>,
    prefixes: Prefixes<Arc<Segment>>,
}

/// What threads share during a call.
struct Shared<'a> {
    model: &'a Model,
    end: &'a [u32],
    workers: usize,
    state: Mutex<State>,
    /// Something was given, or all is done.
    changed: Condvar,
    /// Threads that wait for rows.
    hungry: AtomicUsize,
}

struct State {
    /// Prompts that nobody has read, in the order of their tokens: those that begin alike are read together.
    waiting: VecDeque<Row>,
    /// Their tokens.
    left: usize,
    /// Replies that another thread shall go on with.
    given: Vec<Row>,
    /// Threads that hold rows.
    busy: usize,
    done: Vec<Row>,
}

impl Writer {
    /// A writer with `workers` threads, at least one, that keeps at most `prefix_bytes` of keys and values for later prompts
    /// ([`DEFAULT_PREFIX_BYTES`]); with 0 it keeps none.
    pub fn new(model: Model, workers: usize, prefix_bytes: usize) -> Self {
        let scratches = (0..workers.max(1)).map(|_| Scratch::default()).collect();
        Self { model, scratches, prefixes: Prefixes::new(prefix_bytes) }
    }

    /// The model that writes.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Completes every prompt, in order; each of the ids in `end` ends a reply.
    ///
    /// # Errors
    /// [`CpuError::Input`] for the first prompt that is empty, holds an unknown token or does not fit into the context window
    /// with its budget; nothing is generated then. [`CpuError::Thread`] with the message of a thread's panic.
    pub fn write(&mut self, prompts: Vec<Prompt>, end: &[u32]) -> Result<Vec<Reply>, CpuError> {
        let Shape { vocab, max_positions, .. } = self.model.shape;
        for (index, prompt) in prompts.iter().enumerate() {
            prompt.check(max_positions, vocab).map_err(|reason| CpuError::Input { index, reason })?;
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
                Source::Beside(_) => None,
            });
            self.prefixes.insert(&row.ids, 0, spans);
            replies[row.index] = row.reply;
        }
        self.prefixes.trim();
        Ok(replies)
    }

    fn row(&self, (index, prompt): (usize, Prompt)) -> Row {
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
        // Whole blocks: what is left of the last mostly holds the reply too.
        let own = Segment::new(self.model.kv, prompt.ids.len() - known);
        Row { index, ids: prompt.ids.clone(), prompt, reply: Reply::default(), spans, own }
    }
}

impl Engine for Writer {
    fn context(&self) -> usize {
        self.model.shape.max_positions
    }

    fn complete(&mut self, prompts: Vec<Prompt>, end: &[u32], _: u32) -> Result<Vec<Reply>, EngineError> {
        self.write(prompts, end).map_err(EngineError::new)
    }
}

/// Counts a thread as busy; a panic must not leave the others waiting.
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

    /// Reads and writes until nothing is left for this thread.
    fn work(&self, scratch: &mut Scratch) {
        let mut open = Vec::new();
        loop {
            let busy = Busy(self);
            let mut done = Vec::new();
            loop {
                let mut rows = self.take();
                if !rows.is_empty() {
                    read_beside(&mut rows);
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

    /// The next prompts to read, or none.
    fn take(&self) -> Vec<Row> {
        let mut state = self.lock();
        let most = (state.left / (2 * self.workers)).clamp(READ[0], READ[1]);
        let mut rows: Vec<Row> = Vec::new();
        let mut tokens = 0;
        while let Some(next) = state.waiting.front() {
            // What begins as the row before is read beside it, and costs nothing: a group's prompt stays together.
            let more = next.pending() - rows.last().map_or(0, |row| beside(row, next));
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

    /// Leaves half of these rows to a thread that has none.
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

    /// Rows that another thread gives, and this one counts as busy again; none when all is done.
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

    /// Computes what is pending and writes one more token of every reply; rows that end go to `done`.
    fn advance(&self, rows: &mut Vec<Row>, scratch: &mut Scratch, done: &mut Vec<Row>) {
        let chosen: Vec<(u32, f32)> = self.model.forward(rows, scratch, |row, logits, weights| {
            choose(self.model.arch, logits, weights, &mut row.prompt.sampling)
        });
        complete(rows);
        for (position, (id, logprob)) in chosen.into_iter().enumerate().rev() {
            let row = &mut rows[position];
            row.reply.ids.push(id);
            row.reply.logprobs.push(logprob);
            let ended = self.end.contains(&id);
            if ended || row.reply.ids.len() >= row.prompt.budget {
                row.reply.cut = !ended;
                done.push(rows.swap_remove(position));
            } else {
                row.ids.push(id);
            }
        }
    }
}

/// Tokens more than are known anyway that `row` can read beside the row before it, as both begin with them; none if they
/// are not worth it. A row computes its last token itself.
fn beside(before: &Row, row: &Row) -> usize {
    let alike = before.ids.iter().zip(&row.ids).take_while(|(a, b)| a == b).count();
    let more = alike.min(row.ids.len() - 1).saturating_sub(row.known());
    if more < ALIKE { 0 } else { more }
}

/// Lets every row read what the row before it computes, as far as they begin alike.
fn read_beside(rows: &mut [Row]) {
    for at in 1..rows.len() {
        let (before, row) = (&rows[at - 1], &rows[at]);
        let more = beside(before, row);
        if more == 0 {
            continue;
        }
        let alike = row.known() + more;
        let mut spans = before.spans.clone();
        spans.push(Span { source: Source::Beside(at - 1), start: 0, count: before.pending() });
        rows[at].spans = beginning(&spans, alike);
    }
}

/// What rows have read beside others is complete: from now on they hold it themselves.
fn complete(rows: &mut [Row]) {
    let mut wanted = vec![false; rows.len()];
    for span in rows.iter().flat_map(|row| &row.spans) {
        if let Source::Beside(other) = span.source {
            wanted[other] = true;
        }
    }
    let mut frozen: Vec<Option<Arc<Segment>>> = vec![None; rows.len()];
    for (at, row) in rows.iter_mut().enumerate() {
        for span in &mut row.spans {
            if let Source::Beside(other) = span.source
                && let Some(segment) = &frozen[other]
            {
                span.source = Source::Kept(segment.clone());
            }
        }
        if wanted[at] {
            row.freeze(ROOM);
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
            let prompt = Prompt { ids: ids.to_vec(), budget: 4, sampling: None };
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
            read_beside(&mut rows);
            (!rows.is_empty()).then(|| (rows.len(), rows.iter().map(Row::pending).sum()))
        })
        .collect();
        // The last token of each is its own: what it predicts is the row's.
        assert_eq!(taken, [(8, 200 + 7), (16, 140 + 7 + 5 + 7)]);
        assert_eq!(shared.lock().left, 0);
    }
}
