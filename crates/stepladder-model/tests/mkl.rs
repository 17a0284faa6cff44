//! MKL finds the override of its vendor check in the symbols of the running program.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(missing_docs)]

mod common;

use std::ffi::c_int;

use libloading::os::unix::Library;

#[test]
#[allow(unsafe_code)]
fn the_override_is_exported() {
    // Every program that computes with a model links the override.
    common::decoder(&common::weights(2, 1));
    let this = Library::this();
    // SAFETY: a function of MKL's C interface without arguments.
    let ask = unsafe { this.get::<extern "C" fn() -> c_int>(b"mkl_serv_intel_cpu_true") };
    assert_eq!(ask.expect("exported by the executable")(), 1, "is STEPLADDER_MKL_OVERRIDE set?");
}
