//! Our client document as a release publishes it: the scripts of the release, against a host of our
//! own with TLS.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::path::{Path, PathBuf};
use std::process::Command;

use keyfob_tests::world::keyfob_binary;
use keyfob_tests::{Document, DocumentHost, Keyfob, Store};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the script of the release; gives what it wrote.
fn published(folder: &Path, url: &str) -> Vec<u8> {
    let output = Command::new(root().join("tests/run/publish-identity.sh"))
        .arg(folder)
        .arg(url)
        .env("KEYFOB_BIN", keyfob_binary())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let name = url.rsplit('/').next().unwrap();
    std::fs::read(folder.join(name)).unwrap()
}

#[tokio::test]
async fn what_the_release_publishes_passes_the_check_and_a_changed_byte_does_not() {
    let host = DocumentHost::start().await;
    let keyfob = Keyfob::new(Store::Memory);
    let url = host.url("/pages/client.json");
    let document = published(&keyfob.scratch().join("pages"), &url);
    host.put("/pages/client.json", Document::Bytes(document.clone()));
    keyfob.configure(&[
        ("ca_file", &host.ca_file().display().to_string()),
        ("client_metadata_url", &url),
    ]);
    keyfob.run(&["identity", "check"]).await.ok();

    let changed =
        String::from_utf8(document).unwrap().replace("localhost:15393", "localhost:15394");
    host.put("/pages/client.json", Document::Bytes(changed.into_bytes()));
    let refused = keyfob.run(&["identity", "check", "--json"]).await;
    assert_eq!(refused.code, Some(1), "{refused}");
    let problem: Value = serde_json::from_str(refused.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(problem["code"], "client-document", "{refused}");
}

#[tokio::test]
async fn an_address_that_cannot_be_a_client_id_is_not_published() {
    let folder = Keyfob::new(Store::Memory);
    for url in ["http://id.example.com/client.json", "https://id.example.com"] {
        let output = Command::new(root().join("tests/run/publish-identity.sh"))
            .arg(folder.scratch().join("pages"))
            .arg(url)
            .env("KEYFOB_BIN", keyfob_binary())
            .output()
            .unwrap();
        assert!(!output.status.success(), "{url} was published");
    }
}

#[tokio::test]
async fn the_document_in_the_repository_is_the_one_that_is_published() {
    let file = root().join("docs/client-document.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let url = kept["client_id"].as_str().unwrap();
    let keyfob = Keyfob::new(Store::Memory);
    let printed = keyfob.run(&["identity", "print", "--url", url]).await.ok().json();
    assert_eq!(kept, printed, "docs/client-document.json is not what keyfob prints");
}
