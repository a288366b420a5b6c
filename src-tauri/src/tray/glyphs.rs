//! The tray glyphs, in the sizes that hosts ask for.

use tauri::image::Image;

use super::menu::Glyph;

/// 22, 24, 32 and 48 pixels.
pub(super) fn sizes(glyph: Glyph) -> [Image<'static>; 4] {
    match glyph {
        Glyph::Ok => [
            tauri::include_image!("../icons/tray-ok-22.png"),
            tauri::include_image!("../icons/tray-ok-24.png"),
            tauri::include_image!("../icons/tray-ok-32.png"),
            tauri::include_image!("../icons/tray-ok-48.png"),
        ],
        Glyph::Moving => [
            tauri::include_image!("../icons/tray-moving-22.png"),
            tauri::include_image!("../icons/tray-moving-24.png"),
            tauri::include_image!("../icons/tray-moving-32.png"),
            tauri::include_image!("../icons/tray-moving-48.png"),
        ],
        Glyph::Attention => [
            tauri::include_image!("../icons/tray-attention-22.png"),
            tauri::include_image!("../icons/tray-attention-24.png"),
            tauri::include_image!("../icons/tray-attention-32.png"),
            tauri::include_image!("../icons/tray-attention-48.png"),
        ],
        Glyph::Trouble => [
            tauri::include_image!("../icons/tray-trouble-22.png"),
            tauri::include_image!("../icons/tray-trouble-24.png"),
            tauri::include_image!("../icons/tray-trouble-32.png"),
            tauri::include_image!("../icons/tray-trouble-48.png"),
        ],
        Glyph::Idle => [
            tauri::include_image!("../icons/tray-idle-22.png"),
            tauri::include_image!("../icons/tray-idle-24.png"),
            tauri::include_image!("../icons/tray-idle-32.png"),
            tauri::include_image!("../icons/tray-idle-48.png"),
        ],
    }
}
