//! Fast matrix products on every x86-64 CPU with AVX2 or AVX-512.
//!
//! libtorch's MKL asks `mkl_serv_intel_cpu_true` before it looks at the instruction sets, and takes its slowest kernels
//! when the CPU is not Intel's; training is then half as fast (docs/benchmarks.md). The answer given here lets it decide by
//! the instruction sets alone, which it checks next. The symbol has to be exported by the executable: `build.rs` does it.
//!
//! `STEPLADDER_MKL_OVERRIDE=0` switches the override off: the answer is then MKL's own, whether the CPU is Intel's.

use std::ffi::{OsStr, c_int};
use std::sync::LazyLock;

/// Switches the override off when it is `0`.
const VARIABLE: &str = "STEPLADDER_MKL_OVERRIDE";

#[expect(clippy::disallowed_methods, reason = "MKL asks at moments of its own, with nothing handed over")]
static ANSWER: LazyLock<bool> =
    LazyLock::new(|| answer(std::env::var_os(VARIABLE).as_deref(), made_by_intel()));

fn answer(variable: Option<&OsStr>, made_by_intel: bool) -> bool {
    made_by_intel || variable.is_none_or(|value| value != "0")
}

#[cfg(target_arch = "x86_64")]
fn made_by_intel() -> bool {
    let leaf = std::arch::x86_64::__cpuid(0);
    let vendor = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes);
    vendor.as_flattened() == b"GenuineIntel"
}

#[cfg(not(target_arch = "x86_64"))]
fn made_by_intel() -> bool {
    false
}

/// Overrides MKL's question of the same name.
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
extern "C" fn mkl_serv_intel_cpu_true() -> c_int {
    c_int::from(*ANSWER)
}

/// Keeps the override in every executable that computes with a model.
#[used]
static OVERRIDE: extern "C" fn() -> c_int = mkl_serv_intel_cpu_true;

/// Called where models are made, so that the linker takes this object in.
pub(crate) fn link() {
    std::hint::black_box(OVERRIDE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_gives_the_answer_back_to_mkl() {
        for value in [None, Some(OsStr::new("1")), Some(OsStr::new(""))] {
            assert!(answer(value, false) && answer(value, true), "{value:?}");
        }
        assert!(!answer(Some(OsStr::new("0")), false));
        assert!(answer(Some(OsStr::new("0")), true));
    }
}
