//! Writes the place of libtorch into every test, example and program that links it, so that they run without
//! `LD_LIBRARY_PATH`. Shared by all crates that produce such executables.
#![expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let windows = std::env::var("CARGO_CFG_WINDOWS").is_ok();
    if let Some(home) = std::env::var_os("LIBTORCH").filter(|_| !windows) {
        let lib = std::path::Path::new(&home).join("lib");
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
    // src/mkl.rs answers a question that libtorch's MKL asks through the dynamic symbol table.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux")
        && std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64")
    {
        println!("cargo::rustc-link-arg=-Wl,--export-dynamic-symbol=mkl_serv_intel_cpu_true");
    }
    if std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == "stepladder-train") {
        commit();
    }
}

/// Tells the program which commit it was built from, for run directories and evaluation tables.
fn commit() {
    // Grows with every commit; absent where the sources are no checkout.
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
