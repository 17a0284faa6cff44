//! Check of all links in Markdown files without a network: files and anchors exist, addresses are well-formed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use pulldown_cmark::{BrokenLink, Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::settings::Settings;
use crate::stage::capture;

/// Refuses broken links in the repository.
pub(crate) fn check(settings: &Settings) -> Result<()> {
    let files = files(&settings.workspace)?;
    let problems = problems(&settings.workspace, &files)?;
    if problems.is_empty() {
        return Ok(());
    }
    bail!("broken links:\n  {}", problems.join("\n  "))
}

/// Lists what git tracks or would track: a link to any other file is broken in the next clone.
fn files(root: &Path) -> Result<BTreeSet<String>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let text = capture(Command::new("git").current_dir(root).args(list))
        .context("cannot list the files that git tracks; is this a git repository?")?;
    let present = |name: &&str| !name.is_empty() && root.join(name).exists();
    Ok(text.split('\0').filter(present).map(str::to_owned).collect())
}

fn problems(root: &Path, files: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    for file in files.iter().filter(|file| is_page(file)) {
        pages.insert(file.as_str(), Page::read(&fs::read_to_string(root.join(file))?));
    }
    let mut found = Vec::new();
    for (file, page) in &pages {
        for (line, target) in &page.links {
            if let Err(reason) = follow(file, target, files, &pages) {
                found.push(format!("{file}:{line}: {target}: {reason}"));
            }
        }
        found.extend(
            page.undefined.iter().map(|(line, name)| format!("{file}:{line}: [{name}] is not defined")),
        );
    }
    Ok(found)
}

fn is_page(file: &str) -> bool {
    file.ends_with(".md")
}

/// Links of a Markdown file.
#[derive(Debug, Default)]
struct Page {
    /// Lines and targets.
    links: Vec<(usize, String)>,
    /// Lines and names of references `[text][name]` that are defined nowhere.
    undefined: Vec<(usize, String)>,
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(text: &str) -> Self {
        let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
        let mut undefined = Vec::new();
        let mut note = |link: BrokenLink<'_>| {
            // A word in brackets without a definition is not a link: intervals and equations look like that.
            if link.link_type == LinkType::Reference {
                undefined.push((line_of(link.span.start), link.reference.to_string()));
            }
            None
        };
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let parser = Parser::new_with_broken_link_callback(text, Options::ENABLE_TABLES, Some(&mut note));
        for (event, span) in parser.into_offset_iter() {
            match event {
                Event::Start(
                    Tag::Link { dest_url, link_type, .. } | Tag::Image { dest_url, link_type, .. },
                ) if link_type != LinkType::Email => {
                    page.links.push((line_of(span.start), dest_url.to_string()));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(part) | Event::Code(part) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let name = anchor(&heading.take().unwrap_or_default());
                    let numbered = (1..).map(|number| format!("{name}-{number}"));
                    let mut names = std::iter::once(name.clone()).chain(numbered);
                    let free = names.find(|name| !page.anchors.contains(name));
                    page.anchors.extend(free);
                }
                _ => {}
            }
        }
        page.undefined = undefined;
        page
    }
}

/// Returns the anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

/// Checks that the target of a link exists.
fn follow(
    from: &str,
    target: &str,
    files: &BTreeSet<String>,
    pages: &BTreeMap<&str, Page>,
) -> Result<(), &'static str> {
    if let Some(rest) = target.strip_prefix("https://").or_else(|| target.strip_prefix("http://")) {
        return address(rest);
    }
    if target.split('/').next().is_some_and(|first| first.contains(':')) {
        return Err("only http, https and files of the repository may be linked");
    }
    let (path, fragment) = target.split_once('#').map_or((target, None), |(path, rest)| (path, Some(rest)));
    let file = match path {
        "" => from.to_owned(),
        path => resolve(from, &decoded(path)).ok_or("leads out of the repository")?,
    };
    let folder = format!("{file}/");
    let is_folder =
        file.is_empty() || files.range(folder.clone()..).next().is_some_and(|next| next.starts_with(&folder));
    if !files.contains(&file) && !is_folder {
        return Err("there is no such file");
    }
    match (fragment, pages.get(file.as_str())) {
        (None, _) => Ok(()),
        (Some(fragment), Some(page)) if page.anchors.contains(&decoded(fragment)) => Ok(()),
        (Some(_), Some(_)) => Err("there is no such heading"),
        (Some(_), None) => Err("only headings of Markdown files have anchors"),
    }
}

