//! Where the templates come from.

use std::{collections::BTreeMap, fs, io, path::Path};

/// Texts by their names, such as `de/password_setup.txt`.
type Sources = BTreeMap<String, String>;

macro_rules! embedded {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../../templates/", $name))),)*]
    };
}

/// Those of the program.
pub(super) fn embedded() -> Sources {
    let embedded = embedded! {
        "layout.html"
        "de/lifespan.txt" "de/password_setup.subject.txt" "de/password_setup.txt" "de/password_setup.html"
        "de/email_verification.subject.txt" "de/email_verification.txt" "de/email_verification.html"
        "en/lifespan.txt" "en/password_setup.subject.txt" "en/password_setup.txt" "en/password_setup.html"
        "en/email_verification.subject.txt" "en/email_verification.txt" "en/email_verification.html"
        "es/lifespan.txt" "es/password_setup.subject.txt" "es/password_setup.txt" "es/password_setup.html"
        "es/email_verification.subject.txt" "es/email_verification.txt" "es/email_verification.html"
        "fr/lifespan.txt" "fr/password_setup.subject.txt" "fr/password_setup.txt" "fr/password_setup.html"
        "fr/email_verification.subject.txt" "fr/email_verification.txt" "fr/email_verification.html"
    };
    embedded.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// Those of a folder, and of the folders in it. What is neither text nor HTML is not meant, nor is what is hidden: a
/// `ConfigMap` of Kubernetes has its files there too, under `..data`.
pub(super) fn below(folder: &Path) -> io::Result<Sources> {
    let mut sources = Sources::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if entry.path().is_dir() {
            let inner = below(&entry.path())?;
            // Languages are compared in lower case.
            sources.extend(inner.into_iter().map(|(inner, text)| (format!("{}/{inner}", name.to_lowercase()), text)));
        } else if is_template(&name) {
            sources.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(sources)
}

fn is_template(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "txt" || extension == "html")
}
