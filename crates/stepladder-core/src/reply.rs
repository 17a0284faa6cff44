//! Text format of replies: well-formedness by role, parsing of executor replies, cleaning of progress texts.

use crate::blueprint;
use crate::query::Role;

/// Action sent for an unparsable reply; the environment rejects it and the step counts (docs/spec/algorithms.md 2.3).
pub const NO_ACTION: &str = "None";

crate::choices! {
    /// Rules that apply where the released STEP-HRL code and its description differ (docs/spec/algorithms.md 0.2).
    pub enum Profile {
        /// The described intent, with our repairs for truncated episodes.
        Fixed = "fixed",
        /// Bug-compatible with the released code.
        Code = "code",
    }
}

/// A parsed executor reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionReply {
    /// Action for the environment.
    pub action: String,
    /// The executor reports that the subtask is finished.
    pub finished: bool,
    /// The reply was unparsable, so `action` is [`NO_ACTION`].
    pub unparsable: bool,
}

/// Parses `<action>; True|False`: the shortest text up to a semicolon that is followed by `true` or `false` in any case;
/// text after the word is ignored (docs/spec/algorithms.md 2.3).
///
/// [`Profile::Code`] is exact: the text before the semicolon must not contain a line break, and an empty action stays
/// empty. [`Profile::Fixed`] strips leading white space first and turns an empty action into [`NO_ACTION`], keeping the
/// flag.
///
/// ```
/// use stepladder_core::reply::{Profile, parse_action_done};
/// let read = |text| {
///     let reply = parse_action_done(text, Profile::Fixed);
///     (reply.action, reply.finished)
/// };
/// assert_eq!(read("a; b; true"), ("a; b".to_owned(), true));
/// assert_eq!(read("look around"), ("None".to_owned(), false));
/// assert_eq!(read("\ngo; true"), ("go".to_owned(), true));
/// assert_eq!(read("; true"), ("None".to_owned(), true));
/// ```
pub fn parse_action_done(reply: &str, profile: Profile) -> ActionReply {
    let text = match profile {
        Profile::Fixed => reply.trim_start(),
        Profile::Code => reply,
    };
    let first_line_end = text.find('\n').unwrap_or(text.len());
    for (index, _) in text[..first_line_end].match_indices(';') {
        let rest = text[index + 1..].trim_start();
        let starts = |word: &str| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
        let finished = if starts("true") {
            true
        } else if starts("false") {
            false
        } else {
            continue;
        };
        let action = text[..index].trim();
        let empty = action.is_empty() && profile == Profile::Fixed;
        let action = if empty { NO_ACTION } else { action };
        return ActionReply { action: action.to_owned(), finished, unparsable: empty };
    }
    ActionReply { action: NO_ACTION.to_owned(), finished: false, unparsable: true }
}

/// Whether a native reply can be parsed as an answer of its role. Every text is a planner's, progress writer's or flat agent's
/// answer unless it is empty; whether the environment understands an action is known only after the step.
///
/// ```
/// use stepladder_core::Role;
/// use stepladder_core::reply::parses;
/// assert!(parses(Role::Executor, "look; False") && !parses(Role::Executor, "look"));
/// assert!(parses(Role::Micro, "<sub_done>") && !parses(Role::Micro, "look"));
/// assert!(parses(Role::Flat, "look") && !parses(Role::Flat, " "));
/// ```
pub fn parses(role: Role, native: &str) -> bool {
    match role {
        Role::Executor => !parse_action_done(native, Profile::Fixed).unparsable,
        Role::Macro => blueprint::parse(native, usize::MAX).is_some(),
        Role::Micro => {
            let reply = blueprint::parse_micro(native);
            reply.action.is_some() || reply.done
        }
        Role::Planner | Role::Progress | Role::Flat => !native.trim().is_empty(),
    }
}

/// Formats an executor reply as [`parse_action_done`] reads it.
pub fn executor_reply(action: &str, finished: bool) -> String {
    format!("{action}; {}", if finished { "True" } else { "False" })
}

/// Appends an action and its answer to the history of a subtask (ablation: history in place of a progress text).
///
/// ```
/// use stepladder_core::reply::remember;
/// let one = remember("None", "open fridge", "The fridge is now open.");
/// assert_eq!(remember(&one, "look", "A room."), "open fridge: The fridge is now open. | look: A room.");
/// ```
pub fn remember(history: &str, action: &str, answer: &str) -> String {
    let entry = format!("{action}: {answer}");
    if history == crate::query::NO_PROGRESS { entry } else { format!("{history} | {entry}") }
}

/// Cleans a progress text: an empty trailing Checked list goes, then a dangling separator, then outer white space
/// (docs/spec/algorithms.md 3.0, step 5).
///
/// ```
/// use stepladder_core::reply::clean_progress;
/// assert_eq!(clean_progress("door open || [Checked: ]"), "door open");
/// assert_eq!(clean_progress("x || || [Checked: ]"), "x");
/// assert_eq!(clean_progress("found it || [Checked: hall]"), "found it || [Checked: hall]");
/// ```
pub fn clean_progress(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_suffix("|| [Checked: ]").unwrap_or(text).trim_end();
    text.strip_suffix("||").unwrap_or(text).trim().to_owned()
}
