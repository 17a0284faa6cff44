//! Settings of libtorch's OpenMP threads, which must sleep while they wait.

/// Restarts the program once with the OpenMP settings in its environment. libtorch's OpenMP threads spin while they wait, which
/// costs a factor of ten on shared cores, and they read their settings when the library is loaded, before `main` (docs/design.md
/// D1). Keeps settings of the user.
#[cfg(unix)]
#[expect(
    clippy::disallowed_methods,
    reason = "settings that the user made are looked for before anything else runs"
)]
pub(crate) fn quiet_openmp() {
    use std::os::unix::process::CommandExt;
    const SETTINGS: [(&str, &str); 3] =
        [("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "0"), ("OMP_NUM_THREADS", "1")];
    const MARK: &str = "STEPLADDER_QUIET_OPENMP";
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
pub(crate) fn quiet_openmp() {}
