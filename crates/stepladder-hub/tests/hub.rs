//! Models of a hub on this machine.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod server;

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde_json::json;
use server::{COMMIT, Server, closed};
use stepladder_hub::{Hub, HubError};

const NAME: &str = "tiny/model";

/// Files of a model in two shards, one that is not needed among them.
fn split() -> BTreeMap<String, Vec<u8>> {
    let index = json!({ "weight_map": { "a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors" } });
    let files = [
        ("config.json", "{}"),
        ("tokenizer.json", "{ \"a\": 1 }"),
        ("tokenizer_config.json", "{ }"),
        ("chat_template.jinja", "{{ x }}"),
        ("model.safetensors.index.json", &index.to_string()),
        ("model-1.safetensors", "first shard"),
        ("model-2.safetensors", "second shard"),
        ("pytorch_model.bin", "not needed"),
        ("onnx/model.onnx", "not needed"),
    ];
    files.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect()
}

/// Files of a model in one file.
fn whole() -> BTreeMap<String, Vec<u8>> {
    let mut files = split();
    files.insert("model.safetensors".to_owned(), b"0123456789".to_vec());
    files
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_model_is_fetched_once_with_the_files_that_are_read() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(NAME, split());
    let hub = Hub::new(&server.endpoint, cache.path().to_owned());
    let found = hub.resolve(NAME).unwrap();
    assert_eq!(found, cache.path().join("models--tiny--model/snapshots").join(COMMIT));
    let needed = [
        "chat_template.jinja",
        "config.json",
        "model-1.safetensors",
        "model-2.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names(&found), needed);
    for name in needed {
        assert_eq!(fs::read(found.join(name)).unwrap(), split()[name], "{name}");
    }
    // A complete snapshot needs no hub.
    server.requests();
    assert_eq!(hub.resolve(NAME).unwrap(), found);
    assert_eq!(Hub::new(closed(), cache.path().to_owned()).resolve(NAME).unwrap(), found);
    assert_eq!(server.requests(), []);
    // A revision is asked for by its name, and one missing shard is fetched alone.
    let tagged = format!("{NAME}@v1");
    assert_eq!(hub.resolve(&tagged).unwrap(), found);
    let paths: Vec<String> = server.requests().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/api/models/tiny/model/revision/v1"]);
    fs::remove_file(found.join("model-2.safetensors")).unwrap();
    hub.resolve(NAME).unwrap();
    let (paths, shard): (Vec<String>, _) = (
        server.requests().into_iter().map(|(path, _)| path).collect(),
        format!("/{NAME}/resolve/{COMMIT}/model-2.safetensors"),
    );
    assert!(paths[1..].iter().all(|path| *path == shard), "{paths:?}");
}

#[test]
fn an_interrupted_fetch_is_resumed_where_it_ended() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(NAME, whole());
    let hub = Hub::new(&server.endpoint, cache.path().to_owned());
    server.cut("model.safetensors");
    let error = hub.resolve(NAME).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("cannot fetch {NAME} from the hub at {}: ", server.endpoint)),
        "{error}"
    );
    assert!(error.contains("try again (what was fetched is kept)"), "{error}");
    server.requests();
    let found = hub.resolve(NAME).unwrap();
    assert_eq!(fs::read(found.join("model.safetensors")).unwrap(), b"0123456789");
    let weights = format!("/{NAME}/resolve/{COMMIT}/model.safetensors");
    let asked = server.requests();
    let ranges: Vec<&str> = asked
        .iter()
        .skip(1)
        .map(|(path, range)| {
            assert_eq!(*path, weights, "only the weights were missing");
            range.as_str()
        })
        .collect();
    assert_eq!(ranges, ["bytes=0-0", "bytes=5-"]);
    assert!(!found.join("model-1.safetensors").exists());
}

#[test]
fn a_hub_that_cannot_be_reached_is_one_sentence() {
    let cache = tempfile::tempdir().unwrap();
    let endpoint = closed();
    let with_user = endpoint.replace("http://", "http://user:secret@");
    for address in [&endpoint, &with_user] {
        let error = Hub::new(address, cache.path().to_owned()).resolve("a/b@v1").unwrap_err().to_string();
        let start = format!("cannot fetch a/b@v1 from the hub at {endpoint}: ");
        let end = "; try again (what was fetched is kept), or pass the directory of a model, which needs no network";
        assert!(error.starts_with(&start) && error.ends_with(end), "{error}");
        assert!(error.to_lowercase().contains("connection refused") && !error.contains("secret"), "{error}");
    }
    assert_eq!(names(cache.path()), [""; 0]);
}

#[test]
fn what_the_hub_lacks_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let refused = |files: BTreeMap<String, Vec<u8>>, name: &str| {
        let server = Server::start(NAME, files);
        let error = Hub::new(&server.endpoint, cache.path().to_owned()).resolve(name).unwrap_err();
        (error.to_string().replace(&server.endpoint, "HUB"), matches!(error, HubError::Unknown { .. }))
    };
    let (error, unknown) = refused(whole(), "tiny/other");
    assert!(
        unknown && error.starts_with("the hub at HUB has no model tiny/other that may be read; "),
        "{error}"
    );
    let without =
        |names: &[&str]| split().into_iter().filter(|(name, _)| !names.contains(&name.as_str())).collect();
    assert_eq!(
        refused(without(&["tokenizer.json"]), NAME).0,
        "tiny/model at the hub: it has no tokenizer.json; choose a model in transformers' format"
    );
    assert_eq!(
        refused(without(&["model.safetensors.index.json"]), NAME).0,
        "tiny/model at the hub: it has neither model.safetensors nor model.safetensors.index.json; choose a model with safetensors"
    );
    let mut files = split();
    files.insert("model.safetensors.index.json".to_owned(), br#"{"weight_map":{"a":"../x"}}"#.to_vec());
    assert_eq!(refused(files, NAME).0, "tiny/model at the hub: model.safetensors.index.json names no shards");
}
