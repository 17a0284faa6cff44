//! A tiny pretrained model, and defects of its files.
#![allow(unreachable_pub)]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use crate::common::ok;

/// Path of a GGUF file among the fixtures: `llama`, `qwen2`, `qwen3` or `gemma`.
pub(crate) fn gguf(family: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stepladder-model/tests/gguf");
    fixtures.join(format!("{family}.gguf"))
}

/// Writes a tiny Llama with tokenizer and chat template, and a context of `window` tokens, into a directory of the folder.
pub(crate) fn tiny(folder: &Path, name: &str, window: u64) -> PathBuf {
    ok(folder, &["model", "convert", gguf("llama").to_str().unwrap(), name]);
    let place = folder.join(name);
    edit(&place.join("config.json"), |config| config["max_position_embeddings"] = json!(window));
    place
}

/// Copies the files of a directory into a new one.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Changes a JSON file.
pub(crate) fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    change(&mut value);
    fs_err::write(path, value.to_string()).unwrap();
}

/// Cuts the last byte of a file.
pub(crate) fn cut(path: &Path) {
    let bytes = fs_err::read(path).unwrap();
    fs_err::write(path, &bytes[..bytes.len() - 1]).unwrap();
}

/// A tensor of a safetensors file.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

/// Reads the tensors of a file.
pub(crate) fn tensors(path: &Path) -> Vec<Tensor> {
    let bytes = fs_err::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter().map(|(name, view)| Tensor {
        name,
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        data: view.data().to_vec(),
    });
    tensors.collect()
}

/// Writes tensors into a file.
pub(crate) fn write(path: &Path, tensors: &[Tensor]) {
    let views = tensors.iter().map(|tensor| {
        (tensor.name.as_str(), TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.data).unwrap())
    });
    fs_err::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Gives a tensor of a model another dtype, with zeros as values.
fn retype(place: &Path, name: &str, dtype: Dtype) {
    let path = place.join("model.safetensors");
    let mut tensors = tensors(&path);
    let tensor = tensors.iter_mut().find(|tensor| tensor.name == name).unwrap();
    let bytes = tensor.shape.iter().product::<usize>() * dtype.bitsize() / 8;
    (tensor.dtype, tensor.data) = (dtype, vec![0; bytes]);
    write(&path, &tensors);
}

/// Splits the weights of a model into two shards with an index.
pub(crate) fn split(place: &Path) {
    let whole = place.join("model.safetensors");
    let mut first = tensors(&whole);
    let second = first.split_off(first.len() / 2);
    let mut map = serde_json::Map::new();
    for (at, tensors) in [first, second].into_iter().enumerate() {
        let name = format!("model-{}-of-2.safetensors", at + 1);
        write(&place.join(&name), &tensors);
        map.extend(tensors.into_iter().map(|tensor| (tensor.name, json!(name))));
    }
    fs_err::write(place.join("model.safetensors.index.json"), json!({ "weight_map": map }).to_string())
        .unwrap();
    fs_err::remove_file(whole).unwrap();
}

