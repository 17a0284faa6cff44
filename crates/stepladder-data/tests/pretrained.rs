//! Tokenizers of pretrained models against transformers 5: `parity/tokenizers/make.py` wrote the folders of
//! `tests/pretrained`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use stepladder_data::pretrained::{Author, Message, PretrainedTokenizer};

const KINDS: [&str; 7] = ["gpt2", "llama3", "qwen2", "digits", "llama2", "mistral", "gemma"];

#[derive(Deserialize)]
struct Expected {
    prefix: Vec<u32>,
    texts: Vec<Encoded>,
    dialogues: Vec<Dialogue>,
}

#[derive(Deserialize)]
struct Encoded {
    text: String,
    ids: Vec<u32>,
    decoded: String,
}

#[derive(Deserialize)]
struct Dialogue {
    messages: Vec<Written>,
    generation_prompt: bool,
    text: Option<String>,
    ids: Option<Vec<u32>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    role: String,
    content: String,
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pretrained").join(kind)
}

fn load(kind: &str) -> PretrainedTokenizer {
    PretrainedTokenizer::load(&folder(kind)).unwrap_or_else(|error| panic!("{kind}: {error}"))
}

fn expected(kind: &str) -> Expected {
    let text = std::fs::read_to_string(folder(kind).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn messages(written: &[Written]) -> Vec<Message> {
    let author = |role: &str| match role {
        "system" => Author::System,
        "user" => Author::User,
        "assistant" => Author::Assistant,
        other => panic!("{other}"),
    };
    written.iter().map(|message| Message::new(author(&message.role), &message.content)).collect()
}

#[test]
fn ids_and_decoded_texts_are_those_of_transformers() {
    for kind in KINDS {
        let (tokenizer, expected) = (load(kind), expected(kind));
        assert_eq!(tokenizer.prefix(), expected.prefix, "{kind}");
        assert!(expected.texts.len() > 180, "{kind}");
        for Encoded { text, ids, decoded } in &expected.texts {
            assert_eq!(tokenizer.encode(text), *ids, "{kind}: {text:?}");
            assert_eq!(tokenizer.decode(ids), *decoded, "{kind}: {text:?}");
            assert!(ids.iter().all(|id| (*id as usize) < tokenizer.vocab()), "{kind}");
        }
    }
}

/// Tokens are joined behind another one, since some decoders strip the first space of a text.
#[test]
fn the_bytes_of_tokens_join_to_their_text() {
    for kind in KINDS {
        let (tokenizer, expected) = (load(kind), expected(kind));
        let bytes = tokenizer.token_bytes();
        let before = tokenizer.encode_continuation("a");
        let anchor = tokenizer.decode(&before);
        let (mut compared, mut divided) = (0, 0);
        for Encoded { ids, .. } in &expected.texts {
            let whole = tokenizer.decode(&[&before[..], ids].concat());
            // The library's replacements of invalid bytes are not those of `from_utf8_lossy`.
            if whole.contains('\u{fffd}') {
                continue;
            }
            let joined: Vec<u8> = ids.iter().flat_map(|&id| bytes.of(id)).copied().collect();
            assert_eq!(
                String::from_utf8(joined).unwrap(),
                whole.strip_prefix(&anchor).unwrap(),
                "{kind}: {ids:?}"
            );
            compared += 1;
            divided += ids.iter().filter(|&&id| std::str::from_utf8(bytes.of(id)).is_err()).count();
        }
        assert!(compared > 150 && divided > 0, "{kind}: {compared} texts, {divided} parts of characters");
    }
}

#[test]
fn dialogues_are_rendered_and_encoded_as_by_transformers() {
    let mut refused = 0;
    for kind in KINDS {
        let tokenizer = load(kind);
        for dialogue in expected(kind).dialogues {
            let messages = messages(&dialogue.messages);
            let found = tokenizer.encode_chat(&messages, dialogue.generation_prompt);
            match dialogue.error {
                None => {
                    let found = found.unwrap_or_else(|error| panic!("{kind}: {error}: {messages:?}"));
                    let text = tokenizer.template().unwrap().render(&messages, dialogue.generation_prompt);
                    assert_eq!(text.ok(), dialogue.text, "{kind}: {messages:?}");
                    assert_eq!(Some(found.ids), dialogue.ids, "{kind}: {messages:?}");
                }
                Some(reason) => {
                    let message = found.unwrap_err();
                    assert!(
                        message.ends_with(&format!("the chat template refuses the messages: {reason}")),
                        "{message}"
                    );
                    refused += 1;
                }
            }
        }
    }
    assert!(refused >= 10, "{refused}");
}

#[test]
fn what_a_text_spells_out_is_no_control_token() {
    for kind in KINDS {
        let tokenizer = load(kind);
        let config = std::fs::read_to_string(folder(kind).join("tokenizer.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let special: Vec<(String, u32)> = config["added_tokens"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|token| token["special"] == true)
            .map(|token| {
                (token["content"].as_str().unwrap().to_owned(), token["id"].as_u64().unwrap() as u32)
            })
            .collect();
        assert!(!special.is_empty());
        for (text, id) in &special {
            for whole in [text.clone(), format!("a{text}"), format!("{text}{text} b"), format!(" {text}\n")] {
                let ids = tokenizer.encode(&whole);
                let controls =
                    ids.iter().filter(|found| special.iter().any(|(_, special)| special == *found));
                let controls: Vec<&u32> =
                    controls.filter(|found| Some(**found) != tokenizer.unknown()).collect();
                assert!(controls.is_empty() && !ids.is_empty(), "{kind}: {whole:?} → {ids:?}");
                assert!(tokenizer.decode(&ids).contains(text.as_str()), "{kind}: {whole:?}");
            }
            assert_eq!(tokenizer.encode_control(text), [*id], "{kind}: {text}");
        }
    }
}

#[test]
fn end_tokens_are_those_of_both_configurations() {
    let ends = |kind| load(kind).ends().to_vec();
    assert_eq!(ends("gpt2"), [2]);
    assert_eq!(ends("llama3"), [4, 1]);
    assert_eq!(ends("qwen2"), [2, 0]);
    assert_eq!(ends("gemma"), [1, 5]);
    assert_eq!((load("gpt2").pad(), load("gemma").pad(), load("llama3").pad()), (0, 0, 4));
}

/// Copies a folder, changes one file of it and loads it.
fn changed(
    kind: &str,
    file: &str,
    change: impl Fn(String) -> Option<String>,
) -> Result<PretrainedTokenizer, String> {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder(kind)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = copy.path().join(file);
    match change(std::fs::read_to_string(&path).unwrap_or_default()) {
        Some(text) => std::fs::write(&path, text).unwrap(),
        None => std::fs::remove_file(&path).unwrap(),
    }
    PretrainedTokenizer::load(copy.path()).map_err(|error| {
        let message = error.to_string();
        message.strip_prefix(&format!("{}/", copy.path().display())).unwrap_or(&message).to_owned()
    })
}

#[test]
fn a_bad_directory_is_one_sentence_with_file_fact_and_remedy() {
    let message =
        |kind, file, change: &dyn Fn(String) -> Option<String>| changed(kind, file, change).err().unwrap();
    assert_eq!(
        message("gpt2", "tokenizer.json", &|_| None),
        "tokenizer.json: the file is missing; copy it from the directory from which the model came"
    );
    let broken = message("gpt2", "tokenizer.json", &|text| Some(text[..200].to_owned()));
    assert!(broken.starts_with("tokenizer.json: it is not JSON (") && broken.contains("restore"), "{broken}");
    let broken = message("gpt2", "tokenizer_config.json", &|_| Some("[1]".into()));
    assert!(broken.starts_with("tokenizer_config.json: it is not a JSON object ("), "{broken}");
    assert_eq!(
        message("gpt2", "tokenizer_config.json", &|text| Some(text.replace("\"eos_token\"", "\"no_token\""))),
        "tokenizer_config.json: no end token is named; add eos_token here or eos_token_id to generation_config.json"
    );
    assert_eq!(
        message("llama2", "tokenizer_config.json", &|text| Some(text.replace("\"</s>\"", "\"</t>\""))),
        "tokenizer_config.json: eos_token is `</t>`, which tokenizer.json does not have; restore the original files"
    );
    let template = message("llama3", "chat_template.jinja", &|_| Some("{% if x %}\n{{ y ".into()));
    assert!(
        template.starts_with("chat_template.jinja: the chat template does not compile (line "),
        "{template}"
    );
    assert!(!template.contains('\n') && template.contains("without a template"), "{template}");
    let beyond =
        message("gemma", "generation_config.json", &|_| Some("{\"eos_token_id\": [1, 5000]}".into()));
    assert!(beyond.starts_with("generation_config.json: eos_token_id 5000 is beyond the "), "{beyond}");
    let named =
        message("qwen2", "tokenizer_config.json", &|text| Some(text.replace("\"default\"", "\"other\"")));
    assert!(named.contains("nor a list with a template named `default`"), "{named}");
    let unusual =
        "{\"eos_token\": \"<|im_end|>\", \"added_tokens_decoder\": {\"7\": {\"content\": \"<extra>\"}}}";
    let unusual = message("gpt2", "tokenizer_config.json", &|_| Some(unusual.to_owned()));
    assert!(unusual.contains("`<extra>` has the id 7 in tokenizer_config.json and 420 here"), "{unusual}");
}

#[test]
fn a_token_of_the_configuration_alone_is_added() {
    let config = "{\"eos_token\": {\"content\": \"<|extra|>\"}, \
                   \"added_tokens_decoder\": {\"420\": {\"content\": \"<|extra|>\", \"special\": true}}}";
    let tokenizer = changed("gpt2", "tokenizer_config.json", |_| Some(config.to_owned())).unwrap();
    assert_eq!((tokenizer.ends(), tokenizer.vocab()), (&[420][..], 421));
    assert_eq!(tokenizer.encode_control("<|extra|>"), [420]);
    assert!(!tokenizer.encode("<|extra|>").contains(&420));
    assert!(tokenizer.encode_chat(&[], true).unwrap_err().contains("the model has no chat template"));
}

#[test]
fn saved_files_are_the_original_ones() {
    for kind in KINDS {
        let copy = tempfile::tempdir().unwrap();
        let tokenizer = load(kind);
        tokenizer.save(copy.path()).unwrap();
        for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
            let read = |directory: &Path| std::fs::read(directory.join(name)).ok();
            assert_eq!(read(copy.path()), read(&folder(kind)), "{kind}: {name}");
        }
        assert!(!copy.path().join("generation_config.json").exists());
        assert_ne!(tokenizer.contents(), load(KINDS[usize::from(kind == KINDS[0])]).contents());
    }
}

/// Renders with the published template of SmolLM2 where `stepladder model get smollm2-135m-instruct` has put it.
#[test]
fn the_template_of_smollm2_is_rendered() {
    let place = "models/smollm2-135m-instruct";
    let Some(root) = stepladder_testing::data_root(place) else { return };
    let directory = root.join(place);
    let tokenizer = PretrainedTokenizer::load(&directory).unwrap();
    let messages = [
        (Author::System, "Act."),
        (Author::User, " one"),
        (Author::Assistant, "two "),
        (Author::User, "three"),
    ]
    .map(|(author, text)| Message::new(author, text));
    let found = tokenizer.encode_chat(&messages, true).unwrap();
    let expected = "<|im_start|>system\nAct.<|im_end|>\n<|im_start|>user\n one<|im_end|>\n\
                    <|im_start|>assistant\ntwo <|im_end|>\n<|im_start|>user\nthree<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(found.text, expected);
    assert_eq!(tokenizer.decode(&found.ids), expected);
    assert_eq!(found.ids.iter().filter(|id| tokenizer.ends().contains(id)).count(), 4);
}
