//! Constrained decoding of actions: the replies with which a role plays an admissible action, and their trie.
//!
//! Planner, progress and macro replies are free text and have no constraint.

use std::sync::Arc;

use stepladder_core::reply::executor_reply;
use stepladder_core::{Role, blueprint};
use stepladder_data::PromptEncoder;

use crate::trie::Trie;

/// Whether the replies of a role play an action of the environment.
pub fn acts(role: Role) -> bool {
    matches!(role, Role::Executor | Role::Flat | Role::Micro)
}

/// Returns the native replies with which `role` plays one of these actions, in order; none for roles that do not act.
///
/// An executor or micro reply may also end the subtask or sub-goal. A micro reply without an action is not among them: after
/// a few of those in a row the environment gets one as its action (docs/spec/algorithms.md 5.2).
///
/// ```
/// use stepladder_core::Role;
/// use stepladder_rollout::constrain::replies;
/// let of = |role| replies(role, &["look".to_owned()]).to_vec();
/// assert_eq!(of(Role::Executor), ["look; False", "look; True"]);
/// assert_eq!(of(Role::Flat), ["look"]);
/// assert_eq!(of(Role::Micro), ["<action>look</action>", "<action>look</action> <sub_done>"]);
/// assert!(of(Role::Planner).is_empty());
/// ```
pub fn replies(role: Role, actions: &[String]) -> Arc<[String]> {
    let both = |write: fn(&str, bool) -> String| {
        actions.iter().flat_map(|action| [false, true].map(|done| write(action, done))).collect()
    };
    match role {
        Role::Executor => both(executor_reply),
        Role::Micro => both(|action, done| blueprint::write_micro(Some(action), done)),
        Role::Flat => actions.into(),
        Role::Planner | Role::Progress | Role::Macro => Arc::new([]),
    }
}

/// Builds the trie of these native replies, each with any of the end tokens. Replies that the encoder cannot write within
/// `budget` tokens and read back are left out; `None` if no reply is left.
pub fn trie(encoder: &dyn PromptEncoder, role: Role, replies: &[String], budget: usize) -> Option<Trie> {
    let mut written = Vec::with_capacity(replies.len() * encoder.end().len());
    for native in replies {
        let mut ids = encoder.reply(role, native, false);
        let within = ids.len() <= budget && encoder.covers(&ids);
        if !within || encoder.decode(role, &ids) != *native {
            continue;
        }
        ids.pop();
        if ids.iter().any(|id| encoder.end().contains(id)) {
            continue;
        }
        written.extend(encoder.end().iter().map(|&end| [&ids[..], &[end]].concat()));
    }
    (!written.is_empty()).then(|| Trie::new(written))
}
