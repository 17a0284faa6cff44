//! Prompts that a generator passes to its engine, and replies that it caches.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stepladder_core::codec::Plain;
use stepladder_core::query::Observation;
use stepladder_core::seed::stream;
use stepladder_core::{Query, Role};
use stepladder_data::encoder::EncoderError;
use stepladder_data::instruct::{Form, Instruct};
use stepladder_data::pretrained::PretrainedTokenizer;
use stepladder_data::{Budgets, Overflow, PromptEncoder, Rendered};
use stepladder_rollout::engine::{Engine, EngineError, Prompt, Reply};
use stepladder_rollout::local::fit;
use stepladder_rollout::sampling::Sampling;
use stepladder_rollout::{Completion, GenerateError, Generator, LocalGenerator, Request, RequestId};

const CONTEXT: usize = 12;
const ENDS: [u32; 2] = [1, 2];

/// Encodes each byte of the subtask and of the progress text as one token; only the progress text can be shortened.
struct Bytes {
    /// Beginning of all prompts.
    shared: &'static str,
    overflow: Overflow,
}

const SHORTEN: Bytes = Bytes { shared: "", overflow: Overflow::Shorten };

impl PromptEncoder for Bytes {
    fn id(&self) -> String {
        "bytes".to_owned()
    }

    fn render(&self, query: &Query) -> Result<Rendered, EncoderError> {
        let Query::Executor { subtask, progress, .. } = query else { panic!("only executors are asked") };
        if subtask == "refused" {
            let reason = "the chat template refuses the messages: no".to_owned();
            return Err(EncoderError::File { path: "m".to_owned(), reason });
        }
        let text = format!("{subtask}{progress}");
        Ok(Rendered { ids: text.bytes().map(u32::from).collect(), text })
    }

    fn shared(&self, _: Role) -> Vec<u32> {
        self.shared.bytes().map(u32::from).collect()
    }

    fn reply(&self, _: Role, _: &str, _: bool) -> Vec<u32> {
        Vec::new()
    }

    fn covers(&self, _: &[u32]) -> bool {
        true
    }

    fn decode(&self, _: Role, ids: &[u32]) -> String {
        format!("{ids:?}")
    }

    fn end(&self) -> &[u32] {
        &ENDS
    }

    fn pad(&self) -> u32 {
        9
    }

    fn budget(&self, _: Role) -> u32 {
        4
    }

    fn overflow(&self) -> Overflow {
        self.overflow
    }

    fn vocab(&self) -> usize {
        256
    }

    fn contents(&self) -> Vec<u8> {
        Vec::new()
    }

    fn is_in(&self, _: &Path) -> Result<bool, EncoderError> {
        Ok(true)
    }

    fn save(&self, _: &Path, _: usize) -> Result<(), EncoderError> {
        Ok(())
    }
}

/// Records the prompts of each call; the reply is the prompt's length, the budget and an end token.
struct Noting {
    calls: Arc<Mutex<Vec<Vec<Vec<u32>>>>>,
    submitted: Vec<(u64, Prompt)>,
}

impl Noting {
    fn new(calls: &Arc<Mutex<Vec<Vec<Vec<u32>>>>>) -> Box<Self> {
        Box::new(Self { calls: calls.clone(), submitted: Vec::new() })
    }
}

impl Engine for Noting {
    fn context(&self) -> usize {
        CONTEXT
    }

    fn submit(&mut self, id: u64, prompt: Prompt, end: &[u32]) -> Result<(), EngineError> {
        assert_eq!(end, &ENDS[..]);
        self.submitted.push((id, prompt));
        Ok(())
    }

    fn cancel(&mut self, id: u64) -> Result<(), EngineError> {
        self.submitted.retain(|(other, _)| *other != id);
        Ok(())
    }

    fn advance(&mut self) -> Result<Vec<(u64, Reply)>, EngineError> {
        let prompts = std::mem::take(&mut self.submitted);
        let reply = |prompt: &Prompt| {
            assert!(prompt.ids.len() + prompt.budget <= CONTEXT);
            Reply {
                ids: vec![prompt.ids.len() as u32, prompt.budget as u32, ENDS[1]],
                logprobs: vec![-0.5; 3],
                cut: false,
            }
        };
        let replies = prompts.iter().map(|(id, prompt)| (*id, reply(prompt))).collect();
        self.calls.lock().unwrap().push(prompts.into_iter().map(|(_, prompt)| prompt.ids).collect());
        if self.calls.lock().unwrap().len() > 3 {
            return Err(EngineError::new("the engine is worn out"));
        }
        Ok(replies)
    }
}

fn request(text: &str, sampled: bool) -> Request {
    let observation = Observation { feedback: String::new(), context: String::new() };
    Request {
        id: RequestId::fresh(),
        query: Query::Executor { subtask: text.to_owned(), observation, progress: String::new() },
        session: 1,
        sampling: sampled.then(|| Sampling::at(1.0, stream(1, "sampling", &[]))),
        allowed: None,
        stop: None,
    }
}

