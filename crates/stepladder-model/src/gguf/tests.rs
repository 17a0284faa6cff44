//! Fixtures are written by `parity/gguf`.

use std::path::PathBuf;

use proptest::prelude::*;
use safetensors::SafeTensors;
use tokenizers::Tokenizer;

use super::read::Gguf;
use super::value::Value;
use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gguf").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs_err::read(fixture(name)).unwrap()
}

#[test]
fn blocks_of_every_type_have_the_values_of_the_reference_bit_for_bit() {
    let (file, expected) = (bytes("blocks.gguf"), bytes("blocks.safetensors"));
    let (file, expected) = (Gguf::parse(&file).unwrap(), SafeTensors::deserialize(&expected).unwrap());
    let names = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q6_K"];
    assert_eq!((file.tensors.len(), expected.len()), (names.len(), names.len()));
    for name in names {
        let (tensor, expected) = (&file.tensors[name], expected.tensor(name).unwrap());
        assert_eq!((tensor.kind.name(), &*tensor.shape), (name, expected.shape()));
        let mut values = Vec::new();
        tensor.kind.dequantise(tensor.data, &mut values);
        let found: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let differing = found.chunks(4).zip(expected.data().chunks(4)).filter(|(a, b)| a != b).count();
        assert_eq!((found.len(), differing), (expected.data().len(), 0), "{name}");
    }
}

/// Converts a model and checks it against its tensors and its configuration in transformers.
fn converted(family: &str) -> (tempfile::TempDir, Tokenizer, Json) {
    let directory = tempfile::tempdir().unwrap();
    convert(&fixture(&format!("{family}.gguf")), directory.path()).unwrap();
    let read = |name: &str| fs_err::read(directory.path().join(name)).unwrap();
    let (found, expected) = (read(WEIGHTS), bytes(&format!("{family}.safetensors")));
    let (found, expected) =
        (SafeTensors::deserialize(&found).unwrap(), SafeTensors::deserialize(&expected).unwrap());
    assert_eq!(found.len(), expected.len());
    for (name, tensor) in expected.tensors() {
        assert!(found.tensor(&name).unwrap() == tensor, "{family}: {name}");
    }
    let json = |bytes: Vec<u8>| serde_json::from_slice::<Json>(&bytes).unwrap();
    let config = json(read(CONFIG));
    for (key, value) in json(bytes(&format!("{family}.json"))).as_object().unwrap() {
        assert_eq!(config[key], *value, "{family}: {key}");
    }
    let tokenizer = Tokenizer::from_bytes(read(TOKENIZER)).unwrap();
    let tokenizer_config = json(read(TOKENIZER_CONFIG));
    (directory, tokenizer, tokenizer_config)
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, true).unwrap().get_ids().to_vec()
}

#[test]
fn tiny_models_of_every_family_are_what_they_were_in_transformers() {
    let (_directory, llama, config) = converted("llama");
    // Up to three digits are one piece; `<unused>` is no token; every text begins with the token that is its default.
    assert_eq!(ids(&llama, "ab12 a<|user|>"), [261, 256, 258, 257, 263]);
    assert!(ids(&llama, "<unused>").len() > 2);
    assert_eq!(
        (&config["bos_token"], &config["eos_token"], &config["pad_token"]),
        (&json!("<|begin|>"), &json!("<|end|>"), &json!("<|end|>"))
    );
    assert!(config["chat_template"].as_str().unwrap().contains("<|user|>"));
    let (_directory, qwen2, _) = converted("qwen2");
    // Digits are single; the decomposed letter is composed, two bytes instead of three.
    assert_eq!(ids(&qwen2, "ab12")[0], 256);
    assert_eq!((ids(&qwen2, "12").len(), ids(&qwen2, "e\u{301}").len()), (2, 2));
    converted("qwen3");
    converted("gemma");
}

#[test]
fn ids_are_those_of_sentencepiece_on_a_corpus_of_all_scripts() {
    for name in ["llama", "gemma", "unknown"] {
        let directory = tempfile::tempdir().unwrap();
        convert(&fixture(&format!("pieces-{name}.gguf")), directory.path()).unwrap();
        let tokenizer = Tokenizer::from_file(directory.path().join(TOKENIZER)).unwrap();
        let cases: Vec<Json> = serde_json::from_slice(&bytes(&format!("pieces-{name}.json"))).unwrap();
        assert!(cases.len() > 150, "{}", cases.len());
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            assert_eq!(ids(&tokenizer, text), expected, "{name}: {text:?}");
            if name != "unknown" {
                assert_eq!(tokenizer.decode(&expected, true).unwrap(), text.replace('▁', " "), "{name}");
            }
        }
        // Not so in SentencePiece, which has no text for them.
        let ends = tokenizer.encode("</s>", false).unwrap();
        assert_eq!(ends.get_ids(), [tokenizer.token_to_id("</s>").unwrap()]);
        let config: Json =
            serde_json::from_slice(&fs_err::read(directory.path().join(TOKENIZER_CONFIG)).unwrap()).unwrap();
        assert_eq!(
            (&config["bos_token"], &config["eos_token"], &config["unk_token"]),
            (&json!("<s>"), &json!("</s>"), &json!("<unk>"))
        );
        assert!(config["chat_template"].as_str().unwrap().contains("message['role']"));
        let generation = fs_err::read(directory.path().join(GENERATION)).unwrap();
        let generation: Json = serde_json::from_slice(&generation).unwrap();
        assert_eq!((&generation["bos_token_id"], &generation["eos_token_id"]), (&json!(1), &json!(2)));
    }
}

