//! Files of a pretrained tokenizer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::encoder::EncoderError;
use crate::words::{TOKENIZER, TOKENIZER_CONFIG};

const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const GENERATION: &str = "generation_config.json";
const TEMPLATE: &str = "chat_template.jinja";
/// Files that a saved encoder has like the original.
const KEPT: [&str; 6] =
    [TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS, "added_tokens.json", "tokenizer.model", TEMPLATE];
/// Name of the template among several that is used in dialogues without tools.
const DEFAULT: &str = "default";

/// Files of a tokenizer in a Hugging Face directory, as they are on disk.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) directory: PathBuf,
    kept: Vec<(&'static str, Vec<u8>)>,
    config: Map<String, Value>,
    special: Map<String, Value>,
    generation: Map<String, Value>,
}

impl Files {
    pub(super) fn read(directory: &Path) -> Result<Self, EncoderError> {
        let mut kept = Vec::new();
        for name in KEPT {
            let path = directory.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => kept.push((name, bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(EncoderError::new(&path, error)),
            }
        }
        let mut files = Self {
            directory: directory.to_owned(),
            kept,
            config: Map::new(),
            special: Map::new(),
            generation: Map::new(),
        };
        if files.bytes(TOKENIZER).is_none() {
            let remedy = if files.bytes("tokenizer.model").is_some() {
                "there is only tokenizer.model; load the tokenizer with transformers and save it, which writes \
                 tokenizer.json"
            } else {
                "the file is missing; copy it from the directory from which the model came"
            };
            return Err(EncoderError::new(&directory.join(TOKENIZER), remedy));
        }
        files.config = files.object(TOKENIZER_CONFIG)?;
        files.special = files.object(SPECIAL_TOKENS)?;
        let path = directory.join(GENERATION);
        if path.exists() {
            let bytes = std::fs::read(&path).map_err(|error| EncoderError::new(&path, error))?;
            files.generation = object(&path, &bytes)?;
        }
        Ok(files)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.kept.iter().find(|(kept, _)| *kept == name).map(|(_, bytes)| bytes.as_slice())
    }

    fn object(&self, name: &str) -> Result<Map<String, Value>, EncoderError> {
        self.bytes(name).map_or(Ok(Map::new()), |bytes| object(&self.path(name), bytes))
    }

    /// Returns the text of a special token (`bos_token`, `eos_token`, …), which is a string or an object with `content`.
    pub(super) fn special(&self, name: &str) -> Option<&str> {
        [&self.config, &self.special].into_iter().find_map(|object| {
            let value = object.get(name)?;
            value.as_str().or_else(|| value.get("content")?.as_str())
        })
    }

    /// Returns the names and texts of all special tokens, for the chat template.
    pub(super) fn named(&self) -> Vec<(String, String)> {
        let names =
            ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
        let found =
            names.into_iter().filter_map(|name| Some((name.to_owned(), self.special(name)?.to_owned())));
        found.collect()
    }

    /// Returns a switch of tokenizer_config.json.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.config.get(name)?.as_bool()
    }

    /// Returns the tokens of `added_tokens_decoder`, by id.
    pub(super) fn added(&self) -> Result<BTreeMap<u32, &Map<String, Value>>, EncoderError> {
        let Some(Value::Object(tokens)) = self.config.get("added_tokens_decoder") else {
            return Ok(BTreeMap::new());
        };
        let mut found = BTreeMap::new();
        for (id, token) in tokens {
            let (Ok(number), Some(token)) = (id.parse(), token.as_object()) else {
                let reason = format!(
                    "added_tokens_decoder: `{id}` is not an id with a token; restore the original file"
                );
                return Err(EncoderError::new(&self.path(TOKENIZER_CONFIG), reason));
            };
            found.insert(number, token);
        }
        Ok(found)
    }

    /// Returns the ids of a key of generation_config.json, which is a number or a list.
    pub(super) fn ids(&self, key: &str) -> Vec<u32> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        match self.generation.get(key) {
            Some(Value::Array(ids)) => ids.iter().filter_map(id).collect(),
            Some(value) => id(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Returns the source of the chat template and the name of its file.
    pub(super) fn template(&self) -> Result<Option<(String, &'static str)>, EncoderError> {
        if let Some(bytes) = self.bytes(TEMPLATE) {
            let text =
                std::str::from_utf8(bytes).map_err(|error| EncoderError::new(&self.path(TEMPLATE), error))?;
            return Ok(Some((text.to_owned(), TEMPLATE)));
        }
        let text = match self.config.get("chat_template") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => Some(text.as_str()),
            Some(Value::Array(named)) => {
                let text = |name: &str| {
                    let entry =
                        named.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
                    entry?.get("template")?.as_str()
                };
                text(DEFAULT)
            }
            Some(_) => None,
        };
        let text = text.ok_or_else(|| {
            let reason = format!(
                "chat_template is neither a text nor a list with a template named `{DEFAULT}`; \
                                  keep one template as the text of chat_template"
            );
            EncoderError::new(&self.path(TOKENIZER_CONFIG), reason)
        })?;
        Ok(Some((text.to_owned(), TOKENIZER_CONFIG)))
    }

    /// Returns the kept files, each name and content preceded by its length.
    pub(super) fn contents(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, content) in &self.kept {
            for part in [name.as_bytes(), content] {
                bytes.extend((part.len() as u64).to_le_bytes());
                bytes.extend(part);
            }
        }
        bytes
    }

    /// Writes the kept files as they were read.
    pub(super) fn save(&self, directory: &Path) -> Result<(), EncoderError> {
        for (name, bytes) in &self.kept {
            let path = directory.join(name);
            std::fs::write(&path, bytes).map_err(|error| EncoderError::new(&path, error))?;
        }
        Ok(())
    }
}

fn object(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>, EncoderError> {
    serde_json::from_slice(bytes).map_err(|error| {
        EncoderError::new(path, format!("it is not a JSON object ({error}); restore the original file"))
    })
}
