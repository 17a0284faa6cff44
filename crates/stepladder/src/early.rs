//! What has to be said before libtorch is loaded: it ends the process, with a message of its own, where there is no
//! working directory.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linux {
    use std::io::ErrorKind;

    use crate::stderr;

    /// The loader calls it before it initialises shared libraries.
    #[allow(unsafe_code)]
    #[used]
    #[unsafe(link_section = ".preinit_array")]
    static CHECK: extern "C" fn() = check;

    extern "C" fn check() {
        if std::env::current_dir().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            stderr::line("error: the working directory does not exist any more; change to another one");
            // Not `std::process::exit`, which would call destructors of libraries that were never initialised.
            signal_hook::low_level::exit(1);
        }
    }
}
