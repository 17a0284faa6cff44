//! Location of the simulator, and verification of its files.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use stepladder_env::family::{Archive, ArchiveFile};

use crate::failure::Failure;

/// Tested wheels of the package `scienceworld` on PyPI; the first is the default.
pub static RELEASES: [Archive; 2] = [
    Archive {
        version: "1.2.3",
        url: "https://files.pythonhosted.org/packages/a8/2a/a95edc8f02830543d782aee506eaacf1344f918fb40fa475fe5898293f8c/scienceworld-1.2.3-py3-none-any.whl",
        sha256: "e9737b9d099bfaad90ef053ad6ac1d795e2063ed320efdfc0e9d9c8b5bebf419",
        place: "scienceworld/1.2.3",
        files: &[
            types("c8ad78fd41f79d9edd9669565990a58ec58f916f599de6c06765c2275a983e32"),
            // Written last, so that its presence means that the other file is present.
            jar("f4e1fdce0cdabe1bab7128a7e78ea820210d9db3c28d7272bcbbc3f3a1c5f0d7"),
        ],
    },
    Archive {
        version: "1.1.3",
        url: "https://files.pythonhosted.org/packages/66/99/1ff9371465e8da80ab7f5678d989ea348f82d2824ec73b34c1418377bf7d/scienceworld-1.1.3-py3-none-any.whl",
        sha256: "19a55d4e2f6fd7c030a444e901a6ad4db0b94636ea283b895caae88abb514a57",
        place: "scienceworld/1.1.3",
        files: &[
            types("c8ad78fd41f79d9edd9669565990a58ec58f916f599de6c06765c2275a983e32"),
            // Written last, so that its presence means that the other file is present.
            jar("2a83ba73718c50b2ed51f2819ddc3e564c7b3468a4999dd2d757c8bbb077b8ff"),
        ],
    },
];

/// File name of the simulator in `<data root>/scienceworld/<version>`.
pub const JAR: &str = "scienceworld.jar";

/// File name of the simulator's list of object types, in the same directory.
pub const TYPES: &str = "object_type_ids.tsv";

const fn jar(sha256: &'static str) -> ArchiveFile {
    ArchiveFile { inside: "scienceworld/scienceworld.jar", name: JAR, sha256 }
}

const fn types(sha256: &'static str) -> ArchiveFile {
    ArchiveFile { inside: "scienceworld/object_type_ids.tsv", name: TYPES, sha256 }
}

/// Returns the release of a version.
pub fn release(version: &str) -> Option<&'static Archive> {
    RELEASES.iter().find(|release| release.version == version)
}

/// Simulator on disk: the jar and the list of object types in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jar {
    directory: PathBuf,
    version: String,
}

impl Jar {
    /// Returns the simulator of a version below a data root. Does not check that it exists.
    pub fn below(data_root: &Path, version: &str) -> Self {
        Self { directory: data_root.join("scienceworld").join(version), version: version.to_owned() }
    }

    /// Returns the version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the directory of the two files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the path of the jar.
    pub fn file(&self) -> PathBuf {
        self.directory.join(JAR)
    }

    /// Returns the path of the list of object types.
    pub fn types(&self) -> PathBuf {
        self.directory.join(TYPES)
    }

    /// Checks that both files exist and, for a known release, that they have the published checksums.
    ///
    /// # Errors
    /// [`Failure::Data`] with the command that downloads them.
    pub fn check(&self) -> Result<(), Failure> {
        let version = &self.version;
        let other = if *version == RELEASES[0].version {
            String::new()
        } else {
            format!(" --option version={version}")
        };
        let get = format!("`stepladder data get scienceworld{other}`");
        let release = release(version);
        for (path, published) in [
            (self.file(), release.and_then(|release| release.sha256_of(JAR))),
            (self.types(), release.and_then(|release| release.sha256_of(TYPES))),
        ] {
            if !path.is_file() {
                return Err(Failure::Data {
                    path,
                    reason: format!(
                        "the ScienceWorld simulator is not there: fetch it with {get} (8 MB), or name another data root with STEPLADDER_DATA or --data DIR"
                    ),
                });
            }
            let Some(published) = published else { continue };
            let found = match sha256(&path) {
                Ok(found) => found,
                Err(error) => {
                    return Err(Failure::Data { path, reason: format!("cannot be read: {error}") });
                }
            };
            if found != published {
                let reason = format!(
                    "damaged: its SHA-256 is {found}, that of ScienceWorld {version} is {published}; fetch it again with {get}"
                );
                return Err(Failure::Data { path, reason });
            }
        }
        Ok(())
    }
}

/// Returns the SHA-256 of a file. Cached until the file's size or modification time changes.
fn sha256(path: &Path) -> io::Result<String> {
    type Seen = HashMap<PathBuf, (u64, SystemTime, String)>;
    static SEEN: Mutex<Option<Seen>> = Mutex::new(None);
    let about = fs_err::metadata(path)?;
    let (size, changed) = (about.len(), about.modified()?);
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.get_or_insert_default();
    if let Some((_, _, known)) = seen.get(path).filter(|(len, time, _)| (*len, *time) == (size, changed)) {
        return Ok(known.clone());
    }
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.read_to_end(&mut bytes)?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    seen.insert(path.to_owned(), (size, changed, found.clone()));
    Ok(found)
}
