//! `keyfob stdio`: copies lines between a client and the broker; all the rest is the broker's.

use keyfob_core::control::protocol::Request;
use keyfob_core::problem::Problem;
use tokio::io::AsyncWriteExt;

use crate::link::Link;

pub(crate) async fn stdio(name: String) -> Result<u8, Problem> {
    let mut link = Link::open_lasting().await?;
    let (mut from, mut to) = match link.hand_over(Request::Stdio { name }).await {
        Ok((Ok(_), lines)) => lines,
        Ok((Err(problem), _)) | Err(problem) => {
            link.close().await;
            return Err(problem);
        }
    };
    let up = async {
        let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut to).await;
        // The client is done: the broker ends the session and hangs up.
        let _ = to.shutdown().await;
        std::future::pending::<()>().await
    };
    let down = async {
        let mut out = tokio::io::stdout();
        let _ = tokio::io::copy_buf(&mut from, &mut out).await;
        let _ = out.flush().await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
    link.close().await;
    Ok(0)
}
