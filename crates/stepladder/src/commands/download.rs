//! HTTPS, archives and checksums, for `data get` and `model get`.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use sha2::{Digest, Sha256};
use stepladder_train::{Reporter, Silent, StatusLine};
use ureq::tls::{RootCerts, TlsConfig};

use crate::stderr::note;

/// Fetches an address into memory, at most `limit` bytes.
///
/// # Errors
/// The address, the cause and the remedy.
pub(super) fn to_memory(url: &str, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    to(url, limit, &mut bytes, &Silent)?;
    Ok(bytes)
}

/// Writer that reports what was written to it.
struct Counted<'a, W> {
    target: &'a mut W,
    written: u64,
    total: u64,
    status: Option<Box<dyn StatusLine + 'a>>,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.target.write(bytes)?;
        self.written += count as u64;
        if let Some(status) = &self.status {
            let megabytes = |bytes: u64| bytes as f64 / 1e6;
            status.at(
                self.written,
                &format!("{:.0} of {:.0} MB", megabytes(self.written), megabytes(self.total)),
            );
        }
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.target.flush()
    }
}

/// Fetches an address into a writer. Reports progress if the server says how much there is.
///
/// # Errors
/// As [`to_memory`].
pub(super) fn to(url: &str, limit: u64, target: &mut impl Write, reporter: &dyn Reporter) -> Result<()> {
    let shown = without_user(url);
    note!("fetching {shown}");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_global(Some(Duration::from_secs(900)))
        .build()
        .into();
    let mut fetch = || -> Result<()> {
        let mut response = agent.get(url).call()?;
        let expected = response.body().content_length();
        let status = expected.map(|total| reporter.begin("fetch", total));
        let mut target =
            Counted { target: &mut *target, written: 0, total: expected.unwrap_or_default(), status };
        let mut body = response.body_mut().with_config().limit(limit).reader();
        let copied = std::io::copy(&mut body, &mut target)?;
        if let Some(expected) = expected.filter(|expected| *expected != copied) {
            bail!("it ended after {copied} of {expected} bytes");
        }
        Ok(())
    };
    fetch().map_err(|error| {
        anyhow!("cannot fetch {shown}: {error}; fetch it elsewhere and pass --from FILE, or try again")
    })
}

/// Returns an address without user and password, for messages.
pub(super) fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}

/// Compares with a published checksum.
///
/// # Errors
/// Both, if they differ.
pub(super) fn expect(what: &str, found: &str, published: &str) -> Result<()> {
    if found != published {
        bail!("{what} is not the published one: its SHA-256 is {found}, not {published}");
    }
    Ok(())
}

/// Computes the SHA-256 of everything that a reader yields.
///
/// # Errors
/// Those of the reader.
pub(super) fn sha256(mut reader: impl Read) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => hash.update(&buffer[..count]),
        }
    }
}
