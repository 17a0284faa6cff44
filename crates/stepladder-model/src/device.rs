//! CPU or CUDA. One binary serves both: the CUDA half of libtorch is loaded when a CUDA device is asked for (design D1).

use tch::Device;

use crate::ModelError;

/// The device a user named: `cpu`, `cuda` or `cuda:N`.
///
/// Call this before any other tensor operation when CUDA may be asked for: libtorch caches its hooks at first use.
///
/// # Errors
/// [`ModelError::Device`] naming what is missing.
pub fn open(name: &str) -> Result<Device, ModelError> {
    let fail = |reason: String| ModelError::Device { device: name.to_owned(), reason };
    let index = match name.split_once(':') {
        None if name == "cpu" => return Ok(Device::Cpu),
        None if name == "cuda" => 0,
        Some(("cuda", index)) => {
            index.parse().map_err(|_| fail("the index after `cuda:` must be a number".to_owned()))?
        }
        _ => return Err(fail("unknown; use cpu, cuda or cuda:N".to_owned())),
    };
    load_cuda().map_err(fail)?;
    let count = tch::Cuda::device_count();
    if count <= index as i64 {
        return Err(fail(format!("libtorch sees {count} CUDA device(s)")));
    }
    Ok(Device::Cuda(index))
}

/// One libtorch thread per calling thread: workers are the parallelism.
pub fn one_thread_each() {
    tch::set_num_threads(1);
}

#[cfg(target_os = "linux")]
fn load_cuda() -> Result<(), String> {
    load("libtorch_cuda.so")
        .map_err(|reason| format!("{reason}; the CPU-only installation of libtorch has no CUDA half"))
}

/// Loads a library for the rest of the process; its symbols are visible to all others.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn load(name: &str) -> Result<(), String> {
    use libloading::Error;
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the constructors of libtorch's CUDA half only register its hooks.
    let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) };
    // The linker's own words: libloading's are only "dlopen failed".
    let reason = |error| match error {
        Error::DlOpen { source } => source.to_string(),
        other => format!("{name}: {other}"),
    };
    // Dropping it would unload what the hooks point into.
    library.map(std::mem::forget).map_err(reason)
}

#[cfg(not(target_os = "linux"))]
fn load_cuda() -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(matches!(open("cpu"), Ok(Device::Cpu)));
        for name in ["gpu", "cuda:x", "tpu:0"] {
            assert!(open(name).is_err(), "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_library_that_cannot_be_loaded_is_named_with_the_reason() {
        let reason = load("libstepladder-absent.so").unwrap_err();
        assert!(reason.contains("libstepladder-absent.so: cannot open shared object file"), "{reason}");
    }
}
