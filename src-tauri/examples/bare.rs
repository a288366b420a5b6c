//! A bare Tauri app with a tray icon and nothing else: what the desktop's libraries cost, for
//! `make bench` to hold the app beside.

#[cfg(target_os = "linux")]
fn main() -> tauri::Result<()> {
    use ksni::blocking::TrayMethods;

    struct Bare;

    impl ksni::Tray for Bare {
        fn id(&self) -> String {
            "dev.keyfob.bare".to_owned()
        }

        fn title(&self) -> String {
            "Bare".to_owned()
        }
    }

    let app = tauri::Builder::default().build(tauri::generate_context!())?;
    let tray = Bare.assume_sni_available(true).spawn();
    app.run(move |_, event| {
        let _ = &tray;
        if let tauri::RunEvent::ExitRequested { api, .. } = event {
            api.prevent_exit();
        }
    });
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
