//! Files for people: each is there whole or not at all, and why it is not.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use pipeline::{Error, ErrorKind};

/// What a new file permits, before the process's own mask.
const USUAL: u32 = 0o666;

/// Writes a file under another name and gives it its own once it is whole; makes the folder where there is none.
///
/// # Errors
/// Where the place refuses, or a file is there that may not be replaced.
pub(crate) fn put(path: &Path, text: &str, replace: bool) -> io::Result<()> {
    // What a link leads to is replaced, not the link.
    let target = fs_err::canonicalize(path).ok().filter(|_| replace);
    if target.as_ref().is_some_and(|target| !target.is_file()) {
        // Nothing takes the place of a pipe or a device.
        return fs_err::write(path, text);
    }
    let old = target.as_ref().and_then(|target| fs_err::metadata(target).ok());
    let path = target.as_deref().unwrap_or(path);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs_err::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".tenantry-")
        .permissions(Permissions::from_mode(USUAL))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Some(old) = old {
        // Whoever could read it still can; only who may give files away keeps its owner.
        fchown(file.as_file(), Some(old.uid()), Some(old.gid())).ok();
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    let kept = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map_err(|error| error.error).map(drop)
}

/// Returns the error for a file that could not be written; `elsewhere` says how to name another place.
pub(crate) fn refused(action: &str, path: &Path, error: io::Error, elsewhere: &str) -> Error {
    use io::ErrorKind::{
        AlreadyExists, InvalidFilename, IsADirectory, NotADirectory, NotFound, PermissionDenied,
        QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    let (kind, hint) = match error.kind() {
        AlreadyExists | InvalidFilename | IsADirectory | NotADirectory | NotFound | PermissionDenied
        | ReadOnlyFilesystem => (ErrorKind::Usage, elsewhere.to_owned()),
        StorageFull | QuotaExceeded => (ErrorKind::Sink, format!("free some space, or {elsewhere}")),
        _ => (ErrorKind::Sink, format!("look at the disk and its file system, or {elsewhere}")),
    };
    Error::new(kind, action)
        .with_source(error)
        .with_context("path", path.display().to_string())
        .with_hint(hint)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn what_is_replaced_keeps_its_owner_and_who_may_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        put(&path, "old", false).expect("nothing is there yet");
        let another = 12_345;
        // Who may not give files away keeps its own.
        let owner = match chown(&path, Some(another), Some(another)) {
            Ok(()) => another,
            Err(_) => fs_err::metadata(&path).expect("it is there").uid(),
        };
        fs_err::set_permissions(&path, Permissions::from_mode(0o640)).expect("its owner may");
        put(&path, "new", true).expect("it may be replaced");
        let metadata = fs_err::metadata(&path).expect("it is there");
        assert_eq!((metadata.uid(), metadata.mode() & 0o777), (owner, 0o640));
        assert_eq!(fs_err::read_to_string(&path).ok().as_deref(), Some("new"));
    }
}
