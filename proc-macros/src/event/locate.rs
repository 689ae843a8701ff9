//! Finds a schema file.
//!
//! A path is tried, in this order, against
//! 1. the folder of the source file that names it, then every folder above, up to the workspace's root;
//! 2. the package's folder, then every folder above, up to the workspace's root.
//!
//! The workspace's root is the nearest folder with a `Cargo.lock`; without one it is the nearest with a `Cargo.toml`.
//! The second list is for source files that have no place on disk (documentation tests) or lie elsewhere than the package
//! that compiles them; the first is for packages whose manifest lies elsewhere than their sources.

use std::path::{Path, PathBuf};

use proc_macro2::Span;

/// The file's path, absolute.
pub(crate) fn find(file: &str, span: Span) -> Option<PathBuf> {
    find_by(file, span, Path::is_file)
}

/// The folder's path, absolute.
pub(crate) fn find_folder(folder: &str, span: Span) -> Option<PathBuf> {
    find_by(folder, span, Path::is_dir)
}

fn find_by(name: &str, span: Span, is_one: fn(&Path) -> bool) -> Option<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let starts = [source_folder(span), package];
    let found = starts.iter().flatten().find_map(|start| find_upwards(name, start, is_one))?;
    std::path::absolute(found).ok()
}

/// The folder of the source file that `span` lies in.
fn source_folder(span: Span) -> Option<PathBuf> {
    // Outside of the compiler, in a unit test, spans lie nowhere.
    if !proc_macro::is_available() {
        return None;
    }
    let file = std::path::absolute(span.unwrap().local_file()?).ok()?;
    file.parent().map(Path::to_path_buf)
}

fn find_upwards(name: &str, start: &Path, is_one: fn(&Path) -> bool) -> Option<PathBuf> {
    let root = workspace_root(start)?;
    start
        .ancestors()
        .take_while(|folder| folder.starts_with(root))
        .map(|folder| folder.join(name))
        .find(|path| is_one(path))
}

fn workspace_root(start: &Path) -> Option<&Path> {
    let nearest = |name: &str| start.ancestors().find(|folder| folder.join(name).is_file());
    nearest("Cargo.lock").or_else(|| nearest("Cargo.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_in_the_nearest_folder_above() {
        let start = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/event");
        let found = |file: &str| find_upwards(file, &start, Path::is_file);
        assert_eq!(found("mod.rs"), Some(start.join("mod.rs")));
        assert_eq!(found("src/lib.rs"), Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")));
        assert_eq!(found("src/nowhere.rs"), None);
    }

    #[test]
    fn the_search_ends_at_the_root_of_the_workspace() {
        let start = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let root = workspace_root(&start).unwrap();
        assert!(root.join("Cargo.lock").is_file());
        let name = root.file_name().unwrap().to_str().unwrap();
        assert_eq!(find_upwards(&format!("{name}/Cargo.lock"), &start, Path::is_file), None);
    }

    #[test]
    fn a_span_outside_of_the_compiler_lies_nowhere() {
        assert_eq!(source_folder(Span::call_site()), None);
    }
}
