//! Check before libtorch is loaded, since libtorch aborts the process where there is no working directory.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linux {
    use std::io::ErrorKind;

    use crate::stderr;

    /// Function that the loader calls before it initialises shared libraries.
    #[allow(unsafe_code)]
    #[used]
    #[unsafe(link_section = ".preinit_array")]
    static CHECK: extern "C" fn() = check;

    extern "C" fn check() {
        if std::env::current_dir().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            stderr::line("error: the working directory no longer exists; change to another one");
            // Not `std::process::exit`, which would call destructors of uninitialised libraries.
            signal_hook::low_level::exit(1);
        }
    }
}