/// Resolves a path relative to the folder of `from` to a path relative to the root.
fn resolve(from: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Decodes percent signs; returns the text unchanged where they are malformed.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.first_chunk::<2>().filter(|_| *first == b'%');
        let code =
            code.and_then(|code| std::str::from_utf8(code).ok()).map(|code| u8::from_str_radix(code, 16));
        match code {
            Some(Ok(byte)) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Checks that an address, without its scheme, is well-formed.
fn address(rest: &str) -> Result<(), &'static str> {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    if !name.split('.').all(label) || port.parse::<u16>().is_err() {
        return Err("is no address");
    }
    if rest.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c)) {
        return Err("holds a character that must be percent-encoded");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the errors in the page `docs/page.md` of a small repository.
    fn complaints(text: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("docs/reference")).unwrap();
        fs::write(
            root.join("README.md"),
            "# Title\n## What works, and why\n## Twice\n## Twice\n## `--set` [a](README.md)\n",
        )
        .unwrap();
        fs::write(root.join("docs/plot 1.svg"), "").unwrap();
        fs::write(root.join("docs/reference/cli.md"), "").unwrap();
        fs::write(root.join("docs/page.md"), text).unwrap();
        let files = ["README.md", "docs/plot 1.svg", "docs/reference/cli.md", "docs/page.md"];
        problems(root, &files.map(str::to_owned).into()).unwrap()
    }

    #[test]
    fn good_links_pass() {
        let text = "# Own\n[a](../README.md) [b](../README.md#what-works-and-why) [c](#own) [d](plot%201.svg)\n\
            ![e](<plot 1.svg>) [f](../README.md#twice-1) [g](reference) [h](reference/) [i](..) [j](./reference/cli.md)\n\
            [k](https://example.org/a?b=c#d) <https://example.org:8080> <someone@example.org> [l](../README.md#--set-a)\n\
            [m][ref] `[code](nowhere.md)` 97.5 % [94.3, 98.9] x[t]\n\n    [n](nowhere.md)\n\n[ref]: page.md\n";
        assert_eq!(complaints(text), Vec::<String>::new());
    }

    #[test]
    fn every_broken_link_is_named_with_its_line() {
        let text = "[a](nowhere.md)\n\n| [b](../README.md#absent) |\n|---|\n| ![c](../../outside.svg) |\n\n[d](/README.md)\n\
            [e](#absent)\n[f](file:///etc)\n[g](plot%201.svg#L1)\n[h](https://exa_mple.org)\n[i](<https://example.org/a b>)\n\
            [j](readme.md)\n[k][undefined]\n[l](docs)\n[m](https://)\n";
        assert_eq!(
            complaints(text),
            [
                "docs/page.md:1: nowhere.md: there is no such file",
                "docs/page.md:3: ../README.md#absent: there is no such heading",
                "docs/page.md:5: ../../outside.svg: leads out of the repository",
                "docs/page.md:7: /README.md: leads out of the repository",
                "docs/page.md:8: #absent: there is no such heading",
                "docs/page.md:9: file:///etc: only http, https and files of the repository may be linked",
                "docs/page.md:10: plot%201.svg#L1: only headings of Markdown files have anchors",
                "docs/page.md:11: https://exa_mple.org: is no address",
                "docs/page.md:12: https://example.org/a b: holds a character that must be percent-encoded",
                "docs/page.md:13: readme.md: there is no such file",
                "docs/page.md:15: docs: there is no such file",
                "docs/page.md:16: https://: is no address",
                "docs/page.md:14: [undefined] is not defined",
            ]
        );
    }

    #[test]
    fn what_git_ignores_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        capture(Command::new("git").current_dir(root).args(["init", "--quiet"])).unwrap();
        for (name, text) in [(".gitignore", "/runs\n"), ("a b.md", ""), ("ü.md", "")] {
            fs::write(root.join(name), text).unwrap();
        }
        fs::create_dir(root.join("runs")).unwrap();
        fs::write(root.join("runs/page.md"), "").unwrap();
        assert_eq!(files(root).unwrap(), [".gitignore", "a b.md", "ü.md"].map(str::to_owned).into());
    }
}
