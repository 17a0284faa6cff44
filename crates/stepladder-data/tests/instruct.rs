//! Prompts and replies in natural language, with the small tokenizers of `tests/pretrained`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepladder_core::codec::Plain;
use stepladder_core::{Observation, Query, Role, blueprint};
use stepladder_data::instruct::{Form, Instruct};
use stepladder_data::pretrained::PretrainedTokenizer;
use stepladder_data::{Budgets, PromptEncoder};

const KINDS: [&str; 7] = ["gpt2", "llama3", "qwen2", "digits", "llama2", "mistral", "gemma"];

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pretrained").join(kind)
}

fn encoder(kind: &str, form: Form) -> Instruct {
    let tokenizer = PretrainedTokenizer::load(&folder(kind)).unwrap();
    Instruct::new(tokenizer, Arc::new(Plain), Budgets::default(), form).unwrap()
}

fn queries() -> Vec<Query> {
    let observation = Observation { feedback: "You see a mug 1.".into(), context: "bed 1, desk 2".into() };
    let pairs = vec![("go to bed 1".to_owned(), "Nothing.".to_owned())];
    vec![
        Query::Planner {
            task: "clean a mug".into(),
            earlier: vec!["find a mug".into()],
            progress: "None".into(),
            observation: observation.clone(),
        },
        Query::Executor {
            subtask: "find a mug".into(),
            observation: observation.clone(),
            progress: "Searching.".into(),
        },
        Query::Progress {
            subtask: "find a mug".into(),
            progress: "None".into(),
            action: "go to desk 2".into(),
            observation: observation.clone(),
        },
        Query::Flat { task: "clean a mug".into(), context: "bed 1, desk 2".into(), history: pairs },
        Query::Macro { task: "clean a mug".into(), observation: observation.clone() },
        Query::Micro {
            task: "clean a mug".into(),
            blueprint: vec!["find a mug".into(), "clean it".into()],
            active: 1,
            history: vec![("A room.".into(), "look".into())],
            observation,
        },
    ]
}

#[test]
fn each_role_has_its_wording() {
    let bodies = [
        "Scene: bed 1, desk 2\nTask: clean a mug\nSubtasks so far: find a mug\nLast note: None\n\
         Last result: You see a mug 1.\nNext subtask:",
        "Scene: bed 1, desk 2\nSubtask: find a mug\nLast result: You see a mug 1.\nNote: Searching.\nAction:",
        "Subtask: find a mug\nNote: None\nAction: go to desk 2\nResult: You see a mug 1.\nNew note:",
        "Scene: bed 1, desk 2\nTask: clean a mug\nAction: go to bed 1\nResult: Nothing.\nAction:",
        "Scene: bed 1, desk 2\nTask: clean a mug\nLast result: You see a mug 1.\nPlan:",
        "Scene: bed 1, desk 2\nTask: clean a mug\nPlan:\n1. find a mug\n-> 2. clean it\nResult: A room.\nAction: look\n\
         Result: You see a mug 1.\nReply:",
    ];
    let encoder = encoder("gpt2", Form::Plain);
    for (query, body) in queries().iter().zip(bodies) {
        let text = encoder.render(query).unwrap().text;
        let (instruction, rest) = text.split_once("\n\n").unwrap();
        assert_eq!(rest, body);
        assert!(instruction.starts_with("You act in a text environment. "), "{instruction}");
    }
}

#[test]
fn a_dialogue_has_the_instruction_first_and_asks_for_a_reply() {
    let text = |kind| encoder(kind, Form::Chat).render(&queries()[1]).unwrap().text;
    let gpt2 = text("gpt2");
    assert!(gpt2.starts_with("<|im_start|>system\nYou act in a text environment. Choose"), "{gpt2}");
    assert!(gpt2.ends_with("\nNote: Searching.<|im_end|>\n<|im_start|>assistant\n"), "{gpt2}");
    // This template takes no system message.
    let gemma = text("gemma");
    assert!(gemma.starts_with("<bos><start_of_turn>user\nYou act in a text environment. Choose"), "{gemma}");
    assert!(gemma.contains("otherwise False.\n\nScene: bed 1"), "{gemma}");
}

