//! What the page may ask. Each command hands on to the broker or the shell; none decides.

use keyfob_core::auth::{Secret, client_document};
use keyfob_core::broker::command::Command;
use keyfob_core::broker::document_url;
use keyfob_core::client_setup::ClientKind;
use keyfob_core::control::protocol::{NewServer, ServerChange, Setting};
use keyfob_core::problem::{Code, Problem};
use keyfob_core::view;
use keyfob_core::view::page::{Changed, Details, Found, Identity, Place, Snapshot, ToolView};
use serde::Deserialize;
use tauri::State;
use tauri::ipc::Invoke;

use crate::desk::{Ask, Desk};
use crate::shell;

type Answer<T> = Result<T, Problem>;

/// All of them, for Tauri.
pub(crate) fn handler() -> impl Fn(Invoke) -> bool + Send + Sync + 'static {
    tauri::generate_handler![
        snapshot,
        place,
        ready,
        details,
        look,
        add,
        connect,
        cancel,
        try_another_way,
        open_again,
        copy_link,
        paste_address,
        connect_at,
        accept_service,
        edit,
        identity,
        check_document,
        use_document,
        copy_document,
        use_own_client,
        register_again,
        forget_registration,
        retry,
        unlock,
        turn,
        refresh,
        tools,
        sign_out,
        remove,
        copy_address,
        copy_report,
        copy_setup,
        revoke_key,
        revoke_known_keys,
        keep_keys,
        start_again,
        quit
    ]
}

