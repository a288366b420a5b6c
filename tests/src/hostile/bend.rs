//! What turns an answer into one that nobody should give.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::wire::{FAULTS, Fault};
use super::{Dice, World, text};

/// Bends the answer, or what becomes of it on the wire. Tells in a few words what it did.
pub(super) fn apply(
    answer: &mut Answer,
    world: &World,
    dice: &mut Dice,
    fault: &mut Fault,
) -> String {
    match dice.below(10) {
        0 | 1 => {
            *fault = dice.pick(&FAULTS);
            format!("{fault:?}")
        }
        2 => status(answer, world, dice),
        3 => headers(answer, dice),
        4 if answer.header("www-authenticate").is_some() => challenge(answer, world, dice),
        4 | 5 if answer.header("location").is_some() => redirect(answer, world, dice),
        4 => body(answer, dice),
        _ if answer.json.is_some() => document(answer, world, dice),
        _ => body(answer, dice),
    }
}

fn status(answer: &mut Answer, world: &World, dice: &mut Dice) -> String {
    answer.status = dice.pick(&[
        100, 101, 200, 201, 202, 204, 206, 226, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403,
        404, 407, 410, 421, 429, 431, 451, 500, 502, 503, 504, 599, 999,
    ]);
    if (300..400).contains(&answer.status) {
        let to = text::address(dice, &world.origin, world.gateway);
        answer.headers.push(("location".to_owned(), line(&to)));
    }
    if dice.is_in(30) {
        let pause = ["999999999999999999999", "-1", "0", "Thu, 01 Jan 1970 00:00:00 GMT", "soon"];
        answer.headers.push(("retry-after".to_owned(), line(dice.pick(&pause))));
    }
    format!("status {}", answer.status)
}

fn headers(answer: &mut Answer, dice: &mut Dice) -> String {
    match dice.below(5) {
        0 => {
            let size = dice.pick(&[9_000, 70_000, 300_000]);
            answer.headers.push(("x-large".to_owned(), vec![b'a'; size]));
            format!("a header of {size} bytes")
        }
        1 => {
            let count = dice.pick(&[90, 200, 5000]);
            answer.headers.extend((0..count).map(|n| (format!("x-{n}"), b"y".to_vec())));
            format!("{count} headers")
        }
        2 => {
            answer.headers.push(("x-odd".to_owned(), dice.pick(&[vec![0xff; 40], vec![7, 27]])));
            "a header that is no text".to_owned()
        }
        3 => {
            let cookie = format!("session={}; Path=/; Domain=127.0.0.1", "c".repeat(6000));
            answer.headers.extend((0..20).map(|_| ("set-cookie".to_owned(), line(&cookie))));
            "cookies".to_owned()
        }
        _ => {
            let types = [
                "",
                "text/html",
                "image/png",
                "application/json; charset=utf-16",
                "text/event-stream",
                "application/json, text/html",
                "multipart/mixed; boundary=x",
                "\u{9b}31m/\u{202e}",
            ];
            let media_type = dice.pick(&types);
            if let Some(value) = answer.header("content-type") {
                *value = line(media_type);
            }
            format!("type {media_type:?}")
        }
    }
}

fn challenge(answer: &mut Answer, world: &World, dice: &mut Dice) -> String {
    let odd = text::odd(dice);
    let address = text::address(dice, &world.origin, world.gateway);
    let value = dice.pick(&[
        String::new(),
        "Bearer resource_metadata=\"".to_owned(),
        format!("Bearer resource_metadata=\"{address}\""),
        format!("Bearer resource_metadata={address}"),
        format!("Bearer realm=\"{odd}\", scope=\"{odd}\", error=\"{odd}\""),
        format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", "s ".repeat(3000)),
        format!("Bearer {}", "a=\"b\", ".repeat(5000)),
        "Basic, Basic, Basic, DPoP algs=\"ES256\", Bearer".repeat(20),
        format!("DPoP algs=\"{odd}\", error=\"use_dpop_nonce\""),
        "\"\\\"\\\\\\".to_owned(),
    ]);
    answer.headers.retain(|(name, _)| name != "www-authenticate");
    for _ in 0..dice.pick(&[1, 1, 2, 60]) {
        answer.headers.push(("www-authenticate".to_owned(), line(&value)));
    }
    "challenge".to_owned()
}