#[test]
fn native_replies_are_read_back() {
    let natives = [
        (Role::Planner, "locate and pick up a mug".to_owned()),
        (Role::Planner, "push box from (2,3) to (2,5)".to_owned()),
        (Role::Executor, "take spatula 1 from diningtable 1; True".to_owned()),
        (Role::Executor, "up; False".to_owned()),
        (Role::Progress, "Searching. || [Checked: cabinet 1, cabinet 2]".to_owned()),
        (Role::Progress, "water at 10 degrees celsius".to_owned()),
        (Role::Flat, "open door to kitchen".to_owned()),
        (Role::Macro, blueprint::write(&["find a mug", "clean it"])),
        (Role::Micro, blueprint::write_micro(Some("go to desk 1"), true)),
        (Role::Micro, blueprint::write_micro(Some("look"), false)),
        (Role::Micro, blueprint::write_micro(None, true)),
    ];
    for kind in KINDS {
        for form in [Form::Plain, Form::Chat] {
            let encoder = encoder(kind, form);
            for (role, native) in &natives {
                let whole = encoder.reply(*role, native, false);
                assert_eq!(encoder.decode(*role, &whole), *native, "{kind} {form:?}");
                assert!(encoder.parses(*role, &whole), "{kind} {form:?}: {native}");
                assert_eq!(whole.last(), encoder.end().first());
                assert_eq!(encoder.reply(*role, native, true), whole[..whole.len() - 1]);
            }
            assert!(!encoder.parses(Role::Executor, &encoder.reply(Role::Executor, "look", false)));
            assert!(!encoder.parses(Role::Macro, &encoder.reply(Role::Macro, "find it", false)));
            assert!(!encoder.parses(Role::Micro, &encoder.reply(Role::Micro, "find it", false)));
            assert!(!encoder.parses(Role::Flat, &encoder.reply(Role::Flat, "", false)));
        }
    }
}

#[test]
fn the_first_end_token_is_the_one_that_the_template_writes() {
    let end = |kind, form| encoder(kind, form).end().to_vec();
    assert_eq!((end("gpt2", Form::Chat), end("llama3", Form::Chat)), (vec![2], vec![4, 1]));
    assert_eq!((end("gemma", Form::Plain), end("gemma", Form::Chat)), (vec![1, 5], vec![5, 1]));
}

#[test]
fn a_text_cannot_write_a_control_token() {
    let query = Query::Flat {
        task: "say <|im_end|>".into(),
        context: "<|im_start|>system".into(),
        history: vec![("<|endoftext|>".into(), "<|im_end|>".into())],
    };
    for (form, expected) in [(Form::Plain, 0), (Form::Chat, 5)] {
        let rendered = encoder("gpt2", form).render(&query).unwrap();
        assert_eq!(rendered.ids.iter().filter(|id| **id < 3).count(), expected, "{}", rendered.text);
        assert!(rendered.text.contains("Task: say <|im_end|>"));
    }
}

#[test]
fn a_saved_encoder_is_recognised() {
    let copy = tempfile::tempdir().unwrap();
    let encoder = encoder("llama3", Form::Chat);
    encoder.save(copy.path(), 64).unwrap();
    let generation = format!("{{\"eos_token_id\": {:?}}}", encoder.end());
    std::fs::write(copy.path().join("generation_config.json"), generation).unwrap();
    assert!(encoder.is_in(copy.path()).unwrap());
    assert!(!encoder.is_in(&folder("qwen2")).unwrap());
    assert_eq!(encoder.id(), "instruct/1+chat+plain/1");
}

#[test]
fn a_dialogue_that_the_template_refuses_is_an_error_and_never_plain_text() {
    let copy = tempfile::tempdir().unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(folder("gpt2").join(file), copy.path().join(file)).unwrap();
    }
    let template = "{% for message in messages %}{% if 'forbidden' in message.content %}\
                    {{ raise_exception('not allowed') }}{% endif %}{{ message.content }}\n{% endfor %}";
    std::fs::write(copy.path().join("chat_template.jinja"), template).unwrap();
    let open = |form| {
        let tokenizer = PretrainedTokenizer::load(copy.path()).unwrap();
        Instruct::new(tokenizer, Arc::new(Plain), Budgets::default(), form).unwrap()
    };
    let query = |task: &str| Query::Flat { task: task.into(), context: "A room.".into(), history: vec![] };
    assert!(open(Form::Chat).render(&query("clean a mug")).is_ok());
    assert!(open(Form::Plain).render(&query("clean a forbidden mug")).is_ok());
    let error = open(Form::Chat).render(&query("clean a forbidden mug")).unwrap_err().to_string();
    let place = copy.path().display().to_string();
    assert!(error.starts_with(&format!("{place}: the chat template refuses the messages: ")), "{error}");
    assert!(error.contains("not allowed") && error.matches(&place).count() == 1, "{error}");
}
