//! Plan of a pass: its tokens, and which of them attend to each other.
//!
//! All tokens are in one list without padding: for each branch the prompt, then each reply without its last token, which
//! predicts nothing. Each token of a reply is predicted by the last token of the prompt or by a token of the reply. These
//! tokens are the *readers*; they are the last tokens of their branch in the list.

use std::ops::Range;

use stepladder_rollout::engine::check_ids;

use crate::error::CpuError;
use crate::weights::Shape;

/// Maximum number of tokens of short replies that share one block of attention; the scores between different replies are
/// computed and discarded.
const BUNDLE: usize = 24;

/// A prompt with its replies; the prompt is computed once for all of them.
#[derive(Debug, Clone)]
pub struct Branch<'a> {
    /// Token ids of the prompt, at least one.
    pub prompt: &'a [u32],
    /// Token ids of the replies, at least one each.
    pub replies: Vec<&'a [u32]>,
}

/// Consecutive tokens at consecutive positions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) position: usize,
}

/// A block of attention. Its keys are a prompt and tokens of its replies; its queries are the last of these.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    /// Index of the prompt's first token, and number of its tokens (`shared`).
    pub(crate) prompt: usize,
    pub(crate) shared: usize,
    /// Index of the replies' first token, and number of their tokens (`count`).
    pub(crate) own: usize,
    pub(crate) count: usize,
    /// Whether the tokens of the prompt are queries too.
    pub(crate) whole: bool,
    /// Difference between the index of a token and its index among the readers.
    pub(crate) shift: usize,
}

impl Unit {
    pub(crate) fn keys(&self) -> usize {
        self.shared + self.count
    }

    /// Returns the token of a key.
    pub(crate) fn token(&self, key: usize) -> usize {
        if key < self.shared { self.prompt + key } else { self.own + key - self.shared }
    }

    /// Returns the first key that is also a query; in the last layer only readers have queries.
    pub(crate) fn first_query(&self, last: bool) -> usize {
        match (self.whole, last) {
            (false, _) => self.shared,
            (true, false) => 0,
            (true, true) => self.shared - 1,
        }
    }
}

/// A token of a reply with the reader that predicts it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) reader: usize,
    pub(crate) id: u32,
}

/// Tokens of one pass.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) ids: Vec<u32>,
    pub(crate) pieces: Vec<Piece>,
    /// Ranges of the readers among the tokens, in order.
    pub(crate) readers: Vec<Range<usize>>,
    /// Pieces of the list of readers.
    pub(crate) reader_pieces: Vec<Piece>,
    pub(crate) units: Vec<Unit>,
    /// For each token the first token of its reply, or of its prompt.
    pub(crate) starts: Vec<usize>,
    /// Targets, in the order of the log-probabilities.
    pub(crate) targets: Vec<Target>,
    /// Number of readers.
    pub(crate) read: usize,
}

impl Plan {
    /// Plans a pass over all replies.
    ///
    /// # Errors
    /// [`CpuError::Input`] for the first branch that is invalid for a decoder of this shape.
    pub(crate) fn new(branches: &[Branch<'_>], shape: &Shape) -> Result<Self, CpuError> {
        let mut plan = Self::default();
        for (index, branch) in branches.iter().enumerate().filter(|(_, branch)| !branch.replies.is_empty()) {
            check(branch, shape).map_err(|reason| CpuError::Input { index, reason })?;
            plan.push(branch);
        }
        Ok(plan)
    }

    fn push(&mut self, branch: &Branch<'_>) {
        let (prompt, shared) = (self.ids.len(), branch.prompt.len());
        self.piece(branch.prompt, 0);
        let last = prompt + shared - 1;
        let shift = last - self.read;
        self.reader_pieces.push(Piece { first: self.read, count: 1, position: shared - 1 });
        let unit = |own: usize, whole: bool| Unit { prompt, shared, own, count: 0, whole, shift };
        let mut open = unit(prompt + shared, true);
        for reply in &branch.replies {
            let before = &reply[..reply.len() - 1];
            let first = self.ids.len();
            let readers = std::iter::once(last).chain(first..);
            let targets = reply.iter().zip(readers);
            self.targets.extend(targets.map(|(&id, token)| Target { reader: token - shift, id }));
            if before.is_empty() {
                continue;
            }
            if open.count + before.len() > BUNDLE && (open.whole || open.count > 0) {
                self.units.push(std::mem::replace(&mut open, unit(first, false)));
            }
            open.count += before.len();
            self.reader_pieces.push(Piece { first: first - shift, count: before.len(), position: shared });
            self.piece(before, shared);
        }
        self.units.push(open);
        self.readers.push(last..self.ids.len());
        self.read += self.ids.len() - last;
    }

    fn piece(&mut self, ids: &[u32], position: usize) {
        let first = self.ids.len();
        self.pieces.push(Piece { first, count: ids.len(), position });
        self.ids.extend_from_slice(ids);
        self.starts.resize(self.ids.len(), first);
    }

    /// Returns the number of tokens.
    pub(crate) fn tokens(&self) -> usize {
        self.ids.len()
    }
}

/// Checks that a decoder of this shape can score a branch; the error is the end of a sentence.
fn check(branch: &Branch<'_>, shape: &Shape) -> Result<(), String> {
    if branch.prompt.is_empty() {
        return Err("it has no token".to_owned());
    }
    check_ids(branch.prompt, shape.vocab)?;
    for reply in &branch.replies {
        if reply.is_empty() {
            return Err("one of its replies has no token".to_owned());
        }
        let (needed, context) = (branch.prompt.len() + reply.len(), shape.max_positions);
        if needed > context {
            return Err(format!("it and a reply have {needed} tokens, the context window has {context}"));
        }
        check_ids(reply, shape.vocab)?;
    }
    Ok(())
}
