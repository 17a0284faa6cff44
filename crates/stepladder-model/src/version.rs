//! Version of libtorch.

/// Returns the version of the loaded libtorch, for example `2.11.0`.
///
/// ```
/// let version = stepladder_model::version::libtorch();
/// assert_eq!(version.split('.').count(), 3);
/// ```
#[allow(unsafe_code)]
pub fn libtorch() -> String {
    unsafe extern "C" {
        // torch/csrc/inductor/aoti_torch/c/shim.h
        fn aoti_torch_abi_version() -> u64;
    }
    // SAFETY: libtorch's C interface; the function takes nothing and returns a constant of the library.
    let packed = unsafe { aoti_torch_abi_version() };
    // Major, minor and patch are the highest bytes (torch/headeronly/version.h).
    let [major, minor, patch, ..] = packed.to_be_bytes();
    format!("{major}.{minor}.{patch}")
}
