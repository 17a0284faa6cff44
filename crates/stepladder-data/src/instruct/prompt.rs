//! Wording of prompts: an instruction per role, then the query's contents as labelled lines, the context first.

use stepladder_core::codec::Briefing;
use stepladder_core::{Codec, Query, Role};

/// Contents of a prompt before it is written as plain text or as a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Same for all prompts of the role and environment.
    pub(super) instruction: String,
    /// Labelled lines.
    pub(super) body: String,
    /// Label of the reply.
    pub(super) label: &'static str,
}

/// Returns the label of a role's reply.
pub(super) fn label(role: Role) -> &'static str {
    match role {
        Role::Planner => "Next subtask",
        Role::Executor | Role::Flat => "Action",
        Role::Progress => "New note",
        Role::Macro => "Plan",
        Role::Micro => "Reply",
    }
}

/// Returns the instruction of a role.
pub(super) fn instruction(role: Role, codec: &dyn Codec) -> String {
    let Briefing { scene, actions, legend, .. } = codec.briefing();
    let acting = [actions, legend];
    let (request, more): (&str, &[&str]) = match role {
        Role::Planner => (
            "Choose the next subtask of the task. Reply with one short, concrete subtask on one line.",
            &[legend],
        ),
        Role::Executor => (
            "Choose the next command for the subtask. Reply on one line with the command, a semicolon, and True if the \
             command completes the subtask, otherwise False.",
            &acting,
        ),
        Role::Progress => (
            "Keep the note about the subtask up to date. Retain facts that still hold, add what the result shows, and add \
             nothing else. Reply with the new note on one line.",
            if codec.progress_needs_context() { &acting[1..] } else { &[] },
        ),
        Role::Flat => {
            ("Choose the next command for the task. Reply with the command alone, on one line.", &acting)
        }
        Role::Macro => (
            "Plan how to do the task. Reply with numbered subgoals, one per line, between <plan> and </plan>.",
            &[legend],
        ),
        Role::Micro => (
            "Choose the next command for the subgoal marked with ->. Reply with <action>command</action>, followed by \
             <sub_done> if the command completes the subgoal.",
            &acting,
        ),
    };
    let parts = [scene, request].into_iter().chain(more.iter().copied());
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Labelled lines.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    /// Adds a text with its label, unless it is empty; a text of several lines begins on its own line.
    fn add(&mut self, label: &str, text: &str) {
        if !text.is_empty() {
            let space = if text.contains('\n') { '\n' } else { ' ' };
            self.0.push(format!("{label}:{space}{text}"));
        }
    }
}

/// Writes the prompt of a query.
pub(super) fn prompt(query: &Query, codec: &dyn Codec) -> Prompt {
    let role = query.role();
    let mut lines = Lines::default();
    let name = codec.briefing().context;
    match query {
        Query::Planner { task, earlier, progress, observation } => {
            lines.add(name, &codec.outline(&observation.context));
            lines.add("Task", task);
            let earlier = if earlier.is_empty() { "none".to_owned() } else { earlier.join("; ") };
            lines.add("Subtasks so far", &earlier);
            lines.add("Last note", progress);
            lines.add("Last result", &observation.feedback);
        }
        Query::Executor { subtask, observation, progress } => {
            lines.add(name, &codec.outline(&observation.context));
            lines.add("Subtask", subtask);
            lines.add("Last result", &observation.feedback);
            lines.add("Note", progress);
        }
        Query::Progress { subtask, progress, action, observation } => {
            if codec.progress_needs_context() {
                lines.add(name, &codec.outline(&observation.context));
            }
            lines.add("Subtask", subtask);
            lines.add("Note", progress);
            lines.add("Action", action);
            lines.add("Result", &observation.feedback);
        }
        Query::Flat { task, context, history } => {
            lines.add(name, &codec.outline(context));
            lines.add("Task", task);
            for (action, answer) in history {
                lines.add("Action", action);
                lines.add("Result", answer);
            }
        }
        Query::Macro { task, observation } => {
            lines.add(name, &codec.outline(&observation.context));
            lines.add("Task", task);
            lines.add("Last result", &observation.feedback);
        }
        Query::Micro { task, blueprint, active, history, observation } => {
            lines.add(name, &codec.outline(&observation.context));
            lines.add("Task", task);
            let marked = |(index, subgoal): (usize, &String)| {
                format!("{}{}. {subgoal}", if index == *active { "-> " } else { "" }, index + 1)
            };
            let plan: Vec<String> = blueprint.iter().enumerate().map(marked).collect();
            lines.0.push(format!("Plan:\n{}", plan.join("\n")));
            for (seen, action) in history {
                lines.add("Result", seen);
                lines.add("Action", action);
            }
            lines.add("Result", &observation.feedback);
        }
    }
    Prompt { instruction: instruction(role, codec), body: lines.0.join("\n"), label: label(role) }
}
