//! BPE of SentencePiece, `tokenizer.ggml.model = llama`: Llama 2, Mistral and Gemma.
//!
//! SentencePiece joins, again and again, the two neighbours whose join has the highest score, the leftmost of several. A
//! `tokenizer.json` has a list of merges instead, here as transformers derives it from the scores.

use std::borrow::Cow;
use std::cmp::Reverse;

use serde_json::{Map, Value as Json, json};

use super::tokens::{TokenKind, Tokens};
use super::value::Value;

/// Stands for a space.
const SPACE: char = '▁';

/// Builds what only this kind of tokenizer has of `tokenizer.json`, whether texts begin with the begin-of-sequence token by
/// default, and whether user-defined tokens are searched for in normalized text.
///
/// Where texts get a space in front, so does the text after a user-defined token, as in llama.cpp and transformers;
/// SentencePiece adds none there.
///
/// # Errors
/// One sentence that names the key.
pub(super) fn tokenizer(tokens: &mut Tokens<'_>) -> Result<(Json, bool, bool), String> {
    if let Some(pre) = tokens.text("pre").filter(|pre| *pre != "default") {
        return Err(format!(
            "`tokenizer.ggml.pre` is {pre}, which has no meaning beside `tokenizer.ggml.model` llama"
        ));
    }
    if tokens.flag("remove_extra_whitespaces", false)? {
        return Err("`tokenizer.ggml.remove_extra_whitespaces` is true, which is not supported".to_owned());
    }
    // Without a key, llama.cpp takes these ids for granted; files of real models have the keys.
    for (key, id) in [("bos", tokens.bos), ("eos", tokens.eos)] {
        if id.is_none() {
            return Err(format!("no token under `tokenizer.ggml.{key}_token_id`"));
        }
    }
    let prefix = tokens.flag("add_space_prefix", true)?;
    // Files have user-defined tokens with spaces, or with what stands for them.
    for (text, kind) in &mut tokens.all {
        if *kind == TokenKind::UserDefined && text.contains(SPACE) {
            *text = Cow::Owned(text.replace(SPACE, " "));
        }
    }
    let vocabulary = tokens.vocabulary()?;
    let scores = scores(tokens)?;
    let merges = merges(tokens, &vocabulary, &scores)?;
    let bytes = (0..=u8::MAX).all(|byte| {
        let id = vocabulary.get(&format!("<0x{byte:02X}>")).and_then(Json::as_u64);
        id.is_some_and(|id| tokens.all[id as usize].1 == TokenKind::Byte)
    });
    if !bytes && tokens.all.iter().any(|(_, kind)| *kind == TokenKind::Byte) {
        return Err("`tokenizer.ggml.tokens` has some of the 256 byte tokens only".to_owned());
    }
    let unknown = tokens
        .unknown
        .or_else(|| tokens.all.iter().position(|(_, kind)| *kind == TokenKind::Unknown))
        .map(|id| tokens.all[id].0.as_ref());
    let replace =
        |from: &str, to: &str| json!({ "type": "Replace", "pattern": { "String": from }, "content": to });
    let space = SPACE.to_string();
    let mut normalizers = vec![replace(" ", &space)];
    let mut decoders =
        vec![replace(&space, " "), json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" })];
    if prefix {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": space }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let json = json!({
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": bytes,
            "ignore_merges": false,
            "vocab": vocabulary,
            "merges": merges,
        },
    });
    Ok((json, true, !prefix))
}

/// Reads the score of every token.
fn scores(tokens: &Tokens<'_>) -> Result<Vec<f32>, String> {
    let scores = tokens.array("scores")?;
    if scores.len() != tokens.all.len() as u64 {
        return Err(format!(
            "{} tokens, but {} under `tokenizer.ggml.scores`",
            tokens.all.len(),
            scores.len()
        ));
    }
    let score = |(id, value): (usize, Value<'_>)| match value {
        // The best score of a trained model is -0.0.
        Value::F32(score) if score.is_finite() => Ok(score + 0.0),
        _ => Err(format!("the score of token {id} under `tokenizer.ggml.scores` is not a number")),
    };
    scores.iter().enumerate().map(score).collect()
}

/// Derives the merges: all ways to join two tokens to a third, by falling score of the third; of one token, those with the
/// longer left part first. Source: `generate_merges` in transformers' `tokenization_utils_base.py`.
fn merges(tokens: &Tokens<'_>, vocabulary: &Map<String, Json>, scores: &[f32]) -> Result<Vec<Json>, String> {
    // Only these take part: text is searched for user-defined tokens first, and no text becomes one of the others.
    let joins = |text: &str| {
        let id = vocabulary.get(text).and_then(Json::as_u64);
        id.is_some_and(|id| tokens.all[id as usize].1 == TokenKind::Normal)
    };
    let single = |text: &str| text.chars().nth(1).is_none();
    let mut found = Vec::new();
    for (id, (text, kind)) in tokens.all.iter().enumerate() {
        if *kind != TokenKind::Normal {
            continue;
        }
        for (at, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(at);
            let (known_left, known_right) = (joins(left), joins(right));
            if known_left && known_right {
                found.push((id, left, right));
            } else if (known_left || single(left)) && (known_right || single(right)) {
                let missing = if known_left { right } else { left };
                return Err(format!(
                    "token {id}, {text:?}, is joined from {left:?} and {right:?}, but {missing:?} is not in `tokenizer.ggml.tokens`"
                ));
            }
        }
    }
    let length = |text: &str| text.chars().count();
    found.sort_by(|(a, left, right), (b, other_left, other_right)| {
        let lengths = |left, right| Reverse((length(left), length(right)));
        let by_score = scores[*b].total_cmp(&scores[*a]);
        by_score.then_with(|| lengths(left, right).cmp(&lengths(other_left, other_right))).then(a.cmp(b))
    });
    Ok(found.into_iter().map(|(_, left, right)| json!([left, right])).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::read::Gguf;
    use super::*;

    /// Derives the merges of normal tokens with these scores.
    fn merges_of(all: &[(&'static str, f32)]) -> Result<Vec<(String, String)>, String> {
        let file = Gguf { metadata: BTreeMap::new(), tensors: BTreeMap::new() };
        let tokens = Tokens {
            all: all.iter().map(|(text, _)| (Cow::Borrowed(*text), TokenKind::Normal)).collect(),
            bos: None,
            eos: None,
            ends: Vec::new(),
            unknown: None,
            padding: None,
            file: &file,
        };
        let scores: Vec<f32> = all.iter().map(|(_, score)| *score).collect();
        let found = merges(&tokens, &tokens.vocabulary()?, &scores)?;
        Ok(found.into_iter().map(|pair| serde_json::from_value(pair).unwrap()).collect())
    }

    #[test]
    fn merges_follow_the_scores_and_then_the_length_of_the_left_part() {
        let tokens =
            [("1", -9.0), ("2", -9.0), ("ä", -9.0), ("12", -2.0), ("121", -3.0), ("21", -1.0), ("ä2", -2.0)];
        let expected =
            [("2", "1"), ("1", "2"), ("ä", "2"), ("12", "1"), ("1", "21")].map(|(l, r)| (l.into(), r.into()));
        assert_eq!(merges_of(&tokens).unwrap(), expected);
    }

    #[test]
    fn a_token_with_an_unknown_letter_is_refused() {
        let error = merges_of(&[("a", 0.0), ("ac", 0.0)]).unwrap_err();
        let expected =
            r#"token 1, "ac", is joined from "a" and "c", but "c" is not in `tokenizer.ggml.tokens`"#;
        assert_eq!(error, expected);
    }
}
