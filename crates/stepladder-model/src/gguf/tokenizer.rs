//! `tokenizer.json`, `tokenizer_config.json` and the ids of special tokens from the metadata.

use serde_json::{Map, Value as Json, json};

use super::read::Gguf;
use super::tokens::{TokenKind, Tokens};
use super::value::Value;
use super::{bpe, sentencepiece};

/// Keys that are applied.
const APPLIED: [&str; 17] = [
    "tokenizer.chat_template",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.add_space_prefix",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eom_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.model",
    "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.remove_extra_whitespaces",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.unknown_token_id",
];

/// Keys without effect on ids: tokens for infilling, classifying and masking, and further templates.
const WITHOUT_EFFECT: [&str; 15] = [
    "tokenizer.chat_templates",
    "tokenizer.ggml.cls_token_id",
    "tokenizer.ggml.fim_mid_token_id",
    "tokenizer.ggml.fim_pad_token_id",
    "tokenizer.ggml.fim_pre_token_id",
    "tokenizer.ggml.fim_rep_token_id",
    "tokenizer.ggml.fim_sep_token_id",
    "tokenizer.ggml.fim_suf_token_id",
    "tokenizer.ggml.mask_token_id",
    "tokenizer.ggml.middle_token_id",
    "tokenizer.ggml.prefix_token_id",
    "tokenizer.ggml.seperator_token_id",
    "tokenizer.ggml.suffix_token_id",
    "tokenizer.ggml.token_type_count",
    "tokenizer.huggingface.json",
];

/// Files of a tokenizer, and what other files say about it.
pub(super) struct Tokenizer {
    /// `tokenizer.json`.
    pub(super) tokenizer: Json,
    /// `tokenizer_config.json`.
    pub(super) config: Json,
    /// `bos_token_id`, `eos_token_id` and `pad_token_id`.
    pub(super) ids: Map<String, Json>,
}

impl Tokenizer {
    /// Builds the files. `rows` is the size of the embedding table, `context` the number of positions.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub(super) fn read(file: &Gguf<'_>, rows: usize, context: u64) -> Result<Self, String> {
        for (key, value) in &file.metadata {
            let known = APPLIED.contains(key) || WITHOUT_EFFECT.contains(key);
            let template = key.starts_with("tokenizer.chat_template.");
            let without = *key == "tokenizer.ggml.add_sep_token" && *value == Value::Bool(false);
            if key.starts_with("tokenizer.") && !known && !template && !without {
                return Err(format!("`{key}` is not supported"));
            }
        }
        let mut tokens = Tokens::read(file, rows)?;
        let model = tokens.text("model").ok_or("no text under `tokenizer.ggml.model`")?;
        let (mut tokenizer, bos, normalized) = match model {
            "gpt2" => {
                let (tokenizer, bos) = bpe::tokenizer(&tokens)?;
                (tokenizer, bos, false)
            }
            "llama" => sentencepiece::tokenizer(&mut tokens)?,
            _ => {
                return Err(format!(
                    "`tokenizer.ggml.model` is {model}; this program reads gpt2, byte-level BPE, and llama, the BPE of SentencePiece"
                ));
            }
        };
        let ids = tokens.around(bos)?;
        tokenizer["post_processor"] = tokens.processor(&tokenizer["post_processor"], &ids);
        tokenizer["version"] = json!("1.0");
        tokenizer["truncation"] = Json::Null;
        tokenizer["padding"] = Json::Null;
        tokenizer["added_tokens"] = tokens.added(normalized);
        Ok(Self { tokenizer, config: tokens.config(context), ids: tokens.ids() })
    }
}

impl Tokens<'_> {
    /// Returns the tokens that text is searched for before it is split: special ones before the normalizer, others after it if
    /// `normalized`.
    fn added(&self, normalized: bool) -> Json {
        let added = self.all.iter().enumerate().filter_map(|(id, (text, kind))| {
            let special = match kind {
                TokenKind::Unknown | TokenKind::Control => true,
                TokenKind::UserDefined => false,
                TokenKind::Normal | TokenKind::Unused | TokenKind::Byte => return None,
            };
            Some(json!({
                "id": id,
                "content": text,
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": normalized && !special,
                "special": special,
            }))
        });
        added.collect()
    }

    /// Returns the tokens before and after every text; `bos` is the default of the tokenizer's kind.
    fn around(&self, bos: bool) -> Result<[Option<usize>; 2], String> {
        let one = |wanted: bool, id: Option<usize>, key: &str| match (wanted, id) {
            (false, _) => Ok(None),
            (true, Some(id)) => Ok(Some(id)),
            (true, None) => {
                Err(format!("`tokenizer.ggml.add_{key}_token` without a `tokenizer.ggml.{key}_token_id`"))
            }
        };
        let bos = one(self.flag("add_bos_token", bos && self.bos.is_some())?, self.bos, "bos")?;
        Ok([bos, one(self.flag("add_eos_token", false)?, self.eos, "eos")?])
    }

    /// Adds the tokens around a text to the processing after tokenization.
    fn processor(&self, first: &Json, [before, after]: &[Option<usize>; 2]) -> Json {
        if before.is_none() && after.is_none() {
            return first.clone();
        }
        let token =
            |id: &usize, kind: u32| json!({ "SpecialToken": { "id": self.all[*id].0, "type_id": kind } });
        let piece = |name: &str, kind: u32| {
            let text = json!({ "Sequence": { "id": name, "type_id": kind } });
            let pieces = before.iter().map(|id| token(id, kind)).chain([text]);
            pieces.chain(after.iter().map(|id| token(id, kind))).collect::<Vec<_>>()
        };
        let special: Map<String, Json> = [before, after]
            .into_iter()
            .flatten()
            .map(|id| {
                let text = &self.all[*id].0;
                (text.to_string(), json!({ "id": text, "ids": [id], "tokens": [text] }))
            })
            .collect();
        let pair = [piece("A", 0), piece("B", 1)].concat();
        let template = json!({
            "type": "TemplateProcessing",
            "single": piece("A", 0),
            "pair": pair,
            "special_tokens": special,
        });
        if first.is_null() {
            template
        } else {
            json!({ "type": "Sequence", "processors": [first, template] })
        }
    }

    fn config(&self, context: u64) -> Json {
        let text = |id: Option<usize>| id.map(|id| &self.all[id].0);
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": context,
            "bos_token": text(self.bos),
            "eos_token": text(self.eos),
            "unk_token": text(self.unknown),
            "pad_token": text(self.padding),
            "padding_side": "left",
            "clean_up_tokenization_spaces": false,
        });
        if let Some(template) = self.file.metadata.get("tokenizer.chat_template").and_then(Value::text) {
            config["chat_template"] = json!(template);
        }
        config
    }

    fn ids(&self) -> Map<String, Json> {
        let mut ends: Vec<usize> = self.eos.into_iter().collect();
        for id in &self.ends {
            if !ends.contains(id) {
                ends.push(*id);
            }
        }
        let ends = match ends.as_slice() {
            [] => Json::Null,
            [end] => json!(end),
            several => json!(several),
        };
        let ids = [
            ("bos_token_id", json!(self.bos)),
            ("eos_token_id", ends),
            ("pad_token_id", json!(self.padding)),
        ];
        ids.map(|(key, id)| (key.to_owned(), id)).into_iter().collect()
    }
}
