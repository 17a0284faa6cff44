//! Tokenizers of pretrained models: files of a Hugging Face directory, token ids as transformers 5 gives them.
//!
//! Control tokens (`<|im_end|>`, `<s>`, …) come from the chat template and from this module only. In the text of an
//! environment, a user or a model the same characters are ordinary text: [`PretrainedTokenizer::encode`] and
//! [`PretrainedTokenizer::encode_chat`] give it ordinary ids (`sanitize_control_tokens` in transformers).

mod bytes;
mod chat;
mod files;
mod marks;

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::{AddedToken, Model, Normalizer, OffsetType, PreTokenizedString, PreTokenizer, Tokenizer};

pub use chat::{Author, ChatTemplate, Message};

use crate::encoder::EncoderError;
use crate::token_bytes::TokenBytes;
use crate::words::{TOKENIZER, TOKENIZER_CONFIG};
use files::Files;
use marks::{Marks, Piece};

/// Characters of every kind, which a usable tokenizer can encode.
const PROBE: &str = "a Z 0\n\t\u{e9}\u{4e2d}\u{1f600}\u{e000}\u{10fffd}\u{301}";

/// A rendered dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialogue {
    /// Text as the chat template writes it.
    pub text: String,
    /// Token ids of the text.
    pub ids: Vec<u32>,
}

/// The tokenizer of a pretrained model.
#[derive(Clone)]
pub struct PretrainedTokenizer {
    tokenizer: Tokenizer,
    files: Files,
    template: Option<ChatTemplate>,
    /// Texts that are control tokens where the template writes them, longest first.
    control: Vec<String>,
    /// Ids before a text without a chat template.
    prefix: Vec<u32>,
    newline: Vec<u32>,
    ends: Vec<u32>,
    pad: u32,
    unknown: Option<u32>,
    vocab: usize,
}

