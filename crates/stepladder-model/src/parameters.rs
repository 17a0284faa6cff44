//! Parameters of a decoder: names, shapes and initial values.

use crate::config::ModelConfig;
use crate::lora::MODULES;
use crate::params::{Init, Parameter};

impl ModelConfig {
    /// Lists all parameters of the model in the order of [`crate::Layout`].
    ///
    /// Query, key and value are one matrix, gate and up another: fewer, larger products. In the rows of queries and keys
    /// rotary pairs are neighbours; `checkpoint` converts to the order of transformers.
    pub fn parameters(&self) -> Vec<Parameter> {
        let shape = &self.shape;
        let (d, head) = (shape.width, self.head_dim());
        let architecture = &self.architecture;
        let gain = if architecture.gemma_norm { Init::Zero } else { Init::One };
        // Standard deviation 0.02 as in GPT-2; the matrices that write to the residual stream are scaled by 1/√(2·layers).
        let base = 0.02 * (256.0 / d as f64).sqrt().max(1.0);
        let (plain, residual) = (Init::Normal(base), Init::Normal(base / (2.0 * shape.layers as f64).sqrt()));
        let mut all = Vec::new();
        let mut push =
            |name: String, dims: &[i64], init| all.push(Parameter { name, shape: dims.to_vec(), init });
        push("embed.own".to_owned(), &[self.vocab, d], plain);
        if self.factors > 0 {
            push("embed.factors".to_owned(), &[self.factors, d], plain);
        }
        for layer in 0..shape.layers {
            let mut push =
                |name: &str, dims: &[i64], init| push(format!("layers.{layer}.{name}"), dims, init);
            push("norm_attention", &[d], gain);
            let qkv_rows = (shape.heads + 2 * shape.kv_heads) * head;
            push("qkv", &[qkv_rows, d], plain);
            if architecture.qkv_bias {
                push("qkv_bias", &[qkv_rows], Init::Zero);
            }
            if architecture.qk_norm {
                push("norm_q", &[head], gain);
                push("norm_k", &[head], gain);
            }
            push("out", &[d, shape.heads * head], residual);
            if architecture.out_bias {
                push("out_bias", &[d], Init::Zero);
            }
            push("norm_ffn", &[d], gain);
            push("gate_up", &[2 * shape.ffn, d], plain);
            push("down", &[d, shape.ffn], residual);
            if let Some(lora) = &self.lora {
                for module in MODULES.iter().filter(|module| lora.adapts(module.name)) {
                    let (out, width) = (self.rows_of(module.name), self.columns_of(module.name));
                    // As PEFT: A is uniform with the variance of a linear layer, B is zero.
                    let bound = Init::Uniform(1.0 / (width as f64).sqrt());
                    push(&format!("{}.lora_a", module.name), &[lora.rank, width], bound);
                    push(&format!("{}.lora_b", module.name), &[out, lora.rank], Init::Zero);
                }
            }
            if architecture.mlp_bias {
                push("gate_up_bias", &[2 * shape.ffn], Init::Zero);
                push("down_bias", &[d], Init::Zero);
            }
        }
        push("norm".to_owned(), &[d], gain);
        if !shape.tied {
            push("head".to_owned(), &[self.vocab, d], plain);
        }
        all
    }
}
