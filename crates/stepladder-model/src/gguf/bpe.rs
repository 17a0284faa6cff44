//! Byte-level BPE, `tokenizer.ggml.model = gpt2`.

use serde_json::{Value as Json, json};

use super::tokens::Tokens;

/// Pre-tokenizer by its name in llama.cpp (`llama_vocab::impl::load` and `llm_tokenizer_bpe` in `llama-vocab.cpp`).
struct PreTokenizer {
    names: &'static [&'static str],
    /// Splits before the bytes are mapped.
    splits: Splits,
    /// Whether a piece that is a token is not merged from its bytes.
    whole_pieces: bool,
    /// Whether texts begin with the begin-of-sequence token by default.
    bos: bool,
    /// Whether text is brought to Unicode form C first, as the tokenizer of the original does, but llama.cpp does not.
    form_c: bool,
}

enum Splits {
    /// GPT-2's pattern.
    Gpt2,
    /// Digits one by one, then GPT-2's pattern.
    DigitsThenGpt2,
    /// Patterns, one after the other.
    Patterns(&'static [&'static str]),
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

const PRE_TOKENIZERS: [PreTokenizer; 5] = [
    PreTokenizer {
        names: &["default"],
        splits: Splits::Patterns(&[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
        whole_pieces: false,
        bos: false,
        form_c: false,
    },
    PreTokenizer { names: &["gpt-2"], splits: Splits::Gpt2, whole_pieces: false, bos: false, form_c: false },
    PreTokenizer {
        names: &["smollm"],
        splits: Splits::DigitsThenGpt2,
        whole_pieces: false,
        bos: false,
        form_c: false,
    },
    PreTokenizer {
        names: &["llama3", "llama-v3", "llama-bpe"],
        splits: Splits::Patterns(&[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ]),
        whole_pieces: true,
        bos: true,
        form_c: false,
    },
    PreTokenizer {
        names: &["qwen2"],
        splits: Splits::Patterns(&[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ]),
        whole_pieces: false,
        bos: false,
        form_c: true,
    },
];

/// Builds what only this kind of tokenizer has of `tokenizer.json`, and whether texts begin with the begin-of-sequence token by
/// default.
///
/// # Errors
/// One sentence that names the key.
pub(super) fn tokenizer(tokens: &Tokens<'_>) -> Result<(Json, bool), String> {
    let name = tokens.text("pre").unwrap_or("default");
    let known = PRE_TOKENIZERS.iter().find(|known| known.names.contains(&name)).ok_or_else(|| {
        let names: Vec<&str> = PRE_TOKENIZERS.iter().flat_map(|known| known.names).copied().collect();
        format!("`tokenizer.ggml.pre` is {name}; this program splits text as {}", names.join(", "))
    })?;
    let vocabulary = tokens.vocabulary()?;
    let mut merges = Vec::new();
    for (rank, merge) in tokens.array("merges")?.iter().enumerate() {
        let pair = merge.text().and_then(|text| {
            // A token may begin with a space.
            let split = text.char_indices().skip(1).find(|(_, c)| *c == ' ')?.0;
            let pair = (&text[..split], &text[split + 1..]);
            let known = [pair.0, pair.1, &[pair.0, pair.1].concat()]
                .iter()
                .all(|part| vocabulary.contains_key(*part));
            known.then_some(pair)
        });
        let (left, right) = pair.ok_or_else(|| {
            format!("merge {rank} of `tokenizer.ggml.merges` does not join two tokens to a third")
        })?;
        merges.push(json!([left, right]));
    }
    let bytes = |pattern: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": pattern });
    let sequence = |mut all: Vec<Json>, last: Json| {
        all.push(last);
        json!({ "type": "Sequence", "pretokenizers": all })
    };
    let pre_tokenizer = match known.splits {
        Splits::Gpt2 => bytes(true),
        Splits::DigitsThenGpt2 => {
            sequence(vec![json!({ "type": "Digits", "individual_digits": true })], bytes(true))
        }
        Splits::Patterns(patterns) => {
            let split = |pattern: &&str| json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
            sequence(patterns.iter().map(split).collect(), bytes(false))
        }
    };
    let json = json!({
        "normalizer": known.form_c.then(|| json!({ "type": "NFC" })),
        "pre_tokenizer": pre_tokenizer,
        "post_processor": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": known.whole_pieces,
            "vocab": vocabulary,
            "merges": merges,
        },
    });
    Ok((json, known.bos))
}
