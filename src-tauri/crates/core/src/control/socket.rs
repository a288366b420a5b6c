//! Where the control socket is.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::paths::{self, Paths};
use crate::problem::{Code, Problem};

/// Longest socket path that every Unix takes, in bytes, without its final zero.
const LONGEST: usize = 103;

/// How many folders below the temporary one are tried, where others have made the first ones.
const SPARE: usize = 10;

/// Where the socket of a profile may be, in the order in which a broker tries it: in its run folder,
/// and, where that path is too long or that folder is not ours alone, in a folder of its own below
/// the temporary one. Whoever looks for the broker looks at all of them.
pub fn places(of: &Paths) -> Vec<PathBuf> {
    places_below(of, &std::env::temp_dir())
}

fn places_below(of: &Paths, temporary: &Path) -> Vec<PathBuf> {
    let usual = of.run.join("control.sock");
    let digest = Sha256::digest(of.run.as_os_str().as_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let user = rustix::process::geteuid().as_raw();
    let spare = (0..SPARE).map(|number| {
        let folder = match number {
            0 => format!("keyfob-{user}"),
            number => format!("keyfob-{user}-{number}"),
        };
        temporary.join(folder).join(&name)
    });
    let is_short = usual.as_os_str().len() <= LONGEST;
    is_short.then_some(usual).into_iter().chain(spare).collect()
}

/// Whether the folder of a place is ours, and nobody else can enter it.
pub fn is_ours_alone(place: &Path) -> bool {
    place.parent().is_some_and(|folder| unfit(folder).is_ok_and(|cause| cause.is_none()))
}

/// Why a folder is not ours alone.
fn unfit(folder: &Path) -> io::Result<Option<String>> {
    let metadata = std::fs::symlink_metadata(folder)?;
    Ok(if !metadata.is_dir() {
        Some("it is no folder".to_owned())
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        Some(format!("it belongs to another user (user id {})", metadata.uid()))
    } else if metadata.mode() & 0o077 != 0 {
        Some("others than you can enter it".to_owned())
    } else {
        None
    })
}

/// A place whose folder is ours alone.
#[derive(Debug)]
pub struct Prepared {
    /// The path of the socket.
    pub path: PathBuf,
    /// Why others before it were passed over.
    pub passed_over: Vec<Problem>,
}

/// Finds a place and makes its folder.
///
/// # Errors
/// When there is none whose folder is ours alone.
pub fn prepare(of: &Paths) -> Result<Prepared, Problem> {
    prepare_among(places(of))
}

fn prepare_among(places: Vec<PathBuf>) -> Result<Prepared, Problem> {
    let mut refused = Vec::new();
    for path in places {
        let Some(folder) = path.parent() else { continue };
        let made = paths::create_private(folder);
        match unfit(folder) {
            Ok(None) => {
                let outcome = format!("Keyfob uses {} in its place", path.display());
                let passed_over = refused.iter().map(|why| problem(why, &outcome)).collect();
                return Ok(Prepared { path, passed_over });
            }
            Ok(Some(cause)) => refused.push((folder.to_owned(), cause)),
            Err(error) => {
                let error = made.err().unwrap_or(error);
                refused.push((folder.to_owned(), error.to_string()));
            }
        }
    }
    let none = || Problem::internal("there is no place for the control socket");
    Err(refused.first().map_or_else(none, |why| problem(why, "No other place can hold it either")))
}

/// Folders that stand where a socket may be, and are not ours alone.
pub fn passed_over(of: &Paths) -> Vec<Problem> {
    let mut found = Vec::new();
    for place in places(of) {
        let Some(folder) = place.parent() else { continue };
        match unfit(folder) {
            Ok(Some(cause)) => found.push((folder.to_owned(), cause)),
            // The first that can be used is used.
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => found.push((folder.to_owned(), error.to_string())),
        }
    }
    found.iter().map(|why| problem(why, "Keyfob uses another place")).collect()
}

fn problem((folder, cause): &(PathBuf, String), outcome: &str) -> Problem {
    Problem::new(Code::SocketFolder)
        .with("folder", folder.display())
        .with("cause", cause)
        .with("outcome", outcome)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::Path;

    use super::{is_ours_alone, places_below, prepare_among};
    use crate::paths::{self, Paths};
    use crate::problem::Code;

    /// What is not ours alone is passed over and told, and nothing is put there.
    #[test]
    fn a_folder_of_somebody_else_is_passed_over_and_told() {
        let temporary = tempfile::tempdir().expect("a folder");
        let home = temporary.path().join("a".repeat(60)).join("b".repeat(60));
        let places = places_below(&Paths::under(&home), temporary.path());
        assert!(places.iter().all(|place| !place.starts_with(&home)), "it is too long: {places:?}");
        let folder = |at: usize| places[at].parent().expect("a folder").to_owned();
        paths::create_private(&folder(0)).expect("made");
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            chown(folder(0), Some(47_112), None).expect("given away");
        } else {
            fs::set_permissions(folder(0), Permissions::from_mode(0o755)).expect("opened");
        }
        symlink(temporary.path(), folder(1)).expect("a link");
        fs::write(folder(2), "").expect("a file");
        fs::create_dir(folder(3)).expect("made");
        fs::set_permissions(folder(3), Permissions::from_mode(0o770)).expect("opened");
        let prepared = prepare_among(places.clone()).expect("a place");
        assert_eq!(prepared.path, places[4]);
        assert!(is_ours_alone(&places[4]) && places[..4].iter().all(|place| !is_ours_alone(place)));
        let causes: Vec<&str> =
            prepared.passed_over.iter().map(|problem| problem.params["cause"].as_str()).collect();
        let first = if is_root {
            "it belongs to another user (user id 47112)"
        } else {
            "others than you can enter it"
        };
        // A link to a folder is no folder: who made it says where it leads.
        let rest = ["it is no folder", "it is no folder", "others than you can enter it"];
        assert_eq!(causes, [&[first][..], &rest].concat());
        assert!(prepared.passed_over[0].remedy.contains(&places[4].display().to_string()));
        assert!(places.iter().all(|place| !place.exists()));
        // The next one finds the same.
        assert_eq!(prepare_among(places.clone()).expect("a place").path, places[4]);
        let refused = prepare_among(places[..4].to_vec()).expect_err("none is ours");
        assert_eq!(refused.code, Code::SocketFolder);
    }

    #[test]
    fn the_run_folder_is_the_first_place() {
        let places = places_below(&Paths::under(Path::new("/h")), Path::new("/tmp"));
        assert_eq!(places[0], Path::new("/h/run/control.sock"));
        assert!(places[1].starts_with("/tmp"));
    }
}
