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
#[allow(unsafe_code)]
fn load_cuda() -> Result<(), String> {
    use std::ffi::{CStr, c_char, c_int, c_void};
    unsafe extern "C" {
        fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
        fn dlerror() -> *mut c_char;
    }
    const NOW_GLOBAL: c_int = 0x2 | 0x100;
    // SAFETY: dlopen and dlerror are called with a valid NUL-terminated name; the library stays loaded for ever, so no
    // pointer into it dangles. Its constructors only register libtorch's CUDA hooks.
    unsafe {
        let handle = dlopen(c"libtorch_cuda.so".as_ptr(), NOW_GLOBAL);
        if handle.is_null() {
            let reason = dlerror();
            let text = if reason.is_null() {
                "libtorch_cuda.so could not be loaded".to_owned()
            } else {
                CStr::from_ptr(reason).to_string_lossy().into_owned()
            };
            return Err(format!("{text}; the CPU-only installation of libtorch has no CUDA half"));
        }
    }
    Ok(())
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
}
