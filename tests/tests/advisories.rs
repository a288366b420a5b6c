//! What is known against a version in our lock files is found: by the script that `make lint` runs,
//! with a database and an npm registry of our own.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const ADVISORY: &str = r#"```toml
[advisory]
id = "RUSTSEC-2099-0001"
package = "oauth2"
date = "2024-01-01"
url = "https://advisory.invalid/"

[versions]
patched = []
```

# It was made up

For this test.
"#;

const NO_ANSWER: &str = r#"{"message": "405 Method Not Allowed", "statusCode": 405}"#;
const NOTHING: &str = r#"{"auditReportVersion": 2, "vulnerabilities": {}}"#;
const FOUND: &str = r#"{"auditReportVersion": 2, "vulnerabilities":
    {"made-up": {"name": "made-up", "severity": "high", "range": "<=1.0.0"}}}"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::Builder::new().prefix("kf-").tempdir().unwrap());
        std::fs::create_dir_all(bench.databases()).unwrap();
        bench.registry_says(NO_ANSWER, NO_ANSWER);
        bench
    }

    fn databases(&self) -> PathBuf {
        self.0.path().join("databases")
    }

    /// What npm is told by its registry: of everything, and of what ships.
    fn registry_says(&self, of_all: &str, of_shipped: &str) {
        let npm = self.0.path().join("npm");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *--omit=dev*) echo '{of_shipped}' ;; *) echo '{of_all}' ;; \
             esac\n"
        );
        std::fs::write(&npm, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&npm, mode).unwrap();
    }

    /// Makes a database with one advisory, and has it fetched as a person would.
    fn fetch(&self) {
        let source = self.0.path().join("source");
        let place = source.join("crates/oauth2");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("RUSTSEC-2099-0001.md"), ADVISORY).unwrap();
        let identity = ["-c", "user.name=test", "-c", "user.email=test@test.invalid"];
        for arguments in
            [&["init", "-q", "-b", "main"][..], &["add", "-A"], &["commit", "-qm", "x"]]
        {
            let mut git = Command::new("git");
            assert!(
                git.args(identity).args(arguments).current_dir(&source).status().unwrap().success()
            );
        }
        let config = self.0.path().join("fetch.toml");
        let databases = self.databases();
        std::fs::write(&config, format!("[advisories]\ndb-path = {databases:?}\n")).unwrap();
        let output = Command::new("cargo")
            .arg("deny")
            .arg("--config")
            .arg(&config)
            .args(["fetch", "db"])
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", format!("url.file://{}.insteadOf", source.display()))
            .env("GIT_CONFIG_VALUE_0", "https://github.com/RustSec/advisory-db")
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn check(&self, config: &Path) -> (bool, String) {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new(root().join("tests/run/advisories.sh"))
            .arg(config)
            .env("KEYFOB_ADVISORY_DBS", self.databases())
            .env("PATH", format!("{}:{path}", self.0.path().display()))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }
}

#[test]
fn a_known_fault_of_a_crate_fails_until_it_is_named_with_a_reason() {
    let bench = Bench::new();
    let ours = root().join("deny.toml");
    let (passed, said) = bench.check(&ours);
    assert!(passed && said.contains("no copy of the advisory database"), "{said}");

    bench.fetch();
    let (passed, said) = bench.check(&ours);
    assert!(!passed && said.contains("RUSTSEC-2099-0001"), "{said}");

    let named = bench.0.path().join("deny.toml");
    let text = std::fs::read_to_string(&ours).unwrap();
    let entry = "ignore = [\n  { id = \"RUSTSEC-2099-0001\", reason = \"it was made up\" },\n";
    assert!(text.contains("ignore = [\n"));
    std::fs::write(&named, text.replacen("ignore = [\n", entry, 1)).unwrap();
    let (passed, said) = bench.check(&named);
    assert!(passed && said.contains("held against"), "{said}");
}

#[test]
fn a_registry_that_does_not_answer_has_found_nothing() {
    let bench = Bench::new();
    let check = || bench.check(&root().join("deny.toml"));
    let (passed, said) = check();
    assert!(passed && said.contains("the registry does not answer: 405"), "{said}");
    bench.registry_says("", "");
    let (passed, said) = check();
    assert!(passed && said.contains("the registry does not answer"), "{said}");
    bench.registry_says(NOTHING, NOTHING);
    let (passed, said) = check();
    assert!(passed && said.contains("./ui: 0 known"), "{said}");
    // What only builds the page is told.
    bench.registry_says(FOUND, NOTHING);
    let (passed, said) = check();
    assert!(passed && said.contains("./ui: 1 known\n  high: made-up <=1.0.0"), "{said}");
    bench.registry_says(FOUND, FOUND);
    let (passed, said) = check();
    assert!(!passed && said.contains("the app would have in it: high: made-up"), "{said}");
}
