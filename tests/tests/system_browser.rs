//! The system's browser is really opened: a program registered as the handler for http is given
//! the link.

use keyfob_tests::{Scene, Visit};

#[tokio::test]
async fn the_registered_handler_gets_the_link_and_signs_in() {
    let there = std::process::Command::new("xdg-open").arg("--version").output();
    assert!(there.is_ok(), "xdg-open is missing: install xdg-utils");
    let mut scene = Scene::with(|s| s.serve = false).await;
    let user = scene.keyfob.user_home();
    let inner = scene.keyfob.browser(Visit::Allow);
    let noted = scene.keyfob.scratch().join("environment");
    let handler = scene.keyfob.scratch().join("bin/noting");
    let script =
        format!("#!/bin/sh\nenv >'{}'\nexec '{}' \"$@\"\n", noted.display(), inner.display());
    std::fs::write(&handler, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&handler, mode).unwrap();
    scene.keyfob.set_env("OWN_SECRET", "a secret of its own");
    let applications = user.join(".local/share/applications");
    std::fs::create_dir_all(&applications).unwrap();
    std::fs::create_dir_all(user.join(".config")).unwrap();
    let entry = format!(
        "[Desktop Entry]\nType=Application\nName=Scripted\nExec={} %u\n\
         MimeType=x-scheme-handler/http;\n",
        handler.display()
    );
    std::fs::write(applications.join("scripted.desktop"), entry).unwrap();
    let default = "[Default Applications]\nx-scheme-handler/http=scripted.desktop\n";
    std::fs::write(user.join(".config/mimeapps.list"), default).unwrap();
    // Without a display xdg-open looks for text browsers only; nobody connects to this one.
    scene.keyfob.set_env("DISPLAY", ":99");
    scene.keyfob.serve_with(&["--idp-client-secret-env", "OWN_SECRET"]).await;
    scene.add("s", &[]).await.ok();
    scene.keyfob.run(&["connect", "--browser", "system", "s"]).await.ok();
    scene.echo("s", "through the system's browser").await;
    let links = scene.keyfob.links();
    let prefix = format!("http://127.0.0.1:{}/go/", scene.keyfob.port());
    assert_eq!(links.len(), 1, "{links:?}");
    assert!(links[0].starts_with(&prefix), "{links:?}");
    let inherited = std::fs::read_to_string(noted).unwrap();
    assert!(inherited.contains("DISPLAY=:99"), "the scan is blind: {inherited}");
    assert!(!inherited.contains("OWN_SECRET"), "{inherited}");
}
