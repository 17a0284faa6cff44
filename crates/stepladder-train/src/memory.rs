//! How much memory this process has needed, and how much it can still have.

use crate::error::{Result, bail};
use stepladder_model::Shape;

/// Peak resident memory of this process in bytes; none where the system does not tell.
pub fn peak_bytes() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    parse(&status)
}

/// The `VmHWM` line of Linux's process status, which counts in KiB.
fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

const MIB: u64 = 1 << 20;

/// Below this, threads cannot start and libtorch ends the process before anything is said.
const LEAST: u64 = 256 * MIB;

/// Refuses to begin with less memory than any work with a model takes.
///
/// # Errors
/// With how much there is.
pub fn enough_to_begin() -> Result<()> {
    match free_bytes() {
        Some(free) if free < LEAST => bail!(
            "too little memory: {} MiB are free for this process, and it needs at least {} MiB; raise its limit (ulimit -v), or stop other programs",
            free / MIB,
            LEAST / MIB
        ),
        _ => Ok(()),
    }
}

/// Refuses a model that cannot be trained in the memory there is.
///
/// # Errors
/// With what it needs at least, and what there is.
pub fn enough_to_train(shape: &Shape) -> Result<()> {
    // Values, gradient and AdamW's two moments, in f32.
    let needed = u64::try_from(shape.block_parameters() * 16).unwrap_or(u64::MAX);
    match free_bytes() {
        Some(free) if free < needed => bail!(
            "too little memory: to train {:.0} million parameters takes at least {} MiB, and {} MiB are free for this process; make width, ffn or layers of [model.scratch] smaller",
            shape.block_parameters() as f64 / 1e6,
            needed / MIB,
            free / MIB
        ),
        _ => Ok(()),
    }
}

/// Memory that this process can still have in bytes, at most: what the system has, and what the limit on its address
/// space leaves. None where neither is told.
fn free_bytes() -> Option<u64> {
    let kib = |text: &str, name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    let system = fs_err::read_to_string("/proc/meminfo").ok();
    let system =
        system.and_then(|text| Some(1024 * (kib(&text, "MemAvailable:")? + kib(&text, "SwapFree:")?)));
    let status = fs_err::read_to_string("/proc/self/status").ok();
    let used = status.and_then(|text| Some(1024 * kib(&text, "VmSize:")?));
    let own = address_space().zip(used).map(|(limit, used)| limit.saturating_sub(used));
    system.into_iter().chain(own).min()
}

/// The limit on the address space of this process in bytes, if there is one.
fn address_space() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return rustix::process::getrlimit(rustix::process::Resource::As).current;
    #[cfg(not(target_os = "linux"))]
    None
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
