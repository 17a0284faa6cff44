//! Fast matrix products on every x86-64 CPU with AVX2 or AVX-512.
//!
//! libtorch's MKL asks `mkl_serv_intel_cpu_true` before it looks at the instruction sets, and takes its slowest kernels
//! when the maker is another; training is then half as fast (docs/benchmarks.md). The answer given here lets it decide by
//! the instruction sets alone, which it checks next. The symbol has to be exported by the executable: `build.rs` does it.

/// Overrides MKL's question of the same name.
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
extern "C" fn mkl_serv_intel_cpu_true() -> std::ffi::c_int {
    1
}

/// Keeps the override in every executable that computes with a model.
#[used]
static OVERRIDE: extern "C" fn() -> std::ffi::c_int = mkl_serv_intel_cpu_true;

/// Called where models are made, so that the linker takes this object in.
pub(crate) fn link() {
    std::hint::black_box(OVERRIDE);
}
