//! What tasks tell the broker.

use keyfob_auth::flow::Memo;
use keyfob_auth::trace::TraceStep;

use super::load::Kept;
use super::refresh;
use super::secret_renewal;
use super::sign_in;
use crate::problem::Problem;
use crate::view::Progress;

/// About one server.
#[derive(Debug)]
pub(super) struct Report {
    /// Its id.
    pub(super) server: String,
    /// What.
    pub(super) report: ServerReport,
}

/// What can be reported.
#[derive(Debug)]
pub(super) enum ServerReport {
    /// The vault was asked for the grant.
    Loaded(Result<Kept, Problem>),
    /// The server was asked whether it wants a sign-in.
    Probed(Probe),
    /// Lines for the trace.
    Trace(Vec<TraceStep>),
    /// Something to be remembered.
    Memos(Vec<Memo>),
    /// Something for whoever watches a sign-in.
    Progress(Progress),
    /// A sign-in ended.
    SignInEnded(sign_in::End),
    /// A refresh ended that was begun in this epoch.
    RefreshEnded(u64, refresh::End),
    /// The renewal of a client secret ended.
    SecretRenewed(String, secret_renewal::End),
    /// A token that could not be saved was tried again.
    Saved(bool),
    /// No browser could be opened for the sign-in.
    BrowserFailed(String),
}

/// What a server said when it was asked.
#[derive(Debug)]
pub(super) enum Probe {
    /// It needs no sign-in.
    Open,
    /// It wants one.
    Challenged,
    /// It could not be reached.
    Unreachable,
    /// It is no MCP server, or not one that can be used.
    Unusable(Problem),
}
