//! Settings of libraries that are read when they are loaded: OpenMP's threads must sleep while they wait, and large allocations should have large
//! pages.

/// Restarts the program once with these settings in its environment, where the user has none. libtorch's OpenMP threads spin while
/// they wait, which costs a factor of ten on shared cores (docs/design.md D1). glibc maps every large tensor anew, and page faults
/// were a quarter of the time of generation by libtorch (docs/benchmarks.md). Both are read before `main`.
#[cfg(unix)]
#[expect(
    clippy::disallowed_methods,
    reason = "settings that the user made are looked for before anything else runs"
)]
pub(crate) fn configure() {
    use std::os::unix::process::CommandExt;
    const SETTINGS: [(&str, &str); 4] = [
        ("OMP_WAIT_POLICY", "passive"),
        ("GOMP_SPINCOUNT", "0"),
        ("OMP_NUM_THREADS", "1"),
        ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
    ];
    const MARK: &str = "STEPLADDER_RESTARTED";
    let missing: Vec<_> = SETTINGS.iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if missing.is_empty() || std::env::var_os(MARK).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = std::process::Command::new(program);
    again.args(std::env::args_os().skip(1)).env(MARK, "1");
    for (name, value) in missing {
        again.env(name, value);
    }
    // `exec` returns only on failure; the program then continues, but slower.
    let _ = again.exec();
}

#[cfg(not(unix))]
pub(crate) fn configure() {}
