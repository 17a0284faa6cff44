//! How much memory this process has needed.

/// Peak resident memory of this process in bytes; none where the system does not tell.
pub(crate) fn peak_bytes() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    parse(&status)
}

/// The `VmHWM` line of Linux's process status, which counts in KiB.
fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status_of_the_process() {
        assert_eq!(parse("Name:\tx\nVmHWM:\t    2048 kB\nThreads:\t1\n"), Some(2 << 20));
        assert_eq!(parse("Name:\tx\n"), None);
        if cfg!(target_os = "linux") {
            assert!(peak_bytes().unwrap() > 1 << 20);
        }
    }
}
