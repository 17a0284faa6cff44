//! Search for Java, and the private directory that the JVMs run in.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use fs_err as fs;
use tempfile::TempDir;

use crate::failure::Failure;
use crate::jar::{JAR, Jar, TYPES};

/// Compiled classes of the bridge (`bridge/Bridge.java`).
const CLASSES: [(&str, &[u8]); 3] = [
    ("Bridge.class", include_bytes!("../bridge/classes/Bridge.class")),
    ("Silence.class", include_bytes!("../bridge/classes/Silence.class")),
    ("World.class", include_bytes!("../bridge/classes/World.class")),
];

/// Oldest supported Java. Simulator and bridge are compiled for it, and it has every option in `FLAGS`.
pub const OLDEST_JAVA: u32 = 8;

/// Prepared directory and options for starting JVMs.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    java: PathBuf,
    heap_mb: u32,
    directory: Arc<TempDir>,
}

impl Launch {
    /// Searches for Java and writes the bridge to a new private directory.
    pub(crate) fn prepare(jar: &Jar, java: Option<&Path>, heap_mb: u32) -> Result<Self, Failure> {
        jar.check()?;
        let java = java.map_or_else(|| find(&Surroundings::of_process()), |java| Ok(java.to_owned()))?;
        // The JVM runs in another working directory, so its paths must be absolute.
        let simulator = std::path::absolute(jar.file()).unwrap_or_else(|_| jar.file());
        let write = || -> io::Result<TempDir> {
            let directory = tempfile::Builder::new().prefix("stepladder-scienceworld-").tempdir()?;
            for (name, bytes) in CLASSES {
                fs::write(directory.path().join(name), bytes)?;
            }
            // The simulator reads this file from its working directory, and would otherwise write it there.
            fs::write(directory.path().join(TYPES), fs::read(jar.types())?)?;
            // A class path cannot contain a path with a path separator in it.
            link(&simulator, &directory.path().join(JAR))?;
            Ok(directory)
        };
        let directory = write()
            .map_err(|error| Failure::Start(format!("cannot prepare a directory for Java: {error}")))?;
        Ok(Self { java, heap_mb, directory: Arc::new(directory) })
    }

    /// Returns the path of the `java` program.
    pub(crate) fn java(&self) -> &Path {
        &self.java
    }

    /// Returns the command that starts a JVM with the bridge and piped streams.
    pub(crate) fn command(&self) -> Command {
        let directory = self.directory.path();
        let mut command = Command::new(&self.java);
        command
            .arg(format!("-Xmx{}m", self.heap_mb))
            .args(FLAGS)
            .arg("-cp")
            .arg(format!(".{}{JAR}", if cfg!(windows) { ";" } else { ":" }))
            .arg("Bridge")
            .args(
                CLASSES
                    .map(|(name, _)| name)
                    .into_iter()
                    .chain([TYPES, JAR])
                    .map(|name| directory.join(name)),
            )
            .arg(directory)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // These variables could change the options above, and with them the episodes.
        for name in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"] {
            command.env_remove(name);
        }
        // Ctrl-C in the terminal must reach this program only. The JVMs end with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }
}

/// Links a file to a second path; copies it if links are not supported.
fn link(file: &Path, name: &Path) -> io::Result<()> {
    #[cfg(unix)]
    let linked = fs_err::os::unix::fs::symlink(file, name);
    #[cfg(not(unix))]
    let linked = fs::hard_link(file, name);
    linked.or_else(|_| fs::copy(file, name).map(drop))
}

/// Options of the JVM. Equal identity hashes make the simulator deterministic: it iterates over sets that are
/// ordered by them. Out of memory ends the process, which is then replaced.
pub(crate) const FLAGS: [&str; 7] = [
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:hashCode=2",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+DisplayVMOutputToStderr",
    "-XX:-UsePerfData",
    "-Xshare:auto",
];

/// Environment variables that locate Java.
#[derive(Debug, Default)]
struct Surroundings {
    stepladder_java: Option<OsString>,
    java_home: Option<OsString>,
    path: Option<OsString>,
}

/// Returns an environment variable, `None` if it is empty. The only place where this crate reads the
/// environment.
#[expect(
    clippy::disallowed_methods,
    reason = "Java and the cache of gold paths are named by the environment"
)]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

impl Surroundings {
    fn of_process() -> Self {
        Self {
            stepladder_java: variable("STEPLADDER_JAVA"),
            java_home: variable("JAVA_HOME"),
            path: variable("PATH"),
        }
    }
}

fn find(surroundings: &Surroundings) -> Result<PathBuf, Failure> {
    let program = format!("java{}", std::env::consts::EXE_SUFFIX);
    let mut missing = Vec::new();
    if let Some(java) = &surroundings.stepladder_java {
        let java = PathBuf::from(java);
        // An explicit but wrong setting is reported, not ignored.
        return if java.is_file() {
            Ok(java)
        } else {
            Err(Failure::Start(format!(
                "STEPLADDER_JAVA names {}, which is not a file; set it to a `java` of version {OLDEST_JAVA} or newer, or unset it",
                java.display()
            )))
        };
    }
    missing.push("STEPLADDER_JAVA is not set".to_owned());
    match &surroundings.java_home {
        Some(home) => {
            let java = Path::new(home).join("bin").join(&program);
            if java.is_file() {
                return Ok(java);
            }
            missing.push(format!("JAVA_HOME has no {}", java.display()));
        }
        None => missing.push("JAVA_HOME is not set".to_owned()),
    }
    let on_path = surroundings.path.iter().flat_map(std::env::split_paths);
    if let Some(java) = on_path.map(|directory| directory.join(&program)).find(|java| java.is_file()) {
        return Ok(java);
    }
    missing.push("there is no `java` on PATH".to_owned());
    Err(Failure::Start(format!(
        "Java was not found: {}; install Java {OLDEST_JAVA} or newer (on Debian: apt install default-jre-headless) or set STEPLADDER_JAVA",
        missing.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_is_looked_for_in_three_places_and_all_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let nothing = find(&Surroundings::default()).unwrap_err().to_string();
        assert_eq!(
            nothing,
            "Java was not found: STEPLADDER_JAVA is not set, JAVA_HOME is not set, there is no `java` on PATH; install Java 8 or newer (on Debian: apt install default-jre-headless) or set STEPLADDER_JAVA"
        );
        let with_home = || Surroundings { java_home: Some(directory.path().into()), ..Default::default() };
        assert!(find(&with_home()).unwrap_err().to_string().contains("JAVA_HOME has no "));
        let java = bin.join(format!("java{}", std::env::consts::EXE_SUFFIX));
        fs::write(&java, "").unwrap();
        assert_eq!(find(&with_home()).unwrap(), java);
        let on_path = Surroundings { path: Some(bin.clone().into()), ..Default::default() };
        assert_eq!(find(&on_path).unwrap(), java);
        let named = Surroundings { stepladder_java: Some(bin.into()), ..with_home() };
        assert!(find(&named).unwrap_err().to_string().contains("which is not a file"));
    }
}
