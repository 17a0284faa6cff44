//! `data get`: official sets that this program fetches itself.

use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use fs_err as fs;
use sha2::{Digest, Sha256};
use stepladder_algo::note;
use stepladder_scienceworld::Jar;
use stepladder_scienceworld::jar::{JAR, Release, TYPES, release};
use ureq::tls::{RootCerts, TlsConfig};
use zip::ZipArchive;

use super::{Usage, say, scienceworld};
use stepladder_train::output::Output;

/// No wheel is nearly as large.
const LARGEST: u64 = 64 << 20;

pub(super) fn run(name: &str, version: Option<&str>, from: Option<&Path>, data: Option<&Path>) -> Result<()> {
    if name != scienceworld::ID {
        return Err(Usage(format!(
            "`{name}` is not fetched by this program, only scienceworld is; `stepladder data status` says where each set comes from"
        ))
        .into());
    }
    let release = release(scienceworld::known(version)?).context("no such version")?;
    let root = data
        .ok_or_else(|| Usage("say where the data go: set STEPLADDER_DATA or pass --data DIR".to_owned()))?;
    let target = Jar::below(root, release.version);
    let place = target.directory().display();
    if whole(&target, release) {
        say(format_args!("scienceworld {} is there and whole: {place}", release.version));
        return Ok(());
    }
    let wheel = match from {
        Some(file) => fs::read(file)?,
        None => download(release.url)?,
    };
    let source = from.map_or_else(|| release.url.to_owned(), |file| file.display().to_string());
    install(&wheel, release, &target).with_context(|| source)?;
    say(format_args!("scienceworld {} (Apache-2.0) in {place}", release.version));
    Ok(())
}

fn download(url: &str) -> Result<Vec<u8>> {
    note!("fetching {url}");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_global(Some(Duration::from_secs(900)))
        .build()
        .into();
    let fetch = || agent.get(url).call()?.body_mut().with_config().limit(LARGEST).read_to_vec();
    fetch().map_err(|error| {
        anyhow!("cannot fetch {url}: {error}; fetch it elsewhere and pass --from FILE, or try again")
    })
}

/// Whether both files are there as they should be.
fn whole(target: &Jar, release: &Release) -> bool {
    let is = |path, expected: &str| fs::read(path).is_ok_and(|bytes| sha256(&bytes) == expected);
    is(target.types(), release.types_sha256) && is(target.file(), release.jar_sha256)
}

/// Checks a wheel, takes the two files out of it, and puts them where they belong, each under its name only when it is
/// complete. Other files there stay.
fn install(wheel: &[u8], release: &Release, target: &Jar) -> Result<()> {
    expect("the wheel", wheel, release.wheel_sha256)?;
    let mut archive = ZipArchive::new(Cursor::new(wheel)).context("the wheel is no zip archive")?;
    let mut take = |name: &str, sha256: &str| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let inside = format!("scienceworld/{name}");
        archive
            .by_name(&inside)
            .with_context(|| format!("the wheel holds no {inside}"))?
            .take(LARGEST)
            .read_to_end(&mut bytes)
            .with_context(|| format!("{inside} in the wheel is damaged"))?;
        expect(&inside, &bytes, sha256)?;
        Ok(bytes)
    };
    let files = [
        (target.types(), take(TYPES, release.types_sha256)?),
        // The jar last: where it is, everything is.
        (target.file(), take(JAR, release.jar_sha256)?),
    ];
    fs::create_dir_all(target.directory())?;
    for (path, bytes) in files {
        let mut file = Output::create(&path)?;
        file.write_all(&bytes)?;
        file.finish()?;
    }
    Ok(())
}

fn expect(what: &str, bytes: &[u8], expected: &str) -> Result<()> {
    let found = sha256(bytes);
    if found != expected {
        bail!("{what} is not the published one: its SHA-256 is {found}, not {expected}");
    }
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use zip::write::SimpleFileOptions;

    use super::*;

    fn wheel(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            archive.start_file(format!("scienceworld/{name}"), SimpleFileOptions::default()).unwrap();
            archive.write_all(content.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn of(wheel: &[u8]) -> Release {
        let leak = |bytes: &[u8]| -> &'static str { sha256(bytes).leak() };
        Release {
            version: "1.2.3",
            url: "",
            wheel_sha256: leak(wheel),
            jar_sha256: leak(b"jar"),
            types_sha256: leak(b"types"),
        }
    }

    #[test]
    fn a_wheel_is_unpacked_and_what_lies_beside_stays() {
        let root = tempfile::tempdir().unwrap();
        let target = Jar::below(root.path(), "1.2.3");
        let wheel = wheel(&[(JAR, "jar"), (TYPES, "types"), ("scienceworld.py", "")]);
        let release = of(&wheel);
        assert!(!whole(&target, &release));
        fs::create_dir_all(target.directory()).unwrap();
        fs::write(target.directory().join("gold.jsonl"), "kept").unwrap();
        fs::write(target.file(), "broken").unwrap();
        assert!(!whole(&target, &release));
        install(&wheel, &release, &target).unwrap();
        assert!(whole(&target, &release));
        let mut names: Vec<_> =
            fs::read_dir(target.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["gold.jsonl", TYPES, JAR]);
    }

    #[test]
    fn wrong_wheels_are_refused_and_leave_nothing() {
        let root = tempfile::tempdir().unwrap();
        let target = Jar::below(root.path(), "1.2.3");
        let good = wheel(&[(JAR, "jar"), (TYPES, "types")]);
        let refused = |bytes: &[u8], release: &Release| {
            let error = format!("{:#}", install(bytes, release, &target).unwrap_err());
            assert!(!target.directory().exists());
            error
        };
        let error = refused(&good[1..], &of(&good));
        assert!(error.starts_with("the wheel is not the published one: its SHA-256 is "), "{error}");
        assert!(refused(b"no zip", &of(b"no zip")).starts_with("the wheel is no zip archive"));
        let lacking = wheel(&[(TYPES, "types")]);
        assert!(
            refused(&lacking, &of(&lacking)).contains("the wheel holds no scienceworld/scienceworld.jar")
        );
        let other = wheel(&[(JAR, "another"), (TYPES, "types")]);
        assert!(
            refused(&other, &of(&other)).starts_with("scienceworld/scienceworld.jar is not the published")
        );
    }
}
