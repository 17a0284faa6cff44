//! The Python package index: the address of a file of a project (PEP 503).

use anyhow::{Context, Result};

use super::super::download::{self, without_user};

const DEFAULT: &str = "https://pypi.org/simple";
/// Size limit of a project's page in bytes.
const LARGEST: u64 = 32 << 20;

/// Finds a file of a project in an index, by default PyPI.
///
/// # Errors
/// If the index cannot be reached or does not have the file.
pub(super) fn find(index: Option<&str>, project: &str, file: &str) -> Result<String> {
    let index = index.filter(|index| !index.is_empty()).unwrap_or(DEFAULT);
    let page = format!("{}/{project}/", index.trim_end_matches('/'));
    let text = String::from_utf8_lossy(&download::to_memory(&page, LARGEST)?).into_owned();
    link(&text, file).map(|link| resolve(&page, &link)).with_context(|| {
        format!("{} has no {file}; name another index with --index, or pass --from FILE", without_user(&page))
    })
}

/// Returns the link of a page that leads to a file, without its fragment.
fn link(page: &str, file: &str) -> Option<String> {
    let links = page.split("href=").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c))?;
        let link = rest[1..].split(quote).next()?;
        Some(link.split('#').next()?.replace("&amp;", "&"))
    });
    links
        .into_iter()
        .find(|link| link.split('?').next().and_then(|path| path.rsplit('/').next()) == Some(file))
}

/// Resolves a link of a page (RFC 3986, without `.` and queries).
fn resolve(page: &str, link: &str) -> String {
    if link.contains("://") {
        return link.to_owned();
    }
    let (scheme, rest) = page.split_once("://").unwrap_or(("https", page));
    if let Some(rest) = link.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(link) = link.strip_prefix('/') {
        return format!("{scheme}://{host}/{link}");
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("{scheme}://{host}/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_among_the_links_of_a_page() {
        let page = r#"<a href="../../files/a-1.0.tar.gz#sha256=00">a</a> <a data-x='1' href='../../files/a-1.0.whl?x=1&amp;y=2#sha256=11'>"#;
        assert_eq!(link(page, "a-1.0.whl").as_deref(), Some("../../files/a-1.0.whl?x=1&y=2"));
        assert_eq!(link(page, "b-1.0.whl"), None);
        assert_eq!(link("href=", "a"), None);
    }

    #[test]
    fn links_are_absolute_or_relative_to_the_page() {
        let page = "https://user:pass@example.org/simple/a/";
        assert_eq!(resolve(page, "http://other.org/x"), "http://other.org/x");
        assert_eq!(resolve(page, "//other.org/x"), "https://other.org/x");
        assert_eq!(resolve(page, "/x/y"), "https://user:pass@example.org/x/y");
        assert_eq!(resolve(page, "../../x/y"), "https://user:pass@example.org/x/y");
        assert_eq!(resolve(page, "x"), "https://user:pass@example.org/simple/a/x");
        assert_eq!(without_user(page), "https://example.org/simple/a/");
    }
}
