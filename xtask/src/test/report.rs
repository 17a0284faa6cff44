//! Reports of test runners: the JUnit files of nextest and pytest, and the closing lines of libtest.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use roxmltree::{Document, Node};
use stepladder_testing::Skip;

/// One test that ran.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Test {
    /// The test binary, as nextest names it; the module, as pytest does.
    pub(super) binary: String,
    pub(super) name: String,
    pub(super) seconds: f64,
    pub(super) passed: bool,
    /// Reason why pytest skipped it; tests of nextest record theirs.
    pub(super) skipped: Option<String>,
}

/// Numbers of tests by result; a runner counts skipped tests as passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    /// Not run, by libtest's own count; no test of this repository is switched off.
    pub(super) ignored: usize,
}

impl Counts {
    pub(super) fn of(tests: &[Test]) -> Self {
        let passed = tests.iter().filter(|test| test.passed).count();
        Self { passed, failed: tests.len() - passed, ignored: 0 }
    }
}

/// Parses the tests of a JUnit file.
pub(super) fn junit(text: &str) -> Result<Vec<Test>> {
    let document = Document::parse(text).context("the report of the tests is not XML")?;
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    cases.map(|case| test(case).context("a test case of the report is incomplete")).collect()
}

fn test(case: Node<'_, '_>) -> Option<Test> {
    let failed = |node: Node<'_, '_>| node.has_tag_name("failure") || node.has_tag_name("error");
    Some(Test {
        binary: case.attribute("classname")?.to_owned(),
        name: case.attribute("name")?.to_owned(),
        seconds: case.attribute("time")?.parse().ok()?,
        passed: !case.children().any(failed),
        skipped: case
            .children()
            .find(|node| node.has_tag_name("skipped"))
            .map(|node| node.attribute("message").unwrap_or_default().to_owned()),
    })
}

/// Sums all lines `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
pub(super) fn libtest(text: &str) -> Counts {
    let mut sum = Counts::default();
    for line in text.lines() {
        let Some((_, fields)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            continue;
        };
        for field in fields.split("; ") {
            let Some((count, word)) = field.split_once(' ') else { continue };
            let Ok(count) = count.parse::<usize>() else { continue };
            match word {
                "passed" => sum.passed += count,
                "failed" => sum.failed += count,
                "ignored" => sum.ignored += count,
                _ => {}
            }
        }
    }
    sum
}

/// Returns the records of the tests that pytest skipped.
pub(super) fn skips(tests: &[Test]) -> Vec<Skip> {
    let record = |test: &Test| {
        let reason = test.skipped.clone()?;
        Some(Skip { binary: test.binary.clone(), test: test.name.clone(), reason })
    };
    tests.iter().filter_map(record).collect()
}

/// Counts skipped tests, without those that failed nevertheless. libtest's report names no tests.
pub(super) fn skipped(skips: &[Skip], tests: Option<&[Test]>) -> usize {
    let failed = |skip: &Skip| {
        let same = |test: &&Test| test.binary == skip.binary && test.name == skip.test;
        tests.and_then(|tests| tests.iter().find(same)).is_some_and(|test| !test.passed)
    };
    let names = skips.iter().filter(|skip| !failed(skip)).map(|skip| (&skip.binary, &skip.test));
    names.collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="1" errors="1" uuid="0" timestamp="t" time="2.5">
    <testsuite name="stepladder::kills" tests="3" disabled="0" errors="1" failures="1">
        <testcase name="a_pass" classname="stepladder::kills" timestamp="t" time="2.250"/>
        <testcase name="a &lt;failure&gt;" classname="stepladder::kills" timestamp="t" time="0.125">
            <failure type="test failure with exit code 101">panicked at <![CDATA[x]]></failure>
            <system-out>a testcase in the output: &lt;testcase/&gt;</system-out>
        </testcase>
        <testcase name="an_error" classname="stepladder::kills" timestamp="t" time="0.125">
            <error type="execution failure"/>
        </testcase>
    </testsuite>
</testsuites>"#;

    fn skip(test: &str, reason: &str) -> Skip {
        Skip { binary: "stepladder::kills".into(), test: test.into(), reason: reason.into() }
    }

    #[test]
    fn every_test_of_a_junit_file_is_read() {
        let tests = junit(JUNIT).unwrap();
        let read: Vec<_> = tests.iter().map(|test| (test.name.as_str(), test.seconds, test.passed)).collect();
        assert_eq!(read, [("a_pass", 2.25, true), ("a <failure>", 0.125, false), ("an_error", 0.125, false)]);
        assert_eq!(tests[0].binary, "stepladder::kills");
        assert_eq!(Counts::of(&tests), Counts { passed: 1, failed: 2, ignored: 0 });
    }

    #[test]
    fn a_test_that_pytest_skipped_is_recorded_with_the_reason() {
        let text = r#"<testsuites name="pytest tests"><testsuite name="pytest" tests="2" skipped="1">
            <testcase classname="tests.test_wheel" name="test_a[alfworld]" time="0.01"><skipped type="pytest.skip"
            message="no data root">x</skipped></testcase>
            <testcase classname="tests.test_wheel" name="test_b" time="0.02"/></testsuite></testsuites>"#;
        let tests = junit(text).unwrap();
        let expected = Skip {
            binary: "tests.test_wheel".into(),
            test: "test_a[alfworld]".into(),
            reason: "no data root".into(),
        };
        assert_eq!(skips(&tests), [expected]);
        assert_eq!(Counts::of(&tests).passed - skipped(&skips(&tests), Some(&tests)), 1);
    }

    #[test]
    fn a_damaged_junit_file_is_an_error() {
        assert!(junit("<testsuites>").unwrap_err().to_string().contains("not XML"));
        let error = junit(&JUNIT.replace("time=\"2.250\"", "time=\"?\"")).unwrap_err();
        assert!(error.to_string().contains("incomplete"), "{error}");
    }

    #[test]
    fn closing_lines_of_libtest_are_added_up() {
        let text = "running 3 tests\n...\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\n\
            test a_test_about_passed_tests ... ok\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.00s\n";
        assert_eq!(libtest(text), Counts { passed: 4, failed: 2, ignored: 1 });
        assert_eq!(libtest("error: could not compile"), Counts::default());
    }

    #[test]
    fn a_test_is_skipped_once_and_not_if_it_failed() {
        let skips = [skip("a_pass", "no data"), skip("a_pass", "no Java"), skip("an_error", "no data")];
        assert_eq!(skipped(&skips, Some(&junit(JUNIT).unwrap())), 1);
        assert_eq!(skipped(&skips, None), 2);
    }
}