/// Writes a GGUF file: version 3, metadata, tensors of one row of 32-bit floats.
fn written(metadata: &[(&str, u32, Vec<u8>)], tensors: &[(&str, u32, &[u64], u64)], data: &[u8]) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((metadata.len() as u64).to_le_bytes());
    for (key, kind, value) in metadata {
        file.extend([text(key), kind.to_le_bytes().to_vec(), value.clone()].concat());
    }
    for (name, kind, sizes, offset) in tensors {
        file.extend([text(name), (sizes.len() as u32).to_le_bytes().to_vec()].concat());
        file.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
        file.extend([&kind.to_le_bytes()[..], &offset.to_le_bytes()].concat());
    }
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(data);
    file
}

#[test]
fn metadata_of_every_type_are_read() {
    let array =
        |kind: u32, count: u64, bytes: &[u8]| [&kind.to_le_bytes()[..], &count.to_le_bytes(), bytes].concat();
    let metadata = [
        ("u8", 0, vec![200]),
        ("i8", 1, vec![200]),
        ("u16", 2, 60_000u16.to_le_bytes().to_vec()),
        ("i16", 3, (-5i16).to_le_bytes().to_vec()),
        ("u32", 4, u32::MAX.to_le_bytes().to_vec()),
        ("i32", 5, (-7i32).to_le_bytes().to_vec()),
        ("f32", 6, 1e-5f32.to_le_bytes().to_vec()),
        ("bool", 7, vec![1]),
        ("text", 8, [&2u64.to_le_bytes()[..], "é".as_bytes()].concat()),
        ("array", 9, array(9, 2, &[array(1, 2, &[1, 255]), array(1, 0, &[])].concat())),
        ("u64", 10, u64::MAX.to_le_bytes().to_vec()),
        ("i64", 11, i64::MIN.to_le_bytes().to_vec()),
        ("f64", 12, 0.1f64.to_le_bytes().to_vec()),
    ];
    let file = written(&metadata, &[], &[]);
    let file = Gguf::parse(&file).unwrap();
    let value = |key: &str| file.metadata[key];
    assert_eq!((value("u8"), value("i8")), (Value::Unsigned(200), Value::Signed(-56)));
    assert_eq!((value("u16"), value("i16")), (Value::Unsigned(60_000), Value::Signed(-5)));
    assert_eq!((value("u32"), value("i32")), (Value::Unsigned(u32::MAX.into()), Value::Signed(-7)));
    assert_eq!((value("u64"), value("i64")), (Value::Unsigned(u64::MAX), Value::Signed(i64::MIN)));
    assert_eq!((value("f32").real(), value("f64").real()), (Some(1e-5), Some(0.1)));
    assert_eq!((value("bool").bool(), value("text").text()), (Some(true), Some("é")));
    let inner: Vec<Vec<Value<'_>>> =
        value("array").array().unwrap().iter().map(|inner| inner.array().unwrap().iter().collect()).collect();
    assert_eq!(inner, [vec![Value::Signed(1), Value::Signed(-1)], vec![]]);
}