/// A server as the dialog gives it. It comes in and is never sent back.
#[derive(Deserialize)]
struct Entered {
    url: String,
    name: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// A change of a server as the dialog gives it: all that it shows, headers only where they change.
#[derive(Deserialize)]
struct EnteredChange {
    name: String,
    url: String,
    /// Empty where the server's own is to be used.
    issuer: String,
    scopes: Vec<String>,
    headers: Vec<(String, String)>,
    no_headers: Vec<String>,
    allow_guessed_endpoints: bool,
    may_sign_out: bool,
}

impl From<EnteredChange> for ServerChange {
    fn from(entered: EnteredChange) -> Self {
        let headers = entered.headers.into_iter();
        Self {
            name: Some(entered.name.trim().to_owned()),
            url: Some(entered.url.trim().to_owned()),
            issuer: match entered.issuer.trim() {
                "" => Setting::Absent,
                issuer => Setting::Is(issuer.to_owned()),
            },
            scopes: Some(entered.scopes),
            headers: headers.map(|(name, value)| (name, Secret::new(value))).collect(),
            no_headers: entered.no_headers,
            allow_guessed_endpoints: Some(entered.allow_guessed_endpoints),
            may_sign_out: entered.may_sign_out,
            ..Self::default()
        }
    }
}

#[tauri::command]
async fn snapshot(desk: State<'_, Desk>) -> Answer<Snapshot> {
    // A window that opens at once shows the list, and not first an empty one.
    let _ = desk.started().await;
    Ok(desk.snapshot())
}

#[tauri::command]
fn place(desk: State<'_, Desk>) -> Place {
    desk.place()
}

#[tauri::command]
fn ready(window: State<'_, crate::window::Window>) {
    window.painted();
}

#[tauri::command]
async fn details(desk: State<'_, Desk>, name: String) -> Answer<Details> {
    desk.handle()?.ask(|answer| Command::Details { name, answer }).await
}

#[tauri::command]
async fn look(desk: State<'_, Desk>, url: String) -> Answer<Found> {
    desk.handle()?.ask(|answer| Command::LookAt { url, answer }).await
}

#[tauri::command]
async fn add(desk: State<'_, Desk>, server: Entered) -> Answer<String> {
    let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let new = NewServer {
        url: server.url.trim().to_owned(),
        name: filled(server.name),
        client_id: filled(server.client_id).map(|id| id.trim().to_owned()),
        client_secret: filled(server.client_secret).map(Secret::new),
        ..NewServer::default()
    };
    Ok(desk.handle()?.add(new).await?.name)
}

#[tauri::command]
async fn connect(desk: State<'_, Desk>, name: String) -> Answer<()> {
    shell::connect(&desk, &name).await
}

#[tauri::command]
async fn connect_at(desk: State<'_, Desk>, name: String, issuer: String) -> Answer<()> {
    shell::connect_at(&desk, &name, Some(issuer)).await
}

/// A server may use the sign-in service of another one from now on.
#[tauri::command]
async fn accept_service(desk: State<'_, Desk>, name: String, issuer: String) -> Answer<()> {
    desk.handle()?.ask(|answer| Command::AcceptService { name, issuer, answer }).await
}

#[tauri::command]
async fn edit(desk: State<'_, Desk>, name: String, change: EnteredChange) -> Answer<Changed> {
    shell::edit(&desk, &name, change.into()).await
}

#[tauri::command]
async fn identity(desk: State<'_, Desk>) -> Answer<Identity> {
    desk.handle()?.ask(|answer| Command::Identity { answer }).await
}

#[tauri::command]
async fn check_document(desk: State<'_, Desk>, url: String) -> Answer<()> {
    desk.handle()?.check_document(&url).await
}

#[tauri::command]
async fn use_document(desk: State<'_, Desk>, url: Option<String>) -> Answer<()> {
    desk.handle()?.use_document(url.as_deref()).await
}

#[tauri::command]
fn copy_document(desk: State<'_, Desk>, url: String) -> Answer<()> {
    let document = client_document::document(&document_url(&url)?);
    desk.copy(&format!("{document:#}\n"))
}

#[tauri::command]
async fn cancel(desk: State<'_, Desk>, name: String) -> Answer<()> {
    desk.handle()?.cancel(&name).await
}

#[tauri::command]
async fn try_another_way(desk: State<'_, Desk>, name: String) -> Answer<()> {
    desk.handle()?.try_another_way(&name).await
}

#[tauri::command]
async fn open_again(desk: State<'_, Desk>, name: String) -> Answer<()> {
    desk.handle()?.open_again(&name).await
}

#[tauri::command]
async fn copy_link(desk: State<'_, Desk>, name: String) -> Answer<()> {
    let link = desk.handle()?.ask(|answer| Command::Link { name, answer }).await?;
    desk.copy_secret(&link)
}

#[tauri::command]
async fn paste_address(desk: State<'_, Desk>, name: String, address: String) -> Answer<()> {
    desk.handle()?.ask(|answer| Command::Paste { name, address, answer }).await
}

#[tauri::command]
async fn use_own_client(
    desk: State<'_, Desk>,
    name: String,
    client_id: String,
    client_secret: Option<String>,
) -> Answer<()> {
    let secret = client_secret.map(Secret::new);
    desk.handle()?.use_own_client(&name, &client_id, secret).await?;
    shell::connect(&desk, &name).await
}

#[tauri::command]
async fn register_again(desk: State<'_, Desk>, name: String) -> Answer<()> {
    let handle = desk.handle()?;
    let forgetting = name.clone();
    handle.ask(|answer| Command::ForgetRegistration { name: forgetting, answer }).await?;
    shell::connect(&desk, &name).await
}

#[tauri::command]
async fn forget_registration(desk: State<'_, Desk>, name: String) -> Answer<()> {
    let handle = desk.handle()?;
    let forgetting = name.clone();
    handle.ask(|answer| Command::ForgetRegistration { name: forgetting, answer }).await?;
    handle.end(&name, false).await.map(drop)
}

#[tauri::command]
async fn retry(desk: State<'_, Desk>, name: String) -> Answer<()> {
    desk.handle()?.ask(|answer| Command::Retry { name, answer }).await
}

#[tauri::command]
async fn unlock(desk: State<'_, Desk>, name: String) -> Answer<()> {
    let handle = desk.handle()?;
    handle.check_vault().await?;
    handle.ask(|answer| Command::Retry { name, answer }).await
}

#[tauri::command]
async fn turn(desk: State<'_, Desk>, name: String, on: bool) -> Answer<()> {
    desk.handle()?.ask(|answer| Command::Turn { name, on, answer }).await
}

#[tauri::command]
async fn refresh(desk: State<'_, Desk>, name: String) -> Answer<()> {
    desk.handle()?.ask(|answer| Command::Refresh { name, answer }).await.map(drop)
}

#[tauri::command]
async fn tools(desk: State<'_, Desk>, name: String) -> Answer<Vec<ToolView>> {
    desk.handle()?.tools(&name).await
}

#[tauri::command]
async fn sign_out(desk: State<'_, Desk>, name: String) -> Answer<Vec<String>> {
    shell::end(&desk, &name, false).await
}

#[tauri::command]
async fn remove(desk: State<'_, Desk>, name: String) -> Answer<Vec<String>> {
    shell::end(&desk, &name, true).await
}

#[tauri::command]
async fn copy_address(desk: State<'_, Desk>, name: String) -> Answer<()> {
    shell::copy_address(&desk, name).await
}

#[tauri::command]
async fn copy_report(desk: State<'_, Desk>, name: String) -> Answer<()> {
    let details = desk.handle()?.ask(|answer| Command::Details { name, answer }).await?;
    desk.copy(&view::report(&details))
}

#[tauri::command]
async fn copy_setup(desk: State<'_, Desk>, name: String, client: String) -> Answer<()> {
    let kind = ClientKind::parse(&client).ok_or_else(|| {
        Problem::new(Code::Usage).with("cause", format_args!("there is no client {client:?}"))
    })?;
    desk.copy_secret(&kind.setup_for(&desk.handle()?, &client, &name).await?)
}

#[tauri::command]
async fn revoke_key(desk: State<'_, Desk>, name: String, client: String) -> Answer<()> {
    desk.handle()?.ask(|answer| Command::RevokeKeysFor { client, name, answer }).await
}

#[tauri::command]
async fn revoke_known_keys(desk: State<'_, Desk>) -> Answer<()> {
    desk.handle()?.ask(|answer| Command::RevokeKnownKeys { answer }).await
}

#[tauri::command]
async fn keep_keys(desk: State<'_, Desk>) -> Answer<()> {
    desk.handle()?.ask(|answer| Command::KeepKeys { answer }).await
}

#[tauri::command]
fn start_again(desk: State<'_, Desk>) {
    desk.ask(Ask::StartAgain);
}

#[tauri::command]
fn quit(desk: State<'_, Desk>) {
    desk.ask(Ask::Quit);
}
