//! Low-rank adapters: LoRA (arXiv:2106.09685), rank-stabilised LoRA (arXiv:2312.03732).
//!
//! y = x Wᵀ + s · x Aᵀ Bᵀ with a frozen W, s = α / r, or α / √r if rank-stabilised. In behaviour cloning, elements of the second x
//! are set to 0 with probability p and the others divided by 1 - p (dropout).

use stepladder_core::section;
use stepladder_core::section::Bound;

/// A matrix that can have an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Module {
    /// Name in transformers and PEFT.
    pub(crate) name: &'static str,
    /// Name of the submodule in transformers that holds it.
    pub(crate) parent: &'static str,
    /// Whether the rows are rotated, so that they are in another order in transformers.
    pub(crate) rotated: bool,
}

const fn module(name: &'static str, parent: &'static str, rotated: bool) -> Module {
    Module { name, parent, rotated }
}

/// All matrices that can have an adapter, in the order of their rows in fused matrices.
pub(crate) const MODULES: [Module; 7] = [
    module("q_proj", "self_attn", true),
    module("k_proj", "self_attn", true),
    module("v_proj", "self_attn", false),
    module("o_proj", "self_attn", false),
    module("gate_proj", "mlp", false),
    module("up_proj", "mlp", false),
    module("down_proj", "mlp", false),
];

section! {
    /// Low-rank adapters over a frozen model (LoRA).
    pub struct Lora {
        /// Rank of the adapters.
        pub rank: i64 = 16 => [Bound::Between(1, 4096)],
        /// Numerator of the scale of the adapters.
        pub alpha: f64 = 32.0 => [Bound::Positive],
        /// Matrices with an adapter, by their names in transformers.
        pub targets: Vec<String> = MODULES.iter().map(|module| module.name.to_owned()).collect(),
        /// The scale is alpha / √rank instead of alpha / rank (rsLoRA).
        pub rslora: bool = false,
        /// Probability that an element of an adapter's input is set to 0, in behaviour cloning (`bc`, `dagger`) only: elsewhere
        /// the log-probabilities of a policy must be those of its rollouts.
        pub dropout: f64 = 0.0 => [Bound::BelowOne],
    }
}

impl Lora {
    /// Returns the scale of the adapters.
    ///
    /// ```
    /// use stepladder_model::Lora;
    /// let lora = Lora { rank: 16, alpha: 32.0, ..Lora::default() };
    /// assert_eq!(lora.scale(), 2.0);
    /// assert_eq!(Lora { rslora: true, ..lora }.scale(), 8.0);
    /// ```
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// Returns one sentence for each contradiction between values; empty if there is none.
    pub fn conflicts(&self) -> Vec<String> {
        let known: Vec<&str> = MODULES.iter().map(|module| module.name).collect();
        let unknown = self.targets.iter().filter(|name| !known.contains(&name.as_str()));
        let mut found: Vec<String> = unknown
            .map(|name| {
                format!("`{name}` is not a matrix that can have an adapter; those are {}", known.join(", "))
            })
            .collect();
        if self.targets.is_empty() {
            found.push(format!("no matrix has an adapter; name some of {}", known.join(", ")));
        }
        found
    }

    /// Whether this matrix has an adapter.
    pub(crate) fn adapts(&self, module: &str) -> bool {
        self.targets.iter().any(|name| name == module)
    }
}

/// Name of an adapter's matrix A, `[rank, in]`.
pub(crate) fn a_of(layer: i64, module: &str) -> String {
    format!("layers.{layer}.{module}.lora_a")
}

/// Name of an adapter's matrix B, `[out, rank]`.
pub(crate) fn b_of(layer: i64, module: &str) -> String {
    format!("layers.{layer}.{module}.lora_b")
}
