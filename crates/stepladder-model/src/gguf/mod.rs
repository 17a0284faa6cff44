//! GGUF files, the format of llama.cpp, as Hugging Face directories in f32.
//!
//! `read` and `value` read header, metadata and tensor table; `blocks` dequantises; `config`, `rotary` and `tensors` map the model,
//! `tokens`, `tokenizer`, `bpe` and `sentencepiece` its tokenizer. Only this module knows of files.

mod blocks;
mod bpe;
mod config;
mod read;
mod rotary;
mod sentencepiece;
mod tensors;
#[cfg(test)]
mod tests;
mod tokenizer;
mod tokens;
mod value;

use std::path::Path;

use memmap2::Mmap;
use serde_json::{Map, Value as Json, json};

use crate::ModelError;
use crate::checkpoint::{CONFIG, GENERATION, WEIGHTS};

/// File of the tokenizer.
const TOKENIZER: &str = "tokenizer.json";
/// File with the chat template and the special tokens.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// Converts a GGUF file into an existing directory: weights in f32, configuration and tokenizer. Needs memory for one row of a
/// tensor beside the mapped file. Refuses what it does not convert exactly before it writes anything.
///
/// # Errors
/// [`ModelError::Checkpoint`] that names the file and what it is that is damaged or not supported.
pub fn convert(file: &Path, directory: &Path) -> Result<(), ModelError> {
    let map = open(file)?;
    let fail =
        |path: &Path, reason: String| ModelError::Checkpoint { path: path.display().to_string(), reason };
    let contents = read::Gguf::parse(&map).map_err(|reason| fail(file, reason))?;
    let converted = Converted::of(&contents).map_err(|reason| fail(file, reason))?;
    let weights = directory.join(WEIGHTS);
    tensors::write(&weights, &converted.tensors).map_err(|error| fail(&weights, error.to_string()))?;
    for (name, value) in converted.files {
        let path = directory.join(name);
        let text = serde_json::to_string_pretty(&value).map_err(|error| fail(&path, error.to_string()))?;
        fs_err::write(&path, text + "\n").map_err(|error| fail(&path, error.to_string()))?;
    }
    Ok(())
}

#[expect(
    unsafe_code,
    reason = "a memory map; the file must not change while it is read, as with every mapped file"
)]
fn open(path: &Path) -> Result<Mmap, ModelError> {
    let file = fs_err::File::open(path).and_then(|file| {
        // SAFETY: the map is only read. A program that shortens the file meanwhile ends this one.
        unsafe { Mmap::map(file.file()) }
    });
    file.map_err(|error| ModelError::Checkpoint {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

/// Everything that a directory gets.
struct Converted<'a> {
    files: [(&'static str, Json); 4],
    tensors: Vec<tensors::Planned<'a>>,
}

impl<'a> Converted<'a> {
    fn of(file: &'a read::Gguf<'a>) -> Result<Self, String> {
        let mut model = config::Model::read(file)?;
        let tensors = tensors::plan(file, &model)?;
        let tokenizer = tokenizer::Tokenizer::read(file, model.vocab, model.context)?;
        let mut generation = Map::from_iter([("do_sample".to_owned(), json!(false))]);
        for (key, id) in tokenizer.ids {
            model.json[key.as_str()] = id.clone();
            generation.insert(key, id);
        }
        let files = [
            (CONFIG, model.json),
            (GENERATION, Json::Object(generation)),
            (TOKENIZER, tokenizer.tokenizer),
            (TOKENIZER_CONFIG, tokenizer.config),
        ];
        Ok(Self { files, tensors })
    }
}