impl PretrainedTokenizer {
    /// Loads the tokenizer of a Hugging Face directory: `tokenizer.json`, and where they exist `tokenizer_config.json`,
    /// `special_tokens_map.json`, `generation_config.json` and `chat_template.jinja`.
    ///
    /// # Errors
    /// [`EncoderError::File`] if `tokenizer.json` is missing, a file is invalid, the files contradict each other, the chat
    /// template has a syntax error, or no end token is named.
    pub fn load(directory: &Path) -> Result<Self, EncoderError> {
        let files = Files::read(directory)?;
        let path = files.path(TOKENIZER);
        let bytes = files.bytes(TOKENIZER).unwrap_or_default();
        // The parser of `tokenizers` panics on some invalid JSON, also within strings, which must be decoded for that.
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            EncoderError::new(&path, format!("it is not JSON ({error}); restore the original file"))
        })?;
        if let Some(token) = undefined(&value["post_processor"]) {
            let reason = format!(
                "its post_processor writes `{token}`, which is not among its special_tokens; restore the original file"
            );
            return Err(EncoderError::new(&path, reason));
        }
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| {
            // Some messages quote a token of several lines.
            let error = error.to_string().replace('\n', "\\n");
            EncoderError::new(&path, format!("it is not a tokenizer ({error}); restore the original file"))
        })?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| EncoderError::new(&path, error))?;
        for (id, token) in files.added()? {
            merge(&mut tokenizer, id, token).map_err(|reason| EncoderError::new(&path, reason))?;
        }
        let named = files.named();
        for (name, text) in &named {
            if tokenizer.token_to_id(text).is_none() {
                let reason = format!(
                    "{name} is `{text}`, which tokenizer.json does not have; restore the original files"
                );
                return Err(EncoderError::new(&files.path(TOKENIZER_CONFIG), reason));
            }
        }
        let special: Vec<AddedToken> =
            named.iter().map(|(_, text)| AddedToken::from(text.clone(), true).normalized(false)).collect();
        tokenizer.add_special_tokens(&special);

        let template = match files.template()? {
            None => None,
            Some((source, name)) => {
                let compiled = ChatTemplate::compile(&source, named).map_err(|reason| {
                    let reason = format!(
                        "the chat template does not compile ({reason}); correct it, or use the style without a template"
                    );
                    EncoderError::new(&files.path(name), reason)
                })?;
                Some(compiled)
            }
        };
        let written = template.as_ref().map_or("", ChatTemplate::source);
        let mut control: Vec<String> = tokenizer
            .get_added_tokens_decoder()
            .into_values()
            .filter(|token| {
                token.special || (written.contains(&token.content) && !token.content.trim().is_empty())
            })
            .map(|token| token.content)
            .collect();
        control.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));

        let id = |name: &str| tokenizer.token_to_id(files.special(name)?);
        let mut ends: Vec<u32> = id("eos_token").into_iter().chain(files.ids("eos_token_id")).collect();
        let mut seen = Vec::new();
        ends.retain(|end| {
            !seen.contains(end) && {
                seen.push(*end);
                true
            }
        });
        let vocab = tokenizer.get_vocab(true).values().max().map_or(0, |id| *id as usize + 1);
        if let Some(end) = ends.iter().find(|end| **end as usize >= vocab) {
            let reason = format!(
                "eos_token_id {end} is beyond the {vocab} tokens of tokenizer.json; restore the original files"
            );
            return Err(EncoderError::new(&files.path("generation_config.json"), reason));
        }
        let Some(&first) = ends.first() else {
            let reason =
                "no end token is named; add eos_token here or eos_token_id to generation_config.json";
            return Err(EncoderError::new(&files.path(TOKENIZER_CONFIG), reason));
        };
        let pad = id("pad_token").or(files.ids("pad_token_id").first().copied()).unwrap_or(first);
        let unknown = id("unk_token");
        let bos = id("bos_token");

        let mut loaded = Self {
            tokenizer,
            files,
            template,
            control,
            prefix: Vec::new(),
            newline: Vec::new(),
            ends,
            pad,
            unknown,
            vocab,
        };
        let fail = |error: tokenizers::Error| {
            EncoderError::new(
                &path,
                format!("it cannot encode every text ({error}); restore the original file"),
            )
        };
        loaded.ids(PROBE).map_err(fail)?;
        loaded.newline = loaded.ids("\n").map_err(fail)?;
        loaded.prefix = loaded.beginning(bos).map_err(fail)?;
        Ok(loaded)
    }

    /// Loads the tokenizer beside a model with `rows` embeddings.
    ///
    /// # Errors
    /// As [`PretrainedTokenizer::load`], and for a tokenizer with more tokens than embeddings.
    pub fn load_for(directory: &Path, rows: usize) -> Result<Self, EncoderError> {
        let loaded = Self::load(directory)?;
        if loaded.vocab() > rows {
            let reason = format!(
                "it has {} tokens, the model beside it has {rows}: it is the tokenizer of another model",
                loaded.vocab()
            );
            return Err(EncoderError::new(&directory.join(TOKENIZER), reason));
        }
        Ok(loaded)
    }

    /// Returns the ids that precede a text: those of the configuration's switch, else those of the post-processor.
    fn beginning(&self, bos: Option<u32>) -> tokenizers::Result<Vec<u32>> {
        let explicit =
            self.files.switch("add_bos_token").or(self.files.switch("add_eos_token").map(|_| false));
        if let Some(wanted) = explicit {
            return Ok(bos.filter(|_| wanted).into_iter().collect());
        }
        let (whole, bare) = (self.tokenizer.encode("a", true)?, self.ids("a")?);
        let start = whole.get_ids().windows(bare.len()).position(|window| window == bare).unwrap_or(0);
        Ok(whole.get_ids()[..start].to_vec())
    }

    fn ids(&self, text: &str) -> tokenizers::Result<Vec<u32>> {
        Ok(self.tokenizer.encode_fast(text, false)?.get_ids().to_vec())
    }

    /// Encodes a text without matching any added token.
    fn plain(&self, text: &str) -> tokenizers::Result<Vec<u32>> {
        let mut parts = PreTokenizedString::from(text);
        if let Some(normalizer) = self.tokenizer.get_normalizer() {
            parts.normalize(|part| normalizer.normalize(part))?;
        }
        if let Some(pre_tokenizer) = self.tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut parts)?;
        }
        parts.tokenize(|part| self.tokenizer.get_model().tokenize(part.get()))?;
        Ok(parts.into_encoding(None, 0, OffsetType::None)?.get_ids().to_vec())
    }

    /// Encodes with `encode`; a text on which it fails (a regular expression that gives up on a very long word) in two halves.
    fn halved(text: &str, encode: &impl Fn(&str) -> tokenizers::Result<Vec<u32>>) -> Vec<u32> {
        if let Ok(ids) = encode(text) {
            return ids;
        }
        let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(index, _)| index);
        if middle == 0 {
            return Vec::new();
        }
        let (left, right) = text.split_at(middle);
        [Self::halved(left, encode), Self::halved(right, encode)].concat()
    }

    /// Encodes the continuation of another text: without the space that some tokenizers put before a text.
    fn continued(&self, text: &str, encode: &impl Fn(&str) -> tokenizers::Result<Vec<u32>>) -> Vec<u32> {
        let ids = Self::halved(&format!("\n{text}"), encode);
        match ids.strip_prefix(self.newline.as_slice()) {
            Some(rest) => rest.to_vec(),
            None => Self::halved(text, encode),
        }
    }

    fn encode_marked(&self, text: &str, marks: Marks, first: bool) -> Vec<u32> {
        let mut ids = Vec::new();
        for (index, piece) in marks.pieces(text, &self.control).into_iter().enumerate() {
            let begins = first && index == 0;
            match piece {
                Piece::Text("") => {}
                Piece::Text(text) if begins => ids.extend(Self::halved(text, &|text| self.ids(text))),
                Piece::Text(text) => ids.extend(self.continued(text, &|text| self.ids(text))),
                Piece::Control(token) => ids.extend(self.as_text(token)),
            }
        }
        ids
    }

    /// Encodes the characters of a control token as ordinary text.
    fn as_text(&self, token: &str) -> Vec<u32> {
        let ids = self.continued(token, &|text| self.plain(text));
        match self.tokenizer.token_to_id(token) {
            // The model itself has the token: no piece of two characters or more may be it.
            Some(id) if ids.contains(&id) => token
                .chars()
                .flat_map(|c| self.continued(c.encode_utf8(&mut [0; 4]), &|text| self.plain(text)))
                .collect(),
            _ => ids,
        }
    }

    /// Encodes a text at the beginning of a sequence. Control tokens in it are ordinary text.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let marks = Marks::absent_from([text]);
        self.encode_marked(&marks.mark(text, &self.control), marks, true)
    }

    /// Encodes a text that continues another one. Control tokens in it are ordinary text.
    pub fn encode_continuation(&self, text: &str) -> Vec<u32> {
        let marks = Marks::absent_from([text]);
        self.encode_marked(&marks.mark(text, &self.control), marks, false)
    }

    /// Renders a dialogue with the chat template and encodes it; control tokens in the messages are ordinary text. With
    /// `generation_prompt` it ends where the model's reply begins.
    ///
    /// # Errors
    /// A sentence if there is no chat template or it refuses the dialogue.
    pub fn encode_chat(&self, messages: &[Message], generation_prompt: bool) -> Result<Dialogue, String> {
        let template = self
            .template
            .as_ref()
            .ok_or("the model has no chat template; use plain prompts, or add chat_template.jinja")?;
        let marks = Marks::absent_from(messages.iter().map(|message| message.content.as_str()));
        let marked: Vec<Message> = messages
            .iter()
            .map(|message| Message::new(message.author, marks.mark(&message.content, &self.control)))
            .collect();
        let text = template
            .render(&marked, generation_prompt)
            .map_err(|reason| format!("the chat template refuses the messages: {reason}"))?;
        let ids = self.encode_marked(&text, marks, true);
        Ok(Dialogue { text: marks.without(&text), ids })
    }

    /// Encodes text of the chat template itself, in which control tokens are control tokens.
    pub fn encode_control(&self, text: &str) -> Vec<u32> {
        self.continued(text, &|text| self.ids(text))
    }

    /// Decodes ids; control tokens are written out, ids out of range are left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids, false).unwrap_or_default()
    }

    /// Returns the bytes of each token in a text, as [`PretrainedTokenizer::decode`] joins them.
    pub fn token_bytes(&self) -> TokenBytes {
        bytes::of(&self.tokenizer, self.vocab)
    }

    /// Returns the chat template.
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.template.as_ref()
    }

    /// Returns the ids before a text that is not a dialogue, such as the begin-of-sequence token.
    pub fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    /// Returns the ids of the end tokens: that of `eos_token`, then those of `generation_config.json`.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Returns the control token at the beginning of a text, and its id.
    pub fn control_at(&self, text: &str) -> Option<u32> {
        let token = self.control.iter().find(|token| text.starts_with(token.as_str()))?;
        self.tokenizer.token_to_id(token)
    }

    /// Returns the id of padding: the tokenizer's, or the first end token.
    pub fn pad(&self) -> u32 {
        self.pad
    }

    /// Returns the id of text that the vocabulary lacks; byte-level tokenizers have none.
    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// Returns the smallest number that is above all ids. The model may have more rows.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Returns the directory from which the tokenizer was loaded.
    pub fn directory(&self) -> &Path {
        &self.files.directory
    }

    /// Returns the tokenizer's files as bytes, without `generation_config.json`.
    pub fn contents(&self) -> Vec<u8> {
        self.files.contents()
    }

    /// Writes the tokenizer's files byte for byte as they were loaded. `generation_config.json` belongs to the model.
    ///
    /// # Errors
    /// [`EncoderError::File`] if a file cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), EncoderError> {
        self.files.save(directory)
    }
}

