//! Text format of HiMAC's replies (docs/spec/algorithms.md 5.1, 5.2).

const PLAN: [&str; 2] = ["<plan>", "</plan>"];
const ACTION: [&str; 2] = ["<action>", "</action>"];
const DONE: &str = "<sub_done>";

/// Splits a text into the contents of the first pair of tags and the rest after it.
fn block<'a>(text: &'a str, [open, close]: [&str; 2]) -> Option<(&'a str, &'a str)> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close)
}

/// Parses the sub-goals of a macro reply: numbered lines of its first `<plan>` block, white space squeezed, at most `max` (K_max);
/// none if there is no block or no such line.
///
/// ```
/// use stepladder_core::blueprint::parse;
/// let found = parse("Let me see. <plan>\n1. find  a mug\nor a cup\n2) clean it\n</plan>", 8);
/// assert_eq!(found, Some(vec!["find a mug".to_owned(), "clean it".to_owned()]));
/// assert_eq!(parse("1. find a mug", 8), None);
/// ```
pub fn parse(reply: &str, max: usize) -> Option<Vec<String>> {
    let (body, _) = block(reply, PLAN)?;
    let subgoals: Vec<String> = body.lines().filter_map(numbered).take(max).collect();
    (!subgoals.is_empty()).then_some(subgoals)
}

/// The text of a line of digits, one of `. ) :`, and text.
fn numbered(line: &str) -> Option<String> {
    let rest = line.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|&digits| digits > 0)?;
    let rest = rest[digits..].strip_prefix(['.', ')', ':'])?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Formats a blueprint as [`parse`] reads it.
pub fn write<S: AsRef<str>>(subgoals: &[S]) -> String {
    let lines = subgoals.iter().enumerate();
    let lines: String =
        lines.map(|(index, subgoal)| format!("{}. {}\n", index + 1, subgoal.as_ref())).collect();
    format!("{}\n{lines}{}", PLAN[0], PLAN[1])
}

/// A parsed micro reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicroReply {
    /// The action, if the reply has one.
    pub action: Option<String>,
    /// The active sub-goal is declared done.
    pub done: bool,
}

/// Parses a micro reply: optional reasoning, an action in its block, and `<sub_done>` outside of it.
///
/// ```
/// use stepladder_core::blueprint::{MicroReply, parse_micro};
/// let read = |text| { let MicroReply { action, done } = parse_micro(text); (action, done) };
/// assert_eq!(read("so: <action> go up </action> <sub_done>"), (Some("go up".into()), true));
/// assert_eq!(read("<action>say <sub_done></action>"), (Some("say <sub_done>".into()), false));
/// assert_eq!(read("<sub_done>"), (None, true));
/// assert_eq!(read("go up"), (None, false));
/// ```
pub fn parse_micro(reply: &str) -> MicroReply {
    let Some((body, after)) = block(reply, ACTION) else {
        return MicroReply { action: None, done: reply.contains(DONE) };
    };
    let before = reply.split(ACTION[0]).next().unwrap_or_default();
    let action = body.trim();
    MicroReply {
        action: (!action.is_empty()).then(|| action.to_owned()),
        done: before.contains(DONE) || after.contains(DONE),
    }
}

/// Formats a micro reply as [`parse_micro`] reads it.
pub fn write_micro(action: Option<&str>, done: bool) -> String {
    let action = action.map(|action| format!("{}{action}{}", ACTION[0], ACTION[1]));
    let parts = [action, done.then(|| DONE.to_owned())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
