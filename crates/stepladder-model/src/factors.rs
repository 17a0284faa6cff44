//! Factored embeddings (docs/design.md D12): a token's vector is its own vector plus the vectors of its factors, so that
//! `mug_7` generalises from `mug_2` and `cup_7`. A tied output matrix is the same sum.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::checkpoint::values;

/// Embedding factors of each word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factors {
    /// Names of the factors, by id.
    pub names: Vec<String>,
    /// Factor ids of each word, by word id.
    pub of_word: Vec<Vec<u32>>,
}

impl Factors {
    /// Collects the factors of all words; ids are in alphabetical order of names.
    ///
    /// ```
    /// use stepladder_model::Factors;
    /// let words = ["mug_1".to_owned(), "mug_2".to_owned(), "look".to_owned()];
    /// let parts = |word: &str| word.split_once('_').map(|(k, n)| vec![k.to_owned(), n.to_owned()]).unwrap_or_default();
    /// let factors = Factors::collect(&words, parts);
    /// assert_eq!(factors.names, ["1", "2", "mug"]);
    /// assert_eq!(factors.of_word, [vec![2, 0], vec![2, 1], vec![]]);
    /// ```
    pub fn collect(words: &[String], factors_of: impl Fn(&str) -> Vec<String>) -> Self {
        let per_word: Vec<Vec<String>> = words.iter().map(|word| factors_of(word)).collect();
        let mut ids: BTreeMap<&str, u32> = per_word.iter().flatten().map(|name| (name.as_str(), 0)).collect();
        for (id, slot) in ids.values_mut().enumerate() {
            *slot = id as u32;
        }
        let of_word =
            per_word.iter().map(|names| names.iter().map(|name| ids[name.as_str()]).collect()).collect();
        Self { names: ids.keys().map(|name| (*name).to_owned()).collect(), of_word }
    }

    /// Returns the number of factors.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether these are factors of a vocabulary of `vocab` words. Without factors, [`Factors::of_word`] may be empty.
    pub fn fit(&self, vocab: i64) -> bool {
        let known = self.of_word.iter().flatten().all(|&factor| (factor as usize) < self.len());
        known && (self.of_word.len() as i64 == vocab || (self.is_empty() && self.of_word.is_empty()))
    }

    /// Whether there are no factors.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Sums own vectors `[words, width]` and factor vectors `[factors, width]` to the vectors of all words `[words, width]`,
    /// on the CPU. Additions are in a fixed order, so the result is bit-equal on every machine.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn sum(&self, own: &Tensor, shared: &Tensor) -> Tensor {
        let (size, mut sums) = (own.size(), values(own));
        let (width, shared) = (size[1] as usize, values(shared));
        for (word, factors) in self.of_word.iter().enumerate().filter(|(_, factors)| !factors.is_empty()) {
            let mut factors = factors.clone();
            factors.sort_unstable();
            for column in 0..width {
                let part = |factor: &u32| shared[*factor as usize * width + column];
                sums[word * width + column] += factors.iter().map(part).sum::<f32>();
            }
        }
        Tensor::from_slice(&sums).view(size.as_slice())
    }

    /// Returns the incidence matrix `[words, factors]` in f32; none without factors.
    pub fn matrix(&self, device: Device) -> Option<Tensor> {
        if self.is_empty() {
            return None;
        }
        let columns = self.len();
        let mut dense = vec![0f32; self.of_word.len() * columns];
        for (word, factors) in self.of_word.iter().enumerate() {
            for &factor in factors {
                dense[word * columns + factor as usize] += 1.0;
            }
        }
        let matrix = Tensor::from_slice(&dense).view([self.of_word.len() as i64, columns as i64]);
        Some(matrix.to_kind(Kind::Float).to_device(device))
    }
}
