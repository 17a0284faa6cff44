//! Vocabulary and special tokens of the metadata.

use std::borrow::Cow;

use serde_json::{Map, Value as Json, json};

use super::read::Gguf;
use super::value::{Array, Value};

/// Kind of a token, `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// Vocabulary of a file.
pub(super) struct Tokens<'a> {
    /// Texts and kinds by id.
    pub(super) all: Vec<(Cow<'a, str>, TokenKind)>,
    pub(super) bos: Option<usize>,
    pub(super) eos: Option<usize>,
    /// Further tokens that end a reply.
    pub(super) ends: Vec<usize>,
    pub(super) unknown: Option<usize>,
    pub(super) padding: Option<usize>,
    pub(super) file: &'a Gguf<'a>,
}

impl<'a> Tokens<'a> {
    /// Reads the vocabulary. `rows` is the size of the embedding table.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub(super) fn read(file: &'a Gguf<'a>, rows: usize) -> Result<Self, String> {
        let array = |key: &str| file.metadata.get(key).and_then(Value::array);
        let texts = array("tokenizer.ggml.tokens").ok_or("no array under `tokenizer.ggml.tokens`")?;
        if texts.len() > rows as u64 {
            return Err(format!("{} tokens do not fit an embedding table of {rows} rows", texts.len()));
        }
        let kinds = array("tokenizer.ggml.token_type");
        if let Some(kinds) = kinds.filter(|kinds| kinds.len() != texts.len()) {
            return Err(format!(
                "{} tokens, but {} under `tokenizer.ggml.token_type`",
                texts.len(),
                kinds.len()
            ));
        }
        let mut kinds = kinds.into_iter().flat_map(|kinds| kinds.iter());
        let mut all = Vec::new();
        for (id, text) in texts.iter().enumerate() {
            let text =
                text.text().ok_or_else(|| format!("token {id} of `tokenizer.ggml.tokens` is not text"))?;
            let kind = match kinds.next().map(|kind| kind.unsigned()) {
                None | Some(Some(1)) => TokenKind::Normal,
                Some(Some(2)) => TokenKind::Unknown,
                Some(Some(3)) => TokenKind::Control,
                Some(Some(4)) => TokenKind::UserDefined,
                Some(Some(5)) => TokenKind::Unused,
                Some(Some(6)) => TokenKind::Byte,
                _ => return Err(format!("token {id} has an unknown type under `tokenizer.ggml.token_type`")),
            };
            all.push((Cow::Borrowed(text), kind));
        }
        let id = |key: &str| -> Result<Option<usize>, String> {
            let key = format!("tokenizer.ggml.{key}_token_id");
            let Some(value) = file.metadata.get(key.as_str()) else { return Ok(None) };
            // Conversions write the largest number, or -1, where there is no such token.
            if *value == Value::Unsigned(u32::MAX.into()) || *value == Value::Signed(-1) {
                return Ok(None);
            }
            let id = value.unsigned().and_then(|id| usize::try_from(id).ok()).filter(|id| *id < all.len());
            id.map(Some).ok_or_else(|| format!("`{key}` is not the id of one of the {} tokens", all.len()))
        };
        let (bos, eos, unknown, padding) = (id("bos")?, id("eos")?, id("unknown")?, id("padding")?);
        let ends = [id("eot")?, id("eom")?].into_iter().flatten().collect();
        Ok(Self { all, bos, eos, ends, unknown, padding, file })
    }

    /// Returns the text under a key of `tokenizer.ggml`.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.file.metadata.get(format!("tokenizer.ggml.{key}").as_str()).and_then(Value::text)
    }

    /// Returns the array under a key of `tokenizer.ggml`.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn array(&self, key: &str) -> Result<Array<'a>, String> {
        let array = self.file.metadata.get(format!("tokenizer.ggml.{key}").as_str()).and_then(Value::array);
        array.ok_or_else(|| format!("no array under `tokenizer.ggml.{key}`"))
    }

    /// Returns the truth value under a key of `tokenizer.ggml`.
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, String> {
        let Some(value) = self.file.metadata.get(format!("tokenizer.ggml.{key}").as_str()) else {
            return Ok(default);
        };
        value.bool().ok_or_else(|| format!("`tokenizer.ggml.{key}` must be true or false"))
    }

    /// Returns ids by text, without unused tokens, which pad the embedding table.
    ///
    /// # Errors
    /// Where two tokens have one text.
    pub(super) fn vocabulary(&self) -> Result<Map<String, Json>, String> {
        let mut vocabulary = Map::new();
        for (id, (text, kind)) in self.all.iter().enumerate() {
            if *kind != TokenKind::Unused && vocabulary.insert(text.clone().into_owned(), json!(id)).is_some()
            {
                return Err(format!("the token {text:?} is there twice in `tokenizer.ggml.tokens`"));
            }
        }
        Ok(vocabulary)
    }
}
