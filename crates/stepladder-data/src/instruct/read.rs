//! Tolerant parsing of replies in natural language: removes what a language model writes around an answer, and never adds an
//! answer that is not there.

use stepladder_core::Role;
use stepladder_core::blueprint;
use stepladder_core::reply::{Profile, executor_reply, parse_action_done};

const FENCE: &str = "```";
const THOUGHT: [&str; 2] = ["<think>", "</think>"];
/// Pairs of characters in which an answer may be enclosed.
const QUOTES: [(char, char); 5] =
    [('"', '"'), ('\'', '\''), ('`', '`'), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];

/// Returns the native text of a reply; a reply that cannot be parsed is returned as it is, without outer white space.
pub(super) fn native(role: Role, written: &str) -> String {
    let text = without_thought(written).trim();
    match role {
        Role::Macro => plan(text).unwrap_or_else(|| text.to_owned()),
        Role::Micro => micro(text).unwrap_or_else(|| text.to_owned()),
        Role::Executor => {
            let line = unquoted(answer(role, text));
            let reply = parse_action_done(line, Profile::Fixed);
            if reply.unparsable {
                return line.to_owned();
            }
            executor_reply(unquoted(&reply.action), reply.finished)
        }
        Role::Flat => match blueprint::parse_micro(text).action {
            Some(action) => action,
            None => unquoted(answer(role, text)).to_owned(),
        },
        Role::Planner | Role::Progress => unquoted(answer(role, text)).to_owned(),
    }
}

/// Removes a leading block of reasoning.
fn without_thought(text: &str) -> &str {
    let inside = text.trim_start().strip_prefix(THOUGHT[0]);
    inside.and_then(|inside| inside.split_once(THOUGHT[1])).map_or(text, |(_, rest)| rest)
}

/// Labels with which a model may introduce its answer.
fn labels(role: Role) -> &'static [&'static str] {
    match role {
        Role::Planner => &["next subtask", "subtask"],
        Role::Executor | Role::Flat | Role::Micro => {
            &["next action", "action", "next command", "command", "reply"]
        }
        Role::Progress => &["new note", "updated note", "note"],
        Role::Macro => &["plan"],
    }
}

/// Returns the text behind a label, which may be emphasised as in Markdown.
fn labelled(role: Role, line: &str) -> Option<&str> {
    let line = line.trim_start_matches(['*', '#', '>', '-', ' ']);
    labels(role).iter().find_map(|label| {
        let head = line.get(..label.len()).filter(|head| head.eq_ignore_ascii_case(label))?;
        let rest = line[head.len()..].trim_start_matches(['*', ' ']).strip_prefix(':')?;
        Some(rest.trim_start_matches('*').trim())
    })
}

/// Returns the line with the answer of a role that answers on one line: that behind a label, or the first one.
fn answer(role: Role, text: &str) -> &str {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(FENCE)).collect();
    for (index, line) in lines.iter().enumerate() {
        match labelled(role, line) {
            Some("") => return lines.get(index + 1).copied().unwrap_or_default(),
            Some(rest) => return rest,
            None => {}
        }
    }
    lines.first().copied().unwrap_or_default()
}

/// Removes quotes that enclose the whole text.
fn unquoted(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(inside) = QUOTES.iter().find_map(|(open, close)| {
        let inside = text.strip_prefix(*open)?.strip_suffix(*close)?;
        (!inside.contains([*open, *close])).then_some(inside)
    }) {
        text = inside.trim();
    }
    text
}

/// Returns the blueprint of numbered lines, whether or not they are enclosed in tags.
fn plan(text: &str) -> Option<String> {
    let subgoals = blueprint::parse(text, usize::MAX)
        .or_else(|| blueprint::parse(&format!("<plan>{text}\n</plan>"), usize::MAX))?;
    Some(blueprint::write(&subgoals))
}

/// Returns the action and the mark of a finished subgoal, with the action in its tags or behind a label.
fn micro(text: &str) -> Option<String> {
    let mut reply = blueprint::parse_micro(text);
    if reply.action.is_none() {
        let mut lines = text.lines().map(str::trim);
        let action = lines.find_map(|line| labelled(Role::Micro, line)).map(unquoted);
        reply.action = action.filter(|action| !action.is_empty() && !action.contains('<')).map(str::to_owned);
    }
    let action = reply.action.as_deref().map(unquoted);
    (action.is_some() || reply.done).then(|| blueprint::write_micro(action, reply.done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_surrounds_an_answer_is_removed() {
        for (role, written, expected) in [
            (Role::Executor, " take mug 1 from desk 1; true\nThen I go on.", "take mug 1 from desk 1; True"),
            (Role::Executor, "**Action:** \"open fridge 1\"; FALSE", "open fridge 1; False"),
            (Role::Executor, "```\ngo to desk 1; False\n```", "go to desk 1; False"),
            (Role::Executor, "<think>\nWhere?\n</think>\n\ngo to bed 1;True", "go to bed 1; True"),
            (Role::Executor, "I look first.\nCommand: \"look; False\"", "look; False"),
            (Role::Flat, "Action:\ngo to desk 1\nResult: You see a mug.", "go to desk 1"),
            (Role::Flat, "`go to desk 1`", "go to desk 1"),
            (Role::Flat, "<action> look </action>", "look"),
            (Role::Planner, "- Next subtask: \u{201c}find a mug\u{201d}", "find a mug"),
            (Role::Planner, "'find a mug'\n\nThis is the first step.", "find a mug"),
            (Role::Progress, "New note: Searching. || [Checked: bed 1]\n", "Searching. || [Checked: bed 1]"),
            (
                Role::Macro,
                "Here:\n1. find a mug\n2) clean it\nGood luck",
                "<plan>\n1. find a mug\n2. clean it\n</plan>",
            ),
            (Role::Macro, "<plan>\n1. find a mug", "<plan>\n1. find a mug\n</plan>"),
            (Role::Micro, "So: <action>'look'</action>\n<sub_done>.", "<action>look</action> <sub_done>"),
            (Role::Micro, "Action: look", "<action>look</action>"),
            (Role::Micro, "<sub_done>", "<sub_done>"),
        ] {
            assert_eq!(native(role, written), expected, "{written}");
        }
    }

    #[test]
    fn an_answer_that_is_not_there_is_not_invented() {
        for (role, written) in [
            (Role::Executor, "take mug 1 from desk 1"),
            (Role::Executor, "True"),
            (Role::Micro, "go to desk 1"),
            (Role::Micro, "Action: <action>"),
            (Role::Macro, "find a mug and clean it"),
            (Role::Flat, "<think> no end"),
        ] {
            assert_eq!(native(role, written), written);
        }
        assert_eq!(native(Role::Flat, "```\n```"), "");
        assert_eq!(native(Role::Flat, "say \"a\" and \"b\""), "say \"a\" and \"b\"");
    }
}