/// Bends where the browser is sent: the response of the authorization endpoint (RFC 6749, section
/// 4.1.2), or something else altogether.
fn redirect(answer: &mut Answer, world: &World, dice: &mut Dice) -> String {
    let right = answer.header("location").map(|v| String::from_utf8_lossy(v).into_owned());
    let right = right.unwrap_or_default();
    let (redirect_uri, query) = right.split_once('?').unwrap_or((&right, ""));
    let odd = crate::call::encode_pairs([("x", text::odd(dice).as_str())]);
    let odd = &odd[2..];
    let address = text::address(dice, &world.origin, world.gateway);
    let to = dice.pick(&[
        address,
        format!("{right}&code=second"),
        format!("{right}&state=second"),
        format!("{redirect_uri}?code={odd}&state={odd}&iss={odd}"),
        right.replace("&iss=", "&iss=https%3A%2F%2Fevil.invalid&was="),
        right.replace("&iss=", "&was="),
        right.replace("code=", "nothing="),
        right.replace("state=", "state=x"),
        format!("{redirect_uri}?error={odd}&error_description={odd}&{query}"),
        format!("{redirect_uri}?error=invalid_client&{query}"),
        format!("{redirect_uri}?error=access_denied&error_uri={odd}&{}", &query[query.len() / 2..]),
        right.replace("code=", &format!("code={}", "c".repeat(100_000))),
        format!("{redirect_uri}/../other?{query}"),
        format!("{right}#code=fragment"),
    ]);
    if let Some(value) = answer.header("location") {
        *value = line(&to);
    }
    format!("to {}", to.chars().take(60).collect::<String>())
}

fn body(answer: &mut Answer, dice: &mut Dice) -> String {
    let length = answer.body.len();
    let (body, said) = match dice.below(9) {
        0 => (Vec::new(), "no body"),
        1 => (vec![b'['; dice.pick(&[200, 5000, 200_000])], "nested"),
        2 => (b"{\"a\":".repeat(dice.pick(&[200, 5000, 100_000])), "nested members"),
        3 => (vec![0xff, 0xfe, 0x00, 0x7b], "no UTF-8"),
        4 => (answer.body[..dice.below(length)].to_vec(), "cut off"),
        5 => ([&answer.body[..], b"}]trailing"].concat(), "more behind it"),
        6 => ([b"\xef\xbb\xbf", &answer.body[..]].concat(), "a byte order mark"),
        7 => ([&answer.body[..], &vec![b' '; 2 * 1024 * 1024]].concat(), "2 MiB"),
        _ => (b"<!doctype html><p>Please log in to the Wi-Fi.".to_vec(), "a page"),
    };
    answer.body = body;
    said.to_owned()
}

/// Bends a member of the document.
fn document(answer: &mut Answer, world: &World, dice: &mut Dice) -> String {
    let Some(Value::Object(mut members)) = answer.json.take() else { return body(answer, dice) };
    let names: Vec<String> = members.keys().cloned().collect();
    let mut said = Vec::new();
    for _ in 0..dice.pick(&[1, 1, 2, 5]) {
        let name = dice.pick(&names);
        let (value, kind) = odd_value(dice, world);
        said.push(format!("{name} {kind}"));
        match value {
            None => {
                members.remove(&name);
            }
            Some(value) => {
                members.insert(name, value);
            }
        }
    }
    let mut written = Value::Object(members).to_string();
    if dice.is_in(10) {
        // The same members twice.
        written = format!("{},{}", &written[..written.len() - 1], &written[1..]);
        said.push("twice".to_owned());
    }
    answer.body = written.into_bytes();
    said.join(", ")
}

fn odd_value(dice: &mut Dice, world: &World) -> (Option<Value>, &'static str) {
    let odd = text::odd(dice);
    match dice.below(14) {
        0 => (None, "left out"),
        1 => (Some(Value::Null), "null"),
        2 => (Some(dice.pick(&[json!(true), json!([]), json!({}), json!("")])), "another type"),
        3 => {
            let number = [json!(-1), json!(0), json!(1e300), json!(u64::MAX), json!(0.5)];
            (Some(dice.pick(&number)), "a number")
        }
        4 | 5 => (Some(json!(odd)), "an odd text"),
        6 | 7 => {
            let address = text::address(dice, &world.origin, world.gateway);
            (Some(json!(address)), "an address")
        }
        8 => {
            let address = text::address(dice, &world.origin, world.gateway);
            (Some(json!([address, world.origin])), "addresses")
        }
        9 => {
            let count = dice.pick(&[21, 500, 20_000, 200_000]);
            (Some(json!(vec!["a"; count])), "a long list")
        }
        10 => {
            let count = dice.pick(&[30, 2000]);
            let list: Vec<_> = (0..count).map(|n| world.at(&format!("/as{n}"))).collect();
            (Some(json!(list)), "many addresses")
        }
        11 => {
            let members = (0..5000).map(|n| (n.to_string(), json!(n)));
            (Some(Value::Object(members.collect::<Map<_, _>>())), "many members")
        }
        12 => {
            let mut nested = json!(odd);
            for _ in 0..100 {
                nested = json!([nested]);
            }
            (Some(nested), "nested")
        }
        _ => (Some(json!("t".repeat(dice.pick(&[17_000, 400_000])))), "a very long text"),
    }
}

/// What can stand in a header line: everything but the ends of lines.
fn line(text: &str) -> Vec<u8> {
    text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect()
}
