//! Stop strings in the replies of pretrained models, from the request to the completion.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

use std::path::Path;
use std::sync::Arc;

use stepladder_core::codec::Plain;
use stepladder_core::{Observation, Query, Role};
use stepladder_data::instruct::{Form, Instruct};
use stepladder_data::{Budgets, CompactWords, PretrainedTokenizer, PromptEncoder};
use stepladder_rollout::engine::{Engine, EngineError, Prompt, Reply};
use stepladder_rollout::{Completion, GenerateError, LocalGenerator, Request, RequestId};

fn tokenizer(kind: &str) -> PretrainedTokenizer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stepladder-data/tests/pretrained").join(kind);
    PretrainedTokenizer::load(&folder).unwrap()
}

/// Writes the same tokens to every prompt, as far as its stop strings allow.
struct Writes {
    ids: Vec<u32>,
    submitted: Vec<(u64, Prompt, Vec<u32>)>,
}

impl Engine for Writes {
    fn context(&self) -> usize {
        10_000
    }

    fn submit(&mut self, id: u64, prompt: Prompt, end: &[u32]) -> Result<(), EngineError> {
        self.submitted.push((id, prompt, end.to_vec()));
        Ok(())
    }

    fn cancel(&mut self, id: u64) -> Result<(), EngineError> {
        self.submitted.retain(|(other, _, _)| *other != id);
        Ok(())
    }

    fn advance(&mut self) -> Result<Vec<(u64, Reply)>, EngineError> {
        let reply = |(of, mut prompt, end): (u64, Prompt, Vec<u32>)| {
            let mut reply = Reply { cut: true, ..Reply::default() };
            for &id in &self.ids {
                reply.ids.push(id);
                reply.logprobs.push(-0.5);
                if end.contains(&id) || prompt.stop.as_mut().is_some_and(|stop| stop.push(id)) {
                    reply.cut = false;
                    break;
                }
            }
            (of, reply)
        };
        Ok(std::mem::take(&mut self.submitted).into_iter().map(reply).collect())
    }
}

fn request(stop: Option<&[&str]>) -> Request {
    let observation = Observation { feedback: "a desk".into(), context: "a room".into() };
    Request {
        id: RequestId::fresh(),
        query: Query::Executor { subtask: "find a mug".into(), observation, progress: "None".into() },
        session: 1,
        sampling: None,
        allowed: None,
        stop: stop.map(|list| list.iter().map(|&string| string.to_owned()).collect()),
    }
}

fn generator(encoder: impl PromptEncoder + 'static, ids: Vec<u32>) -> LocalGenerator {
    LocalGenerator::new(
        Box::new(Writes { ids, submitted: Vec::new() }),
        Arc::new(encoder),
        1000,
        "test".to_owned(),
    )
}

fn complete(generator: &mut LocalGenerator, request: &Request) -> Completion {
    generator.generate(std::slice::from_ref(request)).unwrap().remove(0).unwrap()
}

#[test]
fn a_reply_ends_with_the_token_that_completes_a_stop_string() {
    for kind in ["gpt2", "llama3", "qwen2", "digits", "llama2", "mistral", "gemma"] {
        for form in [Form::Plain, Form::Chat] {
            let tokenizer = tokenizer(kind);
            let encoder =
                Instruct::new(tokenizer.clone(), Arc::new(Plain), Budgets::default(), form).unwrap();
            let Ok(encoder) = encoder.with_examples(Default::default()) else { continue };
            let written = tokenizer.encode_continuation(" go to desk 1; False\nResult: \u{1f600} a mug");
            let mut generator = generator(encoder.clone(), written.clone());
            let free = complete(&mut generator, &request(None));
            assert_eq!((free.new_tokens as usize, free.cut), (written.len(), true), "{kind}");

            // At the border of tokens or inside of one, by vocabulary.
            let whole = tokenizer.decode(&written);
            for (stop, first) in [
                (&["\n"][..], "\n"),
                (&["sk 1; F", "\n"], "sk 1; F"),
                (&["\u{1f600}"], "\u{1f600}"),
                (&["False\nRes", "; Fa"], "; Fa"),
            ] {
                let found = complete(&mut generator, &request(Some(stop)));
                let before = whole.split_once(first).unwrap().0;
                assert_eq!(found.text, encoder.native(Role::Executor, before), "{kind} {stop:?}");
                let ids = found.tokens.unwrap().reply;
                assert_eq!((found.cut, ids.len()), (false, found.new_tokens as usize));
                assert!(ids.len() < written.len() && written.starts_with(&ids), "{kind} {stop:?}");
                // The last token completes the stop string.
                assert!(tokenizer.decode(&ids).contains(first), "{kind} {stop:?}");
                assert!(!tokenizer.decode(&ids[..ids.len() - 1]).contains(first), "{kind} {stop:?}");
            }
            let none = complete(&mut generator, &request(Some(&["stove"])));
            assert_eq!((none.text, none.cut), (free.text.clone(), true), "{kind}");
            // Cached replies belong to their stop strings.
            assert_eq!(complete(&mut generator, &request(None)).text, free.text, "{kind}");
        }
    }
}

#[test]
fn a_style_without_text_refuses_stop_strings() {
    let encoder = CompactWords::new(Arc::new(Plain), Budgets::default());
    let mut generator = generator(encoder, vec![3]);
    let error = generator.generate(&[request(Some(&["\n"]))]).unwrap().remove(0).unwrap_err();
    assert!(
        matches!(&error, GenerateError::StopStrings { style } if style == "compact/1+plain/1"),
        "{error}"
    );
    assert_eq!(complete(&mut generator, &request(None)).new_tokens, 1);
}
