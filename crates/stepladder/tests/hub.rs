//! Models by hub name, from a hub on this machine; needs the feature `hub`.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;
#[path = "../../stepladder-hub/tests/server/mod.rs"]
mod server;

use std::path::Path;
use std::process::Command;

use common::{command, finish, folder, ok};
use server::{Server, closed};

const NAME: &str = "tiny/llama";

/// Prepares a command with this hub, and a cache in the folder.
fn with_hub(folder: &Path, endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = command(folder, arguments);
    command.env("HF_ENDPOINT", endpoint).env("HF_HOME", folder.join("cache"));
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command
}

#[test]
fn a_hub_name_is_a_model_wherever_a_directory_is() {
    let temporary = folder();
    let folder = temporary.path();
    let gguf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stepladder-model/tests/gguf/llama.gguf");
    ok(folder, &["model", "convert", gguf.to_str().unwrap(), "llama"]);
    let files = common::files(&folder.join("llama"));
    let files = files.into_iter().map(|name| {
        let bytes = fs_err::read(folder.join("llama").join(&name)).unwrap();
        (name, bytes)
    });
    let server = Server::start(NAME, files.collect());
    let expected = ok(folder, &["model", "check", "llama"]);
    let outcome = finish(with_hub(folder, &server.endpoint, &["model", "check", NAME]));
    assert_eq!((outcome.code, outcome.out), (Some(0), expected.clone()), "{}", outcome.err);
    // From now on the hub is not needed.
    let outcome = finish(with_hub(folder, &closed(), &["model", "check", NAME]));
    assert_eq!((outcome.code, outcome.out), (Some(0), expected), "{}", outcome.err);
}

#[test]
fn a_hub_that_cannot_be_reached_is_one_sentence() {
    let temporary = folder();
    let endpoint = closed();
    fs_err::write(temporary.path().join("hub.toml"), "preset = \"demo\"\n[model]\nfrom = \"a/b\"\n").unwrap();
    let evaluate =
        ["evaluate", "a/b", "--style", "instruct", "--agent", "flat", "--env", "household", "--split", "dev"];
    let before = common::files(temporary.path());
    for (arguments, place) in [
        (&["model", "show", "a/b"][..], ""),
        (&["model", "check", "a/b"], ""),
        (&evaluate, ""),
        (&["train", "hub.toml", "--run-dir", "run"], "model.from: "),
    ] {
        let outcome = finish(with_hub(temporary.path(), &endpoint, arguments));
        let start = format!("error: {place}cannot fetch a/b from the hub at {endpoint}: ");
        let end = "or pass the directory of a model, which needs no network\n";
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        assert!(outcome.err.starts_with(&start) && outcome.err.ends_with(end), "{outcome:#?}");
        assert_eq!(outcome.err.lines().count(), 1, "{outcome:#?}");
    }
    assert_eq!(common::files(temporary.path()), before);
}
