//! Writes the place of libtorch into every test, example and program that links it, so that they run without
//! `LD_LIBRARY_PATH`. Shared by all crates that produce such executables.

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let windows = std::env::var("CARGO_CFG_WINDOWS").is_ok();
    if let Some(home) = std::env::var_os("LIBTORCH").filter(|_| !windows) {
        let lib = std::path::Path::new(&home).join("lib");
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
}