/// Returns a special token that the template of a post-processor writes without defining it; applying that would panic.
fn undefined(processor: &Value) -> Option<&str> {
    fn list(value: &Value) -> &[Value] {
        value.as_array().map_or(&[], Vec::as_slice)
    }
    let inner = list(&processor["processors"]).iter().find_map(undefined);
    let pieces = ["single", "pair"].into_iter().flat_map(|name| list(&processor[name]));
    let mut named = pieces.filter_map(|piece| piece["SpecialToken"]["id"].as_str());
    inner.or_else(|| named.find(|token| processor["special_tokens"].get(*token).is_none()))
}

/// Adds a token that only tokenizer_config.json has.
fn merge(tokenizer: &mut Tokenizer, id: u32, token: &Map<String, Value>) -> Result<(), String> {
    let text = token.get("content").and_then(Value::as_str).unwrap_or_default();
    let flag = |name: &str| token.get(name).and_then(Value::as_bool);
    if tokenizer.get_added_tokens_decoder().get(&id).is_some_and(|found| found.content == text) {
        return Ok(());
    }
    let special = flag("special").unwrap_or(false);
    let added = AddedToken::from(text, special)
        .single_word(flag("single_word").unwrap_or(false))
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false))
        .normalized(flag("normalized").unwrap_or(!special));
    tokenizer.add_tokens(&[added]);
    match tokenizer.token_to_id(text) {
        Some(found) if found == id => Ok(()),
        found => Err(format!(
            "`{text}` has the id {id} in tokenizer_config.json and {} here; restore the original files",
            found.map_or("none".to_owned(), |found| found.to_string())
        )),
    }
}
