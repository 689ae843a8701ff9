//! Where files go: a small seam, the local file system, and memory for tests.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::fault_point;

/// What files are called before they have their name. Readers pass over names that begin with a dot.
const TEMPORARY: &str = ".tmp";

/// How long a file without its name is left alone: whoever writes it may be alive. A day.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a sink's files go. Implement it for other places, such as an object store that creates a key only if it is absent.
///
/// Calls come from a thread on which they may block. A path is relative, its parts separated by `/`.
pub trait WarehouseFiles: fmt::Debug + Send + Sync + 'static {
    /// The names of the files in `folder`, in any order; none where there is no such folder. Only what would survive a crash of
    /// the machine may be listed.
    ///
    /// # Errors
    /// They cannot be listed.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// What is in a file.
    ///
    /// # Errors
    /// It cannot be read; [`io::ErrorKind::NotFound`] where it is not there.
    fn read(&self, path: &str) -> io::Result<Bytes>;

    /// Make the file `name` in `folder`, whole or not at all, unless there is one: then the answer is `false`, and that one stays
    /// as it is. `true` means that it would survive a crash of the machine. Of several that make the same file, in whatever
    /// processes, one is told `true`.
    ///
    /// # Errors
    /// It is not known whether there is a file now.
    fn create(&self, folder: &str, name: &str, content: &[u8]) -> io::Result<bool>;
}

/// Files in a folder of the local file system, which must have hard links: what a file gets its name by fails when there is one.
#[derive(Debug, Clone)]
pub struct LocalFiles {
    root: PathBuf,
}

impl LocalFiles {
    /// Below `root`, which is made when it is needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `folder`, and what is around it up to the root, the innermost first.
    fn folders(&self, folder: &str) -> Vec<PathBuf> {
        let path = self.root.join(folder);
        path.ancestors().take_while(|ancestor| ancestor.starts_with(&self.root)).map(Path::to_owned).collect()
    }

    /// Make sure that `folder` and what it is in are there after a crash. Others may have made them, and not come that far.
    fn sync(&self, folder: &str) -> io::Result<()> {
        let sync = |folder: &Path| File::open(folder)?.sync_all();
        self.folders(folder).iter().try_for_each(|folder| sync(folder))?;
        // The root's own name is in its parent. Where we may not look, somebody else made the root, before we came.
        let parent =
            self.root.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
        match parent.map_or(Ok(()), sync) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        }
    }
}

impl WarehouseFiles for LocalFiles {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let path = self.root.join(folder);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // Ours are text.
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.ends_with(TEMPORARY) {
                let written = entry.metadata().and_then(|metadata| metadata.modified()).ok();
                if written.is_some_and(|time| age(time) > ABANDONED) {
                    // Another may have been first.
                    let _ = fs::remove_file(entry.path());
                }
            } else {
                names.push(name);
            }
        }
        // What was linked and not yet synced could still be lost, and whoever sees it relies on it.
        self.sync(folder)?;
        Ok(names)
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        fs::read(self.root.join(path)).map(Bytes::from)
    }

    fn create(&self, folder: &str, name: &str, content: &[u8]) -> io::Result<bool> {
        let path = self.root.join(folder);
        fs::create_dir_all(&path)?;
        // Without the name: a file system may have no room for more than that.
        let temporary = path.join(format!(".{}{TEMPORARY}", Uuid::new_v4().simple()));
        let written = File::create_new(&temporary).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
        fault_point::reach("before naming");
        let linked =
            written.and_then(|()| fs::hard_link(&temporary, path.join(name)).map_err(|error| unlinked(&error)));
        // Left behind, it does no harm, and goes when it is old.
        let _ = fs::remove_file(&temporary);
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        }
        // Where this fails the rows are there, and nobody is told: whoever comes next finds them, and syncs before it relies on them.
        self.sync(folder)?;
        Ok(true)
    }
}

/// A file system without hard links says "not permitted" of a folder that may be written to.
fn unlinked(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("it could not be given its name, by a hard link: {error}"))
}

#[allow(clippy::disallowed_methods, reason = "the file system's times are the system's")]
fn age(time: SystemTime) -> Duration {
    SystemTime::now().duration_since(time).unwrap_or_default()
}

/// Files in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryFiles {
    files: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// The paths of all files, in their order.
    pub fn paths(&self) -> Vec<String> {
        self.files.lock().keys().cloned().collect()
    }
}

impl WarehouseFiles for MemoryFiles {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let files = self.files.lock();
        let names = files.keys().filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'));
        Ok(names.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    fn read(&self, path: &str) -> io::Result<Bytes> {
        self.files.lock().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&self, folder: &str, name: &str, content: &[u8]) -> io::Result<bool> {
        let mut files = self.files.lock();
        let path = format!("{folder}/{name}");
        if files.contains_key(&path) {
            return Ok(false);
        }
        files.insert(path, Bytes::copy_from_slice(content));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_file_is_made_once_and_whole(files: &dyn WarehouseFiles) {
        let folder = "event=a.B/day=2026-01-02";
        assert_eq!(files.list(folder).unwrap(), Vec::<String>::new());
        assert!(files.create(folder, "one", b"first").unwrap());
        assert!(!files.create(folder, "one", b"second").unwrap());
        assert!(files.create("event=a.B/day=2026-01-03", "two", b"").unwrap());
        assert_eq!(files.list(folder).unwrap(), ["one"]);
        assert_eq!(files.read(&format!("{folder}/one")).unwrap(), &b"first"[..]);
        assert_eq!(files.read(&format!("{folder}/two")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn files_in_memory_are_made_once_and_whole() {
        a_file_is_made_once_and_whole(&MemoryFiles::new());
    }

    #[test]
    fn local_files_are_made_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        a_file_is_made_once_and_whole(&LocalFiles::new(folder.path().join("new")));
    }

    #[test]
    fn what_was_cut_off_is_not_listed_and_goes_when_it_is_old() {
        let root = tempfile::tempdir().unwrap();
        let files = LocalFiles::new(root.path());
        files.create("f", "whole", b"1").unwrap();
        let (fresh, old) = (root.path().join("f/.new.1.tmp"), root.path().join("f/.old.2.tmp"));
        fs::write(&fresh, b"half").unwrap();
        File::create(&old).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(files.list("f").unwrap(), ["whole"]);
        assert_eq!((fresh.exists(), old.exists()), (true, false));
    }

    #[test]
    fn of_many_that_make_the_same_file_one_is_told_so() {
        let root = tempfile::tempdir().unwrap();
        let files = LocalFiles::new(root.path());
        let made = std::thread::scope(|scope| {
            let make = |content: u8| {
                scope.spawn({
                    let files = &files;
                    move || files.create("f", "one", &[content]).unwrap()
                })
            };
            (0..8)
                .map(make)
                .collect::<Vec<_>>()
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .filter(|made| *made)
                .count()
        });
        assert_eq!(made, 1);
    }
}