/// A defect: what it does to a directory, the file that the message names, and the rest of the message or its beginning.
type Defect = (&'static str, fn(&Path), &'static str, &'static str);

/// Defects of a model's directory, each with its message.
pub(crate) const DEFECTS: [Defect; 19] = [
    ("no configuration", |place| fs_err::remove_file(place.join("config.json")).unwrap(), "config.json", ""),
    (
        "no tokenizer",
        |place| fs_err::remove_file(place.join("tokenizer.json")).unwrap(),
        "tokenizer.json",
        "",
    ),
    (
        "no weights",
        |place| fs_err::remove_file(place.join("model.safetensors")).unwrap(),
        "model.safetensors",
        "",
    ),
    (
        "missing shard",
        |place| {
            split(place);
            fs_err::remove_file(place.join("model-2-of-2.safetensors")).unwrap();
        },
        "model-2-of-2.safetensors",
        "this shard is missing, but model.safetensors.index.json names it; fetch it again",
    ),
    (
        "truncated shard",
        |place| {
            split(place);
            cut(&place.join("model-2-of-2.safetensors"));
        },
        "model-2-of-2.safetensors",
        "it does not have the size that its header describes: the file is incomplete; fetch it again",
    ),
    (
        "truncated safetensors",
        |place| cut(&place.join("model.safetensors")),
        "model.safetensors",
        "it does not have the size that its header describes: the file is incomplete; fetch it again",
    ),
    (
        "no safetensors",
        |place| {
            fs_err::write(place.join("model.safetensors"), "version https://git-lfs.github.com/spec/v1")
                .unwrap()
        },
        "model.safetensors",
        "not a safetensors file: ",
    ),
    ("configuration that is no JSON", |place| cut(&place.join("config.json")), "config.json", ""),
    (
        "unknown architecture",
        |place| edit(&place.join("config.json"), |config| config["model_type"] = json!("mamba2")),
        "config.json",
        "model_type is mamba2; this program reads llama, mistral, qwen2, qwen3, gemma",
    ),
    (
        "unknown field",
        |place| edit(&place.join("config.json"), |config| config["attn_logit_softcapping"] = json!(50.0)),
        "config.json",
        "`attn_logit_softcapping` is not supported",
    ),
    (
        "unknown quantisation",
        |place| {
            edit(&place.join("config.json"), |config| {
                config["quantization_config"] = json!({ "quant_method": "gptq" })
            })
        },
        "config.json",
        "`quantization_config` is not supported",
    ),
    (
        "64-bit integers",
        |place| retype(place, "model.layers.1.mlp.down_proj.weight", Dtype::I64),
        "model.safetensors",
        "`model.layers.1.mlp.down_proj.weight` is I64; this program reads F32, BF16 and F16",
    ),
    (
        "8-bit floats",
        |place| retype(place, "model.layers.0.self_attn.q_proj.weight", Dtype::F8_E4M3),
        "model.safetensors",
        "`model.layers.0.self_attn.q_proj.weight` is F8_E4M3; this program reads F32, BF16 and F16",
    ),
    (
        "more layers than tensors",
        |place| edit(&place.join("config.json"), |config| config["num_hidden_layers"] = json!(4096)),
        "model.safetensors",
        "no tensor `model.layers.2.self_attn.q_proj.weight`",
    ),
    (
        "other width",
        |place| edit(&place.join("config.json"), |config| config["intermediate_size"] = json!(48)),
        "model.safetensors",
        "`model.layers.0.mlp.gate_proj.weight` has shape [40, 24], the configuration needs [48, 24]",
    ),
    (
        "tokenizer of a larger model",
        |place| {
            edit(&place.join("tokenizer.json"), |tokenizer| {
                let known = tokenizer["added_tokens"].as_array_mut().unwrap();
                let more = (0..8).map(|at| {
                    let mut token = known[0].clone();
                    (token["id"], token["content"]) = (json!(264 + at), json!(format!("<extra {at}>")));
                    token
                });
                let more: Vec<Value> = more.collect();
                known.extend(more);
            });
        },
        "tokenizer.json",
        "it has 27",
    ),
    (
        "chat template with a syntax error",
        |place| fs_err::write(place.join("chat_template.jinja"), "{% for message in messages %}").unwrap(),
        "chat_template.jinja",
        "the chat template does not compile (",
    ),
    (
        "chat template that refuses a dialogue",
        |place| fs_err::write(place.join("chat_template.jinja"), "{{ raise_exception('never') }}").unwrap(),
        "",
        "the chat template refuses the messages: never",
    ),
    (
        "weights that are no numbers",
        |place| {
            let path = place.join("model.safetensors");
            let mut tensors = tensors(&path);
            let tensor = tensors.iter_mut().find(|tensor| tensor.name == "model.norm.weight").unwrap();
            tensor.data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
            write(&path, &tensors);
        },
        "model.safetensors",
        "`model.norm.weight` contains NaN or infinite values; ",
    ),
];