#[test]
fn the_completion_of_a_shortened_prompt_has_the_number_of_removed_parts() {
    let engine = Noting::new(&Arc::default());
    let mut generator = LocalGenerator::new(engine, Arc::new(SHORTEN), 10, "test".to_owned());
    let requests = ["", " a b", " a b c d"].map(|written| {
        let mut request = request("look", false);
        let Query::Executor { progress, .. } = &mut request.query else { panic!("an executor is asked") };
        written.clone_into(progress);
        request
    });
    let found = generator.generate(&requests).unwrap();
    let found: Vec<(&str, u32)> = found
        .iter()
        .map(|result| result.as_ref().unwrap())
        .map(|completion| (completion.prompt.as_str(), completion.shortened))
        .collect();
    // A round removes a quarter of the words, so that the third prompt loses `d` and `c`.
    assert_eq!(found, [("look", 0), ("look a b", 0), ("looka b", 2)]);
}

#[test]
fn the_beginning_of_all_prompts_is_computed_once_before_them() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let engine = Noting::new(&calls);
    let encoder = Arc::new(Bytes { shared: "lo", ..SHORTEN });
    let mut generator = LocalGenerator::new(engine, encoder, 100, "test".to_owned());
    generator.generate(&[request("look", false), request("lost", false)]).unwrap();
    generator.generate(&[request("loud", false)]).unwrap();
    let calls = calls.lock().unwrap();
    let texts: Vec<Vec<String>> = calls
        .iter()
        .map(|call| call.iter().map(|ids| ids.iter().map(|&id| id as u8 as char).collect()).collect())
        .collect();
    assert_eq!(texts, [vec!["lo"], vec!["look", "lost"], vec!["loud"]]);
}

#[test]
fn a_prompt_that_must_not_be_shortened_or_is_refused_fails_alone() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let engine = Noting::new(&calls);
    let mut generator = LocalGenerator::new(
        engine,
        Arc::new(Bytes { overflow: Overflow::Stop, ..SHORTEN }),
        10,
        "test".to_owned(),
    );
    let requests = ["refused", "tenletters", "eight888"].map(|text| request(text, false));
    let found = generator.generate(&requests).unwrap();
    let message = |at: usize| found[at].as_ref().unwrap_err().to_string();
    assert_eq!(
        message(0),
        "the executor prompt cannot be rendered: m: the chat template refuses the messages: no"
    );
    assert_eq!(
        message(1),
        "the executor prompt needs 14 tokens with its reply, but the context window of the model is 12, and \
         generation.overflow = \"stop\" forbids to shorten it"
    );
    // Exactly as many tokens as the window has.
    assert_eq!((text(&found[2]), found[2].as_ref().unwrap().shortened), ("[8, 4, 2]", 0));
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[test]
fn a_dialogue_of_a_pretrained_model_is_shortened_and_counted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stepladder-data/tests/pretrained/gpt2");
    let tokenizer = PretrainedTokenizer::load(&folder).unwrap();
    let budgets = Budgets { short: 4, ..Budgets::default() };
    let encoder = Instruct::new(tokenizer, Arc::new(Plain), budgets, Form::Chat).unwrap();
    let history =
        ["bed 1", "desk 1", "shelf 2"].map(|place| (format!("go to {place}"), "Nothing.".to_owned()));
    let query =
        Query::Flat { task: "find a mug".into(), context: "A room.".into(), history: history.to_vec() };
    let whole = encoder.prompt(&query).unwrap().len() + 4;
    let fits = |context, overflow| fit(&query, context, &encoder, overflow);
    let fitted = fits(whole, Overflow::Stop).unwrap();
    assert_eq!((fitted.shortened, fitted.text.contains("go to bed 1")), (0, true));
    let fitted = fits(whole - 1, Overflow::Shorten).unwrap();
    assert_eq!((fitted.shortened, fitted.budget), (1, 4));
    assert!(!fitted.text.contains("go to bed 1") && fitted.text.contains("go to desk 1"), "{}", fitted.text);
    assert!(fitted.text.starts_with("<|im_start|>system\n") && fitted.ids.len() + 4 < whole);
    let error = fits(whole - 1, Overflow::Stop).unwrap_err();
    assert!(matches!(error, GenerateError::Overflow { role: Role::Flat, needed, .. } if needed == whole));
    // The instruction and the task alone do not fit.
    assert!(matches!(fits(20, Overflow::Shorten), Err(GenerateError::Window { context: 20, .. })));
}

fn text(result: &Result<Completion, GenerateError>) -> &str {
    &result.as_ref().unwrap().text
}

