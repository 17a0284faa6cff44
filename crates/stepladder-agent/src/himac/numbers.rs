//! Numbers of things in cloned blueprints.
//!
//! A demonstration's subtasks are a blueprint in hindsight: `put mug 2 in shelf 1` names the mug that was found later. Its number
//! is unknown at the start (docs/spec/algorithms.md 9.2).

stepladder_core::choices! {
    /// Which numbers of things the sub-goals of cloned blueprints keep.
    pub enum Numbers {
        /// Those that task or first observation show.
        Known = "known",
        /// All of them.
        All = "all",
    }
}

/// Removes the number of each thing, `NAME NUMBER`, that `known` does not contain.
///
/// ```
/// use stepladder_agent::himac::without_unknown;
/// let known = "put a mug in a shelf. You see a shelf 1, and a shelf 12.";
/// assert_eq!(without_unknown("put mug 2 in shelf 1", known), "put mug in shelf 1");
/// assert_eq!(without_unknown("clean mug 2", known), "clean mug");
/// assert_eq!(without_unknown("push box from (2,3) to (2,4)", known), "push box from (2,3) to (2,4)");
/// ```
pub fn without_unknown(subgoal: &str, known: &str) -> String {
    let bare = |word: &str| word.trim_matches(|c: char| c.is_ascii_punctuation()).to_owned();
    let seen: Vec<String> = known.split_whitespace().map(bare).collect();
    let words: Vec<&str> = subgoal.split_whitespace().collect();
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let keeps = |&(index, word): &(usize, &str)| {
        index == 0
            || !is_number(word)
            || seen.windows(2).any(|pair| pair[0] == bare(words[index - 1]) && pair[1] == word)
    };
    let kept: Vec<&str> = words.iter().copied().enumerate().filter(keeps).map(|(_, word)| word).collect();
    kept.join(" ")
}
