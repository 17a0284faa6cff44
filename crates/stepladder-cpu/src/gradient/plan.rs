//! Which tokens a pass computes, and which of them see each other.
//!
//! All tokens stand in one list without padding: of every branch the prompt, then each reply without its last
//! token, which predicts nothing. What predicts a token of a reply is the end of the prompt or a token of a
//! reply: these are the
//! *readers*, in each branch the last tokens of its part of the list.

use std::ops::Range;

use stepladder_rollout::engine::check_ids;

use crate::error::CpuError;
use crate::weights::Shape;

/// Short replies of a branch share one block of attention up to so many tokens of their own; what they must
/// not see of each other is computed and thrown away.
const BUNDLE: usize = 24;

/// A prompt and the replies that are scored behind it: the prompt is computed once for all of them.
#[derive(Debug, Clone)]
pub struct Branch<'a> {
    /// At least one token.
    pub prompt: &'a [u32],
    /// At least one token each.
    pub replies: Vec<&'a [u32]>,
}

/// Consecutive tokens at consecutive positions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) position: usize,
}

/// A block of attention. Its keys are a prompt and tokens of replies to it; its queries are the last of
/// these.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    /// First token of the prompt, and how many it has.
    pub(crate) prompt: usize,
    pub(crate) shared: usize,
    /// First token of the replies, and how many they have.
    pub(crate) own: usize,
    pub(crate) count: usize,
    /// Whether the tokens of the prompt are queries as well.
    pub(crate) whole: bool,
    /// From a token to its place among the readers.
    pub(crate) shift: usize,
}

impl Unit {
    pub(crate) fn keys(&self) -> usize {
        self.shared + self.count
    }

    /// The token that a key belongs to.
    pub(crate) fn token(&self, key: usize) -> usize {
        if key < self.shared { self.prompt + key } else { self.own + key - self.shared }
    }

    /// The first key that is a query too; of the last layer only readers are.
    pub(crate) fn first_query(&self, last: bool) -> usize {
        match (self.whole, last) {
            (false, _) => self.shared,
            (true, false) => 0,
            (true, true) => self.shared - 1,
        }
    }
}

/// A token of a reply, and the reader that predicts it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) reader: usize,
    pub(crate) word: u32,
}

/// The tokens of one pass.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) ids: Vec<u32>,
    pub(crate) pieces: Vec<Piece>,
    /// Tokens that are readers, in order.
    pub(crate) readers: Vec<Range<usize>>,
    /// The same as pieces of a list of readers alone.
    pub(crate) reader_pieces: Vec<Piece>,
    pub(crate) units: Vec<Unit>,
    /// For each token the first one of its own reply, or of its prompt.
    pub(crate) starts: Vec<usize>,
    /// In the order of the log-probabilities.
    pub(crate) targets: Vec<Target>,
    /// How many readers there are.
    pub(crate) read: usize,
}

impl Plan {
    /// # Errors
    /// [`CpuError::Input`] for the first branch that a decoder of this shape cannot read.
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
            self.targets.extend(targets.map(|(&word, token)| Target { reader: token - shift, word }));
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

    /// How many tokens there are.
    pub(crate) fn tokens(&self) -> usize {
        self.ids.len()
    }
}

/// The violation that keeps a decoder from scoring a branch, if there is one.
fn check(branch: &Branch<'_>, shape: &Shape) -> Result<(), String> {
    if branch.prompt.is_empty() {
        return Err("it has no token".to_owned());
    }
    check_ids(branch.prompt, shape.vocab)?;
    for reply in &branch.replies {
        if reply.is_empty() {
            return Err("one of its replies has no token".to_owned());
        }
        let (needed, window) = (branch.prompt.len() + reply.len(), shape.max_positions);
        if needed > window {
            return Err(format!("it and a reply have {needed} tokens, the context window has {window}"));
        }
        check_ids(reply, shape.vocab)?;
    }
    Ok(())
}
