//! Memory of this process: peak use and remaining memory.

use std::path::Path;

use stepladder_model::{ModelConfig, Shape};

use crate::config::{BaseDtype, ModelSection, Tuning};
use crate::error::{Result, bail};

/// Returns the peak resident memory of this process in bytes; `None` where the system does not report it.
pub fn peak_bytes() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    parse(&status)
}

/// Parses the `VmHWM` line of Linux's process status, which is in KiB.
fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

const MIB: u64 = 1 << 20;

/// Least memory in bytes; with less, threads cannot start and libtorch aborts the process before an error is printed.
const LEAST: u64 = 256 * MIB;

/// Checks that memory suffices to start any work with a model.
///
/// # Errors
/// If it does not; the message gives the free memory.
pub fn enough_to_begin() -> Result<()> {
    match free_bytes() {
        Some(free) if free < LEAST => bail!(
            "not enough memory: {} MiB are free for this process, which needs at least {} MiB; raise its limit (ulimit -v) or stop other programs",
            free / MIB,
            LEAST / MIB
        ),
        _ => Ok(()),
    }
}

/// Checks that memory suffices to load a pretrained model, whose weights have `bytes` in the dtype in which they are kept.
///
/// # Errors
/// If it does not; the message gives the least memory needed and the free memory.
pub fn enough_to_load(directory: &Path, bytes: u64) -> Result<()> {
    match free_bytes() {
        Some(free) if free < bytes => bail!(
            "not enough memory: the weights of {} need {} MiB, and {} MiB are free for this process; choose a smaller model, raise the limit (ulimit -v) or stop other programs",
            directory.display(),
            bytes.div_ceil(MIB),
            free / MIB
        ),
        _ => Ok(()),
    }
}

/// Checks that memory suffices to train a model of this shape.
///
/// # Errors
/// If it does not; the message gives the least memory needed and the free memory.
pub fn enough_to_train(shape: &Shape) -> Result<()> {
    // Weights, gradient and AdamW's two moments, in f32.
    let needed = u64::try_from(shape.block_parameters() * 16).unwrap_or(u64::MAX);
    match free_bytes() {
        Some(free) if free < needed => bail!(
            "not enough memory: training {:.0} million parameters needs at least {} MiB, and {} MiB are free for this process; reduce width, ffn or layers of [model.scratch]",
            shape.block_parameters() as f64 / 1e6,
            needed / MIB,
            free / MIB
        ),
        _ => Ok(()),
    }
}

/// Checks that memory suffices to train a pretrained model; `model` includes its adapters.
///
/// # Errors
/// If it does not; the message gives the least memory needed and the free memory.
pub(crate) fn enough_to_tune(directory: &Path, model: &ModelConfig, section: &ModelSection) -> Result<()> {
    let tuning = section.tuning;
    let all = u64::try_from(model.parameter_count()).unwrap_or(u64::MAX);
    let base = ModelConfig { lora: None, ..model.clone() };
    let frozen = match tuning {
        Tuning::Lora => u64::try_from(base.parameter_count()).unwrap_or(u64::MAX),
        Tuning::Full => 0,
    };
    let width = if section.dtype == Some(BaseDtype::Bf16) { 2 } else { 4 };
    // Frozen values in their dtype; in f32 of trained ones the value, the gradient and AdamW's two moments. Activations come on top.
    let needed = (frozen.saturating_mul(width)).saturating_add((all - frozen).saturating_mul(16));
    match free_bytes() {
        Some(free) if free < needed => bail!(
            "not enough memory: training {} with model.tuning = \"{}\" needs at least {} MiB, and {} MiB are free for this process; choose a smaller model{}",
            directory.display(),
            tuning.name(),
            needed / MIB,
            free / MIB,
            if tuning == Tuning::Full { ", or model.tuning = \"lora\"" } else { "" }
        ),
        _ => Ok(()),
    }
}

/// Returns an upper bound on the memory in bytes that this process can still allocate: the free memory of the system, and the
/// rest of the address space limit. `None` where neither is known.
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

/// Returns the limit on the address space of this process in bytes, if there is one.
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
