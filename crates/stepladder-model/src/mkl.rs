//! Override of MKL's vendor check: fast matrix products on every x86-64 CPU with AVX2 or AVX-512.
//!
//! libtorch's MKL calls `mkl_serv_intel_cpu_true` before it checks the instruction sets, and selects its slowest kernels
//! on CPUs of other vendors; training is then half as fast (docs/benchmarks.md). This override returns true, so that MKL
//! decides by the instruction sets alone. The executable has to export the symbol: `build.rs` does that.
//!
//! `STEPLADDER_MKL_OVERRIDE=0` switches the override off: the function then returns whether the CPU is Intel's.

use std::ffi::{OsStr, c_int};
use std::sync::LazyLock;

/// Environment variable; `0` switches the override off.
const VARIABLE: &str = "STEPLADDER_MKL_OVERRIDE";

#[expect(clippy::disallowed_methods, reason = "MKL calls this function itself, without arguments")]
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

/// Overrides MKL's function of the same name.
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
extern "C" fn mkl_serv_intel_cpu_true() -> c_int {
    c_int::from(*ANSWER)
}

/// Keeps the override in every executable that computes with a model.
#[used]
static OVERRIDE: extern "C" fn() -> c_int = mkl_serv_intel_cpu_true;

/// Makes the linker include this object; called wherever a model is built.
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
