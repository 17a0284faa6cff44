//! Storage of many short strings in one buffer.

/// A list of commands in one buffer, which can be refilled without allocating.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandList {
    text: String,
    ends: Vec<u32>,
}

impl CommandList {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes all commands, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Number of commands.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Command at a position.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        Some(&self.text[self.start(index)..end])
    }

    /// Iterates over all commands in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + '_ {
        (0..self.len()).map(|index| &self.text[self.start(index)..self.ends[index] as usize])
    }

    /// All commands, concatenated without separator.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }

    /// Appends one command, given in pieces.
    pub(crate) fn push(&mut self, pieces: &[&str]) {
        self.text.reserve(pieces.iter().map(|piece| piece.len()).sum());
        for piece in pieces {
            self.text.push_str(piece);
        }
        self.ends.push(self.text.len() as u32);
    }

    /// Appends the commands `from..to` of another list.
    pub(crate) fn extend(&mut self, other: &Self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        let start = other.start(from);
        let base = self.text.len();
        self.text.push_str(&other.text[start..other.ends[to - 1] as usize]);
        self.ends.extend(other.ends[from..to].iter().map(|&end| (end as usize - start + base) as u32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_out_as_they_went_in() {
        let mut list = CommandList::new();
        assert!(list.is_empty() && list.get(0).is_none());
        list.push(&["go to ", "bed 1"]);
        list.push(&["look"]);
        list.push(&["use ", "lamp 1"]);
        let mut copy = CommandList::new();
        copy.push(&["help"]);
        copy.extend(&list, 1, 3);
        copy.extend(&list, 3, 3);
        assert_eq!(copy.iter().collect::<Vec<_>>(), ["help", "look", "use lamp 1"]);
        assert_eq!(list.get(0), Some("go to bed 1"));
        assert_eq!(copy.len(), 3);
    }
}
