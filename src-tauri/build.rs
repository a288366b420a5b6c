//! Declares the page's commands, so that each needs its permission. The capability names them, and
//! is the one list: what it does not name does not exist.

const CAPABILITY: &str = "capabilities/main.json";

fn main() {
    println!("cargo:rerun-if-changed={CAPABILITY}");
    let text = std::fs::read_to_string(CAPABILITY).unwrap_or_default();
    let commands: Vec<&'static str> = text
        .lines()
        .filter_map(|line| line.trim().trim_end_matches(',').strip_prefix("\"allow-"))
        .map(|name| &*name.trim_end_matches('"').replace('-', "_").leak())
        .collect();
    let manifest = tauri_build::AppManifest::new().commands(Vec::leak(commands));
    let attributes = tauri_build::Attributes::new().app_manifest(manifest);
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo:warning={error:#}");
        std::process::exit(1);
    }
}
