//! Damaged tokenizer files are read or refused; they never end the program.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;
use stepladder_data::pretrained::{Author, Message, PretrainedTokenizer};

const KINDS: [&str; 7] = ["gpt2", "llama3", "qwen2", "digits", "llama2", "mistral", "gemma"];
const FILES: [&str; 2] = ["tokenizer.json", "tokenizer_config.json"];
/// Bytes that often leave JSON valid.
const BYTES: &[u8] = b"0123456789-aeT\"{}[],: \xff";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changed_bytes_and_cut_ends_never_panic(
        kind in prop::sample::select(&KINDS[..]),
        damaged in prop::sample::select(&FILES[..]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(BYTES)), 0..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pretrained").join(kind);
        let folder = tempfile::tempdir().unwrap();
        for file in FILES {
            let mut bytes = std::fs::read(fixture.join(file)).unwrap();
            if file == damaged {
                for (at, byte) in &flips {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                if let Some(end) = &cut {
                    bytes.truncate(end.index(bytes.len()));
                }
            }
            std::fs::write(folder.path().join(file), bytes).unwrap();
        }
        match PretrainedTokenizer::load(folder.path()) {
            Ok(tokenizer) => {
                let ids = tokenizer.encode("take mug 1 from\tdesk é");
                tokenizer.decode(&ids);
                let _ = tokenizer.encode_chat(&[Message::new(Author::User, "go")], true);
            }
            Err(error) => prop_assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
}
