//! Sets the library path of libtorch in every test, example and program that links it, so that they run without
//! `LD_LIBRARY_PATH`. Shared by all crates that produce such executables.
#![expect(clippy::disallowed_methods, reason = "cargo passes settings to build scripts in the environment")]

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let windows = std::env::var("CARGO_CFG_WINDOWS").is_ok();
    if let Some(home) = std::env::var_os("LIBTORCH").filter(|_| !windows) {
        let lib = std::path::Path::new(&home).join("lib");
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
    // libtorch's MKL finds the override of src/mkl.rs in the dynamic symbol table.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux")
        && std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64")
    {
        println!("cargo::rustc-link-arg=-Wl,--export-dynamic-symbol=mkl_serv_intel_cpu_true");
    }
    if std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == "stepladder-train") {
        commit();
    }
}

/// Sets `STEPLADDER_COMMIT`, which run directories and evaluation tables record.
fn commit() {
    // Changes with every commit; absent outside a git checkout.
    let log = std::path::Path::new("../../.git/logs/HEAD");
    if log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    let output = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    if let Ok(output) = output
        && output.status.success()
    {
        println!("cargo::rustc-env=STEPLADDER_COMMIT={}", String::from_utf8_lossy(&output.stdout).trim());
    }
}
