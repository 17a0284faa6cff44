//! JSON schemas of actions, observations and states.

use serde_json::{Value, json};

/// Returns the answer of `GET /schema`.
pub(crate) fn all() -> Value {
    json!({
        "action": action(),
        "observation": observation(),
        "reset_observation": observation(),
        "state": state(),
    })
}

fn action() -> Value {
    json!({
        // Not "Action": clients such as verifiers take that title for an environment of MCP tools.
        "title": "TextAction", "type": "object", "additionalProperties": false, "required": ["action"],
        "properties": {
            "action": { "type": "string", "description": "Action in the words of the environment" },
            "admissible": {
                "anyOf": [{ "type": "boolean" }, { "type": "null" }], "default": null,
                "description": "List the admissible actions in this observation; null: as the reset asked",
            },
            "metadata": { "anyOf": [{ "type": "object" }, { "type": "null" }], "default": null, "description": "Ignored" },
        },
    })
}

fn observation() -> Value {
    let text = |what: &str| json!({ "type": "string", "description": what });
    let flag = |what: &str| json!({ "type": "boolean", "description": what });
    json!({
        "title": "TextObservation", "type": "object", "additionalProperties": false,
        "required": [
            "text", "context", "task", "score", "won", "unknown_action", "terminated", "truncated", "steps",
            "admissible_actions", "reward", "done",
        ],
        "properties": {
            "text": text("Answer of the environment"),
            "context": text("Facts that hold now beside the text, for example room and inventory"),
            "task": {
                "anyOf": [{ "type": "string" }, { "type": "null" }],
                "description": "Sentence of the task; null after the reset",
            },
            "score": { "type": "number", "description": "Sum of rewards, clamped to the range of scores of the benchmark" },
            "won": flag("The task is solved"),
            "unknown_action": flag("The environment did not understand the action"),
            "terminated": flag("The environment ended the episode"),
            "truncated": flag("The step limit ended the episode"),
            "steps": { "type": "integer", "minimum": 0, "description": "Steps played" },
            "admissible_actions": {
                "anyOf": [{ "type": "array", "items": { "type": "string" } }, { "type": "null" }],
                "description": "Actions that the environment accepts now; null unless asked for, and after the end",
            },
            "reward": {
                "anyOf": [{ "type": "number" }, { "type": "null" }],
                "description": "Reward of the step, beside the observation in messages; null at the reset",
            },
            "done": flag("The episode is over, beside the observation in messages"),
        },
    })
}

fn state() -> Value {
    let nullable = |kind: &str, what: &str| json!({ "anyOf": [{ "type": kind }, { "type": "null" }], "description": what });
    json!({
        "title": "TextState", "type": "object", "additionalProperties": true,
        "required": [
            "episode_id", "step_count", "env", "split", "task_id", "task_index", "family", "seed", "score", "won",
            "max_steps",
        ],
        "properties": {
            "episode_id": nullable("string", "Id of the episode, that of the reset or one of the server; null without one"),
            "step_count": { "type": "integer", "minimum": 0, "description": "Steps played" },
            "env": { "type": "string", "description": "Id of the environment" },
            "split": { "type": "string", "description": "Split of this episode and, unless a reset names another, the next" },
            "task_id": nullable("string", "Id of the task"),
            "task_index": nullable("integer", "Position of the task in its split, from 0"),
            "family": nullable("string", "Kind of task"),
            "seed": nullable("integer", "Seed of the episode: the same seed, split and task lead to the same episode"),
            "score": { "type": "number", "description": "As in the observation" },
            "won": { "type": "boolean", "description": "The task is solved" },
            "max_steps": { "type": "integer", "minimum": 1, "description": "Step limit" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Observation, Outcome, SessionState, StepData};

    fn keys(value: &Value) -> Vec<&str> {
        let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_schemas_have_the_fields_of_the_messages() {
        let observation = Observation {
            text: "",
            context: "",
            task: None,
            score: 0.0,
            won: false,
            unknown_action: false,
            terminated: false,
            truncated: false,
            steps: 0,
            admissible_actions: None,
        };
        let outcome = serde_json::to_value(Outcome { observation, reward: None, done: false }).unwrap();
        let mut written = keys(&outcome["observation"]);
        written.extend(keys(&outcome).into_iter().filter(|key| *key != "observation"));
        written.sort_unstable();
        assert_eq!(keys(&all()["observation"]["properties"]), written);
        let state = SessionState {
            episode_id: None,
            step_count: 0,
            env: "",
            split: "",
            task_id: None,
            task_index: None,
            family: None,
            seed: None,
            score: 0.0,
            won: false,
            max_steps: 1,
        };
        assert_eq!(keys(&all()["state"]["properties"]), keys(&serde_json::to_value(state).unwrap()));
        let action = json!({ "action": "look", "admissible": null, "metadata": null });
        assert_eq!(keys(&all()["action"]["properties"]), keys(&action));
        // verifiers plays a reply that is plain text if the action has one required field and a title of its own.
        assert_eq!(all()["action"]["required"], json!(["action"]));
        assert_ne!(all()["action"]["title"], "Action");
        assert!(serde_json::from_value::<StepData>(action).is_ok());
    }
}
