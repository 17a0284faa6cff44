//! Installing libtorch from the Python package index into the cache, without its Python dependencies.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use super::VERSION;
use crate::cache::Entry;
use crate::settings::Settings;

/// What `libtorch_cpu.so` of the Linux x86-64 wheel links even where no GPU is used.
const CUDA_LIBRARIES: [&str; 2] = ["nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"];

/// Rough size of the downloads in megabytes, for the progress lines.
const DOWNLOAD_MB: u64 = if cfg!(all(target_os = "linux", target_arch = "x86_64")) { 545 } else { 150 };

const LIBRARY: &str =
    if cfg!(target_os = "macos") { "site/torch/lib/libtorch_cpu.dylib" } else { "site/torch/lib/libtorch_cpu.so" };

/// The libtorch in the cache, installed if it is not there whole.
pub(super) fn cached(settings: &Settings) -> Result<PathBuf> {
    let name = format!("libtorch-{VERSION}");
    let entry = Entry {
        root: &settings.cache,
        name: &name,
        what: "libtorch",
        essential: &[LIBRARY, "site/torch/include/torch/headeronly/version.h"],
    };
    let path = entry
        .prepare(|partial| install(&settings.python, partial))
        .with_context(|| format!("libtorch {VERSION} could not be installed into {}", settings.cache.display()))?;
    Ok(path.join("site/torch"))
}

fn requirements() -> Vec<String> {
    let mut all = vec![format!("torch=={VERSION}")];
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        all.extend(CUDA_LIBRARIES.map(str::to_owned));
    }
    all
}

fn install(python: &str, partial: &Path) -> Result<()> {
    eprintln!("  downloading libtorch {VERSION} (about {DOWNLOAD_MB} MB, once; all clones share it)");
    let installer = installer(python, partial)?;
    // pip unpacks in TMPDIR first and then moves: on the same file system that costs nothing.
    let scratch = partial.join("tmp");
    fs::create_dir(&scratch)?;
    let site = partial.join("site");
    let mut command = Command::new(&installer[0]);
    command.args(&installer[1..]).args(["install", "--no-deps", "--target"]).arg(&site).args(requirements());
    command.env("TMPDIR", &scratch).env("PIP_USER", "0").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    command.stdin(Stdio::null());
    let status = watch(command, partial)?;
    if !status.success() {
        bail!(
            "`{} install` failed ({status}): see the lines above; with no network, install torch {VERSION} yourself and set LIBTORCH",
            installer.join(" ")
        );
    }
    fs::remove_dir_all(&scratch)?;
    let _ = fs::remove_dir_all(partial.join("venv"));
    super::check(&site.join("torch"))?;
    loads(python, &site.join("torch"))
}

/// A program that understands `install --target`: the pip of `python`, the one of a new virtual environment, or uv.
fn installer(python: &str, partial: &Path) -> Result<Vec<String>> {
    let works = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if works(python, &["-m", "pip", "--version"]) {
        return Ok(words(&[python, "-m", "pip"]));
    }
    let venv = partial.join("venv").display().to_string();
    if works(python, &["-m", "venv", &venv]) {
        return Ok(words(&[&format!("{venv}/bin/python"), "-m", "pip"]));
    }
    if works("uv", &["--version"]) {
        return Ok(words(&["uv", "pip"]));
    }
    bail!(
        "no pip: install Python 3 with pip (Debian, Ubuntu: `apt-get install python3-pip`) or uv, or install torch {VERSION} yourself and set LIBTORCH"
    )
}

/// Waits for the installer; on a terminal it draws its own bar, elsewhere a line now and then says how far it is.
fn watch(mut command: Command, directory: &Path) -> Result<ExitStatus> {
    let terminal = std::io::stderr().is_terminal();
    let started = Instant::now();
    if !terminal {
        command.stdout(Stdio::null());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child: Child = command.spawn().with_context(|| format!("cannot run `{program}`"))?;
    let mut reported = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(100));
        if !terminal && reported.elapsed() > Duration::from_secs(10) {
            reported = Instant::now();
            let megabytes = size(directory) / 1_000_000;
            eprintln!("  {:3.0} s: {megabytes} MB on disk", started.elapsed().as_secs_f64());
        }
    }
}

fn size(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size(&entry.path()),
            _ => entry.metadata().map_or(0, |data| data.len()),
        })
        .sum()
}

/// Whether the library can really be loaded, with everything it links.
pub(super) fn loads(python: &str, home: &Path) -> Result<()> {
    let library = home.join("lib").join(if cfg!(target_os = "macos") { "libtorch_cpu.dylib" } else { "libtorch_cpu.so" });
    let code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])";
    let output = Command::new(python).args(["-c", code]).arg(&library).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{} cannot be loaded: {}", library.display(), text.lines().last().unwrap_or("no reason given"));
    }
    Ok(())
}
