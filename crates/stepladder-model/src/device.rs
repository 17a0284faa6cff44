//! Device selection. One binary serves CPU and CUDA: libtorch's CUDA library is loaded when a CUDA device is requested
//! (docs/design.md D1).

use tch::Device;

use crate::ModelError;

/// Opens the device of this name: `cpu`, `cuda` or `cuda:N`.
///
/// Must precede all other tensor operations if it may be a CUDA device: libtorch caches its hooks at first use.
///
/// # Errors
/// [`ModelError::Device`] for an unknown name or a missing device or library.
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
        return Err(fail(format!("libtorch finds {count} CUDA device(s)")));
    }
    Ok(Device::Cuda(index))
}

/// Limits libtorch to one thread per calling thread: parallelism is across workers.
pub fn one_thread_each() {
    tch::set_num_threads(1);
}

#[cfg(target_os = "linux")]
fn load_cuda() -> Result<(), String> {
    load("libtorch_cuda.so")
        .map_err(|reason| format!("{reason}; the CPU-only installation of libtorch has no CUDA library"))
}

/// Loads a library for the rest of the process, with its symbols visible to all other libraries.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn load(name: &str) -> Result<(), String> {
    use libloading::Error;
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the constructors of libtorch's CUDA library only register its hooks.
    let library = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) };
    // The dynamic linker's message; libloading's is only "dlopen failed".
    let reason = |error| match error {
        Error::DlOpen { source } => source.to_string(),
        other => format!("{name}: {other}"),
    };
    // Dropping the library would unload the code that the hooks point to.
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