#[test]
fn hostile_files_are_one_clear_error() {
    let refused = |file: &[u8], message: &str| {
        let error = Gguf::parse(file).unwrap_err();
        assert!(error.contains(message), "{error}");
    };
    refused(b"GG", "not a GGUF file");
    refused(b"GGUF\x01\0\0\0", "GGUF version 1; this program reads versions 2 and 3");
    refused(b"GGUF\0\0\0\x03", "big-endian");
    refused(
        &[b"GGUF\x03\0\0\0", &[255; 16][..]].concat(),
        "the file ends within metadata key 0 of 18446744073709551615",
    );
    let array = |kind: u32, count: u64| [kind.to_le_bytes().to_vec(), count.to_le_bytes().to_vec()].concat();
    refused(&written(&[("k", 9, array(4, u64::MAX / 2))], &[], &[]), "the file ends within `k`");
    refused(&written(&[("k", 9, array(8, u64::MAX))], &[], &[]), "the file ends within `k`");
    refused(&written(&[("k", 9, array(9, 1).repeat(9))], &[], &[]), "`k` has arrays in arrays beyond reason");
    refused(&written(&[("k", 13, vec![])], &[], &[]), "`k` has the unknown type 13");
    refused(
        &written(&[("k", 0, vec![1]), ("k", 0, vec![1])], &[], &[]),
        "the metadata key `k` is there twice",
    );
    refused(
        &written(&[("general.alignment", 4, 24u32.to_le_bytes().to_vec())], &[], &[]),
        "`general.alignment` is not a power of two",
    );
    let tensor =
        |kind: u32, sizes: &[u64], offset: u64| written(&[], &[("t", kind, sizes, offset)], &[0; 64]);
    assert!(Gguf::parse(&tensor(0, &[16], 0)).is_ok());
    refused(&tensor(0, &[17], 0), "the file ends before the end of the tensor `t`");
    refused(&tensor(0, &[u64::MAX, 2], 0), "the file ends before the end of the tensor `t`");
    refused(&tensor(0, &[1 << 62], 0), "the file ends before the end of the tensor `t`");
    refused(&tensor(0, &[8], u64::MAX - 31), "the file ends before the end of the tensor `t`");
    refused(&tensor(0, &[8], 4), "not aligned to 32 bytes");
    refused(&tensor(2, &[33], 0), "rows of 33 values, which are no whole blocks of Q4_0");
    refused(&tensor(0, &[1; 5], 0), "has 5 dimensions");
    refused(&tensor(13, &[256], 0), "the tensor `t` is Q5_K; this program reads F32, F16, BF16, Q8_0, Q4_0,");
    refused(&tensor(99, &[256], 0), "the tensor `t` is of the unknown type 99; this program reads");
}

/// Replaces the first occurrence of some bytes by as many others.
fn patched(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = file.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    [&file[..at], to.as_bytes(), &file[at + from.len()..]].concat()
}

#[test]
fn a_model_that_cannot_be_converted_exactly_is_refused_by_name() {
    let llama = bytes("llama.gguf");
    let refused = |from: &str, to: &str, message: &str| {
        let file = patched(&llama, from, to);
        let error = Converted::of(&Gguf::parse(&file).unwrap()).err().unwrap();
        assert!(error.contains(message), "{error}");
    };
    refused(
        "llama",
        "lambs",
        "`general.architecture` is lambs; this program reads llama, qwen2, qwen3, gemma",
    );
    refused("llama.block_count", "llama.black_count", "`llama.black_count` is not supported");
    refused("blk.1.attn_q.weight", "blk.1.attn_p.weight", "the tensor `blk.1.attn_q.weight` is missing");
    refused("tokenizer.ggml.pre", "tokenizer.ggml.prq", "`tokenizer.ggml.prq` is not supported");
    refused(
        "llama-bpe",
        "llama-bpf",
        "`tokenizer.ggml.pre` is llama-bpf; this program splits text as default,",
    );
    refused("gpt2", "bert", "`tokenizer.ggml.model` is bert; this program reads gpt2");
    let pieces = bytes("pieces-llama.gguf");
    let refused_pieces = |from: &str, to: &str, message: &str| {
        let file = patched(&pieces, from, to);
        let error = Converted::of(&Gguf::parse(&file).unwrap()).err().unwrap();
        assert!(error.contains(message), "{error}");
    };
    refused_pieces("default", "qwen-25", "`tokenizer.ggml.pre` is qwen-25, which has no meaning beside");
    refused_pieces("<0x41>", "<0x4G>", "some of the 256 byte tokens only");
    refused_pieces("ggml.bos_token_id", "ggml.cls_token_id", "no token under `tokenizer.ggml.bos_token_id`");
    refused("Ġ a", "Ġ b", "merge 1 of `tokenizer.ggml.merges` does not join two tokens to a third");
}

#[test]
fn truncated_files_are_errors() {
    let file = bytes("llama.gguf");
    let contents = Gguf::parse(&file).unwrap();
    // The last tensor is followed by nothing that it needs.
    let end = contents.tensors.values().map(|tensor| tensor.data.as_ptr_range().end as usize).max().unwrap();
    let end = end - file.as_ptr() as usize;
    let data = contents.tensors.values().map(|tensor| tensor.data.as_ptr() as usize).min().unwrap();
    let data = data - file.as_ptr() as usize;
    for cut in (0..data).chain((data..end).step_by(89)) {
        Gguf::parse(&file[..cut]).unwrap_err();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_bytes_never_panic(
        name in prop::sample::select(vec!["llama.gguf", "pieces-llama.gguf"]),
        flips in prop::collection::vec((0usize..9000, any::<u8>()), 1..4),
    ) {
        let mut file = bytes(name);
        for (at, byte) in flips {
            file[at] = byte;
        }
        if let Ok(contents) = Gguf::parse(&file)
            && let Ok(converted) = Converted::of(&contents)
        {
            let directory = tempfile::tempdir().unwrap();
            tensors::write(&directory.path().join(WEIGHTS), &converted.tensors).unwrap();
        }
    }
}
