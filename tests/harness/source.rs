//! The project's own source, for rules that can be read off it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder that everything lies in.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the project")
}

/// A Rust file, without its tests at the foot.
pub struct Source {
    /// From the root.
    pub path: String,
    pub code: String,
}

/// Every Rust file below these folders.
pub fn below(folders: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut files);
    }
    files.sort();
    files.iter().map(|path| read(path)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn read(path: &Path) -> Source {
    let text = fs::read_to_string(path).expect("the file can be read");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    Source {
        path: path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned(),
        code: lines.collect::<Vec<_>>().join("\n"),
    }
}
