//! Texts that nobody should take as they are.

use super::Dice;

/// A text that acts on a terminal, breaks a format, or is only very long.
pub(super) fn odd(dice: &mut Dice) -> String {
    let acting = [
        "\u{1b}]52;c;aGFybQ==\u{7}",
        "\u{1b}[2J\u{1b}[31mred",
        "\u{9b}31m\u{9d}0;title\u{9c}",
        "a\r\n\u{25cf} forged  Connected",
        "\u{202e}desrever\u{2066}isolated",
        "nul\u{0}byte",
        "\u{feff}mark",
        "<script>alert(1)</script>",
        "'; rm -rf ~; '",
        "$(id)`id`",
        "{url}",
        "../../../../etc/passwd",
        "%s%n%x",
        "",
        " ",
        "\u{1f600}\u{200d}\u{1f600}",
    ];
    let text = dice.pick(&acting);
    match dice.below(6) {
        0 => text.repeat(dice.pick(&[100, 3000, 40_000])),
        1 => format!("{}{text}", "a".repeat(dice.pick(&[300, 5000, 17_000, 500_000]))),
        _ => text.to_owned(),
    }
}

/// An address that nobody should be sent to.
pub(super) fn address(dice: &mut Dice, origin: &str, gateway: u16) -> String {
    let odd = odd(dice);
    dice.pick(&[
        "file:///etc/passwd".to_owned(),
        "javascript:alert(1)".to_owned(),
        "data:text/html,hello".to_owned(),
        "//127.0.0.1:1/authorize".to_owned(),
        "http://127.0.0.1:1/".to_owned(),
        "http://127.1:1/".to_owned(),
        "http://2130706433:1/".to_owned(),
        "http://[::ffff:127.0.0.1]:1/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://user:password@127.0.0.1:1/".to_owned(),
        "https://127.0.0.1:1/".to_owned(),
        "https://hostile.invalid/authorize".to_owned(),
        "http://hostile.invalid:99999/".to_owned(),
        format!("http://127.0.0.1:{gateway}/callback?code=stolen&state=guessed"),
        format!("http://127.0.0.1:{gateway}/"),
        format!("{origin}/authorize#fragment"),
        format!("{origin}/a?{}", "x=y&".repeat(20_000)),
        format!("{origin}/{odd}"),
        odd,
    ])
}

/// So many bytes of a gzip stream that unpacks to 158 times as much: one block with the fixed
/// codes (RFC 1951, section 3.2.6), a zero byte and then copies of it, 258 at a time.
pub(super) fn gzip_bomb(bytes: usize) -> Vec<u8> {
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let (mut pending, mut held) = (0_u32, 0_u32);
    let mut put = |bits: u32, count: u32, stream: &mut Vec<u8>| {
        pending |= bits << held;
        held += count;
        while held >= 8 {
            stream.push(u8::try_from(pending & 0xff).unwrap_or_default());
            pending >>= 8;
            held -= 8;
        }
    };
    // The last block, fixed codes; the literal 0 is 00110000, most significant bit first.
    put(0b011, 3, &mut stream);
    put(0b0000_1100, 8, &mut stream);
    while stream.len() < bytes {
        // Length 258 is the code 285: 11000101; distance 1 is the code 0.
        put(0b1010_0011, 8, &mut stream);
        put(0, 5, &mut stream);
    }
    stream
}