#[test]
fn greedy_replies_are_asked_for_once_and_a_prompt_that_does_not_fit_fails_alone() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let engine = Noting::new(&calls);
    let mut generator = LocalGenerator::new(engine, Arc::new(SHORTEN), 10, "test".to_owned());
    let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<u32>>();

    let requests = [
        request("look", false),
        request("look", true),
        request("much too long", false),
        request("look", false),
        request("look", true),
        request("tenletters", false),
    ];
    let found = generator.generate(&requests).unwrap();
    // Equal greedy requests share one prompt, sampled ones do not.
    let expected: Vec<Vec<u32>> = ["look", "look", "look", "tenletters"].map(bytes).to_vec();
    assert_eq!(*calls.lock().unwrap(), [expected]);
    assert!(matches!(found[2], Err(GenerateError::Window { needed: 14, context: CONTEXT, .. })));
    for index in [0, 1, 3, 4] {
        assert_eq!(text(&found[index]), "[4, 4, 2]");
    }
    // A budget that does not fit is reduced.
    assert_eq!(text(&found[5]), "[10, 2, 2]");
    let first = found[0].as_ref().unwrap();
    assert_eq!((first.prompt.as_str(), first.prompt_tokens, first.new_tokens), ("look", 4, 3));

    // The cache holds more than ten prompt tokens, so it is cleared before the next call, which runs the engine.
    generator.generate(&[request("look", false)]).unwrap();
    assert_eq!(calls.lock().unwrap().len(), 2);
    // The cache now holds only four tokens: the reply comes from it.
    assert_eq!(text(&generator.generate(&[request("look", false)]).unwrap()[0]), "[4, 4, 2]");
    assert_eq!(calls.lock().unwrap().len(), 2);

    generator.generate(&[request("take", false)]).unwrap();
    let error = generator.generate(&[request("put", false)]).unwrap_err();
    assert!(matches!(error, GenerateError::Backend(ref reason) if reason == "the engine is worn out"));
}

/// Finishes one reply at a time, in the order of the prompts; records the prompts and the withdrawn ones.
#[derive(Default)]
struct OneByOne {
    open: VecDeque<(u64, Prompt)>,
    seen: Arc<Mutex<[Vec<u64>; 2]>>,
}

impl Engine for OneByOne {
    fn context(&self) -> usize {
        CONTEXT
    }

    fn submit(&mut self, id: u64, prompt: Prompt, _: &[u32]) -> Result<(), EngineError> {
        if prompt.ids.len() == 1 {
            return Err(EngineError::new("a single token"));
        }
        self.seen.lock().unwrap()[0].push(id);
        self.open.push_back((id, prompt));
        Ok(())
    }

    fn advance(&mut self) -> Result<Vec<(u64, Reply)>, EngineError> {
        let reply = |prompt: Prompt| Reply { ids: prompt.ids, logprobs: Vec::new(), cut: true };
        Ok(self.open.pop_front().map(|(id, prompt)| (id, reply(prompt))).into_iter().collect())
    }

    fn cancel(&mut self, id: u64) -> Result<(), EngineError> {
        self.seen.lock().unwrap()[1].push(id);
        self.open.retain(|(other, _)| *other != id);
        Ok(())
    }
}

/// A finished reply is returned at once; a request that is equal to one being written shares its reply; a prompt is withdrawn when
/// the sessions of all its requests have ended.
#[test]
fn requests_join_while_others_are_written() {
    let engine = OneByOne::default();
    let seen = engine.seen.clone();
    let mut generator = LocalGenerator::new(Box::new(engine), Arc::new(SHORTEN), 100, "test".to_owned());
    let of = |text: &str, session: u64, sampled: bool| Request { session, ..request(text, sampled) };
    let poll = |generator: &mut LocalGenerator| -> Vec<RequestId> {
        let answers = generator.poll(Duration::from_secs(1)).unwrap();
        answers.into_iter().filter(|(_, result)| result.is_ok()).map(|(id, _)| id).collect()
    };
    let requests = [of("look", 1, false), of("lost", 1, false), of("loud", 2, true), of("late", 2, false)];
    let ids: Vec<RequestId> = requests.iter().map(|request| request.id).collect();
    generator.submit(requests.to_vec());
    assert!(generator.poll(Duration::ZERO).unwrap().is_empty() && seen.lock().unwrap()[0].is_empty());
    assert_eq!(poll(&mut generator), ids[..1]);
    // Equal to a reply that is being written, equal to a finished one, refused by the engine.
    let (again, finished) = (of("lost", 3, false), of("look", 3, false));
    let single = of("x", 3, false);
    generator.submit(vec![again.clone(), finished.clone(), single.clone()]);
    let answers = generator.poll(Duration::from_secs(1)).unwrap();
    assert_eq!(answers.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [finished.id, single.id]);
    let error = answers[1].1.as_ref().unwrap_err();
    assert!(matches!(error, GenerateError::Backend(reason) if reason == "a single token"));
    generator.end_session(1);
    generator.end_session(2);
    // The session of `again` goes on.
    assert_eq!(poll(&mut generator), [again.id]);
    assert!(poll(&mut generator).is_empty());
    assert_eq!(*seen.lock().unwrap(), [vec![0, 1, 2, 3], vec![2, 3]]);
}
