//! Installation of libtorch from the Python package index into the cache.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::{Kind, VERSION, VERSION_HEADER};
use crate::cache::Entry;
use crate::pip;
use crate::settings::Settings;
use crate::stage::now;

/// The wheel's `libtorch_cpu.so` links these even where no GPU is used, and finds them in its own folder.
const CUDA_RUNTIME: [&str; 2] = ["nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"];
const NEEDS_CUDA_RUNTIME: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

const LIBRARY: &str = if cfg!(target_os = "macos") {
    "lib/libtorch_cpu.dylib"
} else if cfg!(windows) {
    "lib/torch_cpu.dll"
} else {
    "lib/libtorch_cpu.so"
};

const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Returns the libtorch in the cache; installs it if it is absent or incomplete.
pub(super) fn cached(settings: &Settings, kind: Kind) -> Result<PathBuf> {
    let name = name(kind);
    let (library, header) = (format!("site/torch/{LIBRARY}"), format!("site/torch/{VERSION_HEADER}"));
    let entry =
        Entry { root: &settings.cache, name: &name, what: "libtorch", essential: &[&library, &header] };
    let path = entry.prepare(|partial| install(&settings.python, kind, partial)).with_context(|| {
        format!("libtorch {VERSION} could not be installed into {}", settings.cache.display())
    })?;
    Ok(path.join("site/torch"))
}

/// Returns the cache variant of a libtorch, if it is in the cache.
pub(super) fn kind_of(settings: &Settings, home: &Path) -> Option<Kind> {
    [Kind::Cpu, Kind::Cuda].into_iter().find(|kind| home.starts_with(settings.cache.join(name(*kind))))
}

fn name(kind: Kind) -> String {
    match kind {
        Kind::Cpu => format!("libtorch-{VERSION}"),
        Kind::Cuda => format!("libtorch-{VERSION}-cuda"),
    }
}

fn install(python: &str, kind: Kind, partial: &Path) -> Result<()> {
    let size = match kind {
        Kind::Cuda => "several GB",
        Kind::Cpu if NEEDS_CUDA_RUNTIME => "0.5 GB, unpacked 1.2 GB",
        Kind::Cpu => "0.2 GB",
    };
    eprintln!("    downloading libtorch {VERSION} ({size}), once for all clones");
    let instead = format!("install torch {VERSION} yourself and set LIBTORCH to its directory");
    let installer = pip::installer(python, partial, &instead)?;
    let (scratch, site) = (partial.join("tmp"), partial.join("site"));
    fs::create_dir(&scratch)?;
    let mut command = pip::install(&installer, &site, &scratch);
    command.arg(format!("torch=={VERSION}"));
    if kind == Kind::Cpu {
        command.arg("--no-deps");
        if NEEDS_CUDA_RUNTIME {
            command.args(CUDA_RUNTIME);
        }
    }
    let status = watch(&mut command, partial)?;
    if !status.success() {
        bail!(
            "`{} install` failed ({status}), for the reason above; solve it and run the same command again, \
             or {instead}",
            installer.join(" ")
        );
    }
    for directory in [scratch, partial.join("venv")] {
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
    }
    super::check(&site.join("torch"))?;
    loads(python, &site.join("torch"))
}

/// Waits for the installer. On a terminal the installer draws its own bar; elsewhere this reports the installed size from time to
/// time.
fn watch(command: &mut Command, directory: &Path) -> Result<ExitStatus> {
    let terminal = std::io::stderr().is_terminal();
    let program = command.get_program().display().to_string();
    if !terminal {
        command.stdout(Stdio::null());
    }
    let started = now();
    let mut child = command.spawn().with_context(|| format!("cannot run `{program}`"))?;
    let mut next_report = REPORT_EVERY;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(50));
        if !terminal && started.elapsed() > next_report {
            let megabytes = size_of(directory) / 1_000_000;
            eprintln!("    {megabytes} MB on disk after {} s", started.elapsed().as_secs());
            next_report += REPORT_EVERY;
        }
    }
}

fn size_of(directory: &Path) -> u64 {
    // Files appear and disappear while the installer works: unreadable ones count as empty.
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size_of(&entry.path()),
            _ => entry.metadata().map_or(0, |data| data.len()),
        })
        .sum()
}

/// Checks that the library loads with everything that it links. Without a Python to load it (uv brings its own), the presence of
/// the file suffices.
pub(super) fn loads(python: &str, home: &Path) -> Result<()> {
    let library = home.join(LIBRARY);
    let code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])";
    let mut command = Command::new(python);
    command.args(["-c", code]).arg(&library).stdin(Stdio::null());
    let Ok(output) = command.output() else { return Ok(()) };
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let reason = text.lines().last().unwrap_or("the loader gave no reason");
        bail!("{} cannot be loaded: {reason}", library.display());
    }
    Ok(())
}
