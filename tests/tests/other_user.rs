//! Another user of this machine, who may come to the port and has found a key, and another program
//! of the same user.
#![expect(clippy::expect_used, reason = "test code")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use keyfob_tests::world::is_root;
use keyfob_tests::{Keyfob, McpServer, Store};
use serde_json::Value;

/// Who runs Keyfob, and two others. Nobody needs to have an account for this.
const OWNER: u32 = 47_111;
const STRANGER: u32 = 47_112;
const ROOT: u32 = 0;

const PATIENCE: Duration = Duration::from_secs(20);

/// A broker with an open server on its list, and a key for it.
async fn with_key() -> (Keyfob, McpServer, String) {
    let mut keyfob = Keyfob::new(Store::Memory).of_user(OWNER);
    keyfob.serve().await;
    let server = McpServer::start_open("open").await;
    keyfob.run(&["add", "--name", "s", &server.url()]).await.ok();
    let told = keyfob.run(&["clients", "add", "--json", "cursor", "s"]).await.ok().json();
    let key = told["key"].as_str().expect("a key").to_owned();
    (keyfob, server, key)
}

/// What the gateway answers to a request of this user.
async fn asked(keyfob: &Keyfob, user: u32, host: &str, target: &str, key: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let port = keyfob.port();
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let script = format!("exec 3<>/dev/tcp/{host}/{port} && printf %s \"$0\" >&3 && cat <&3");
    let asked = keyfob.start_as(user, Path::new("/bin/bash"), &["-c", &script, &request]);
    asked.finish(PATIENCE).await.stdout
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn another_user_is_refused_even_with_a_key_and_root_and_the_same_user_are_not() {
    if !is_root() {
        return eprintln!("only root can ask as another user; the unit tests hold the rest");
    }
    let (keyfob, server, key) = with_key().await;
    for host in ["127.0.0.1", "::1"] {
        let before = server.journal().entries().len();
        for target in ["/s", &format!("/k/{key}/s"), "/callback?code=a&state=b", "/go/x", "/"] {
            let answer = asked(&keyfob, STRANGER, host, target, &key).await;
            assert_eq!(status(&answer), "403", "{host} {target}: {answer}");
            let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
            let said: Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(said["error"]["data"]["code"], "other-user", "{answer}");
            let message = said["error"]["message"].as_str().unwrap_or_default();
            assert!(message.contains(&STRANGER.to_string()), "{message}");
        }
        assert_eq!(server.journal().entries().len(), before, "it went upstream");
        for user in [OWNER, ROOT] {
            let before = server.journal().entries().len();
            let answer = asked(&keyfob, user, host, "/s", &key).await;
            assert_ne!(status(&answer), "403", "{host} {user}: {answer}");
            assert_eq!(server.journal().entries().len(), before + 1, "{host} {user}: {answer}");
            assert_eq!(status(&asked(&keyfob, user, host, "/s", "kf_wrong").await), "403");
        }
    }
}

#[tokio::test]
async fn a_setting_lets_other_users_in_with_a_key_and_without_one_nobody() {
    if !is_root() {
        return eprintln!("only root can ask as another user; the unit tests hold the rest");
    }
    let (mut keyfob, server, key) = with_key().await;
    keyfob.stop().await;
    let file = keyfob.home().join("config/config.toml");
    let settings = std::fs::read_to_string(&file).expect("settings");
    std::fs::write(&file, format!("allow_other_users = true\n{settings}")).expect("written");
    keyfob.give_home();
    keyfob.serve().await;
    let before = server.journal().entries().len();
    assert_eq!(status(&asked(&keyfob, STRANGER, "127.0.0.1", "/s", "kf_wrong").await), "403");
    assert_eq!(server.journal().entries().len(), before);
    assert_ne!(status(&asked(&keyfob, STRANGER, "127.0.0.1", "/s", &key).await), "403");
    assert_eq!(server.journal().entries().len(), before + 1);
    let doctor = keyfob.run(&["doctor"]).await;
    assert!(doctor.stdout.contains("allow_other_users"), "{doctor}");
}

/// What a process with other rights than its user's belongs to, by proc(5).
fn owner_of_memory(pid: u32) -> u32 {
    std::fs::metadata(format!("/proc/{pid}/environ")).expect("it runs").uid()
}

/// Whether a program of the same user can read what the process holds.
async fn can_be_read(keyfob: &Keyfob, pid: u32, what: &str) -> bool {
    let script = format!("head -c 1 /proc/{pid}/{what} >/dev/null");
    let read = keyfob.start_as(OWNER, Path::new("/bin/bash"), &["-c", &script]);
    read.finish(PATIENCE).await.code == Some(0)
}

#[tokio::test]
async fn a_program_of_the_same_user_cannot_read_the_brokers_memory() {
    let mut keyfob = Keyfob::new(Store::Memory).of_user(OWNER);
    keyfob.serve().await;
    let pid = keyfob.broker().pid().expect("it runs");
    assert_eq!(owner_of_memory(pid), ROOT, "PR_SET_DUMPABLE");
    for what in ["environ", "maps", "smaps_rollup"] {
        assert!(!can_be_read(&keyfob, pid, what).await, "{what}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let soft = core.and_then(|line| line.split_whitespace().nth(4));
    assert_eq!(soft, Some("0"), "RLIMIT_CORE: {limits}");
    keyfob.stop().await;

    keyfob.set_env("KEYFOB_DEBUGGABLE", "1");
    keyfob.serve().await;
    let pid = keyfob.broker().pid().expect("it runs");
    for what in ["environ", "maps", "smaps_rollup"] {
        assert!(can_be_read(&keyfob, pid, what).await, "{what}");
    }
}

/// What protects Keyfob's memory is not for the commands that it starts.
#[tokio::test]
async fn a_command_under_exec_may_leave_core_dumps_as_before() {
    let keyfob = Keyfob::new(Store::Memory).of_user(OWNER);
    let server = McpServer::start_open("open").await;
    let asked = "ulimit -S -c unlimited; exec \"$0\" exec --ephemeral \"$1\" -- \
                 bash -c 'sleep 0.5; ulimit -S -c; stat -c %u /proc/$$/environ; id -u; : {url}'";
    let program = keyfob.program().display().to_string();
    let asked = ["-c", asked, &program, &server.url()];
    let output = keyfob.start_as(OWNER, Path::new("/bin/bash"), &asked).finish(PATIENCE).await;
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.first(), Some(&"unlimited"), "{output}");
    assert_eq!(lines.get(1), lines.get(2), "its memory is its user's: {output}");
}

/// Where the run folder's path is too long for a socket, the way to the broker is below the
/// temporary folder, which is everybody's.
#[tokio::test]
async fn a_folder_of_another_user_at_the_place_of_the_socket_is_told_and_another_is_taken() {
    let mut keyfob = Keyfob::new(Store::Memory);
    let home = keyfob.scratch().join("h".repeat(100));
    std::fs::create_dir_all(home.join("config")).expect("a folder");
    let settings = keyfob.home().join("config/config.toml");
    std::fs::copy(settings, home.join("config/config.toml")).expect("copied");
    keyfob.set_env("KEYFOB_HOME", &home.display().to_string());
    let temporary = keyfob.scratch().join("tmp");
    keyfob.set_env("TMPDIR", &temporary.display().to_string());
    let uid = rustix::process::geteuid().as_raw();
    let squatted = temporary.join(format!("keyfob-{uid}"));
    std::fs::create_dir_all(&squatted).expect("a folder");
    // Only root can give it away; for anybody else it is one that others can enter.
    if is_root() {
        std::os::unix::fs::chown(&squatted, Some(STRANGER), Some(STRANGER)).expect("given");
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&squatted, mode).expect("opened");
    keyfob.serve().await;
    assert!(keyfob.broker().prints("passed over", PATIENCE).await);
    let said = keyfob.broker().stderr();
    assert!(said.contains(&format!("keyfob-{uid}-1")), "{said}");
    assert_eq!(std::fs::read_dir(&squatted).expect("a folder").count(), 0, "nothing is put there");
    // A command reaches the broker, and none of its own is started.
    let doctor = keyfob.run(&["doctor", "--json"]).await.expect_code(1).json();
    let finding = |what: &str| {
        let all = doctor.as_array().expect("a list");
        all.iter().find(|one| one["what"] == what).unwrap_or_else(|| panic!("{what}: {doctor}"))
    };
    assert!(finding("broker")["text"].as_str().is_some_and(|text| text.contains("process")));
    let text = finding("control socket")["text"].as_str().unwrap_or_default();
    assert!(text.contains(&squatted.display().to_string()), "{text}");
    keyfob.stop().await;
    // Where every place is somebody else's, that is told with its own code.
    for number in 1..10 {
        let folder = temporary.join(format!("keyfob-{uid}-{number}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::write(&folder, "").expect("a file");
    }
    let output = keyfob.run(&["serve", "--json", "--store", "memory"]).await.expect_code(1);
    assert_eq!(output.problem()["code"], "socket-folder", "{output}");
}
