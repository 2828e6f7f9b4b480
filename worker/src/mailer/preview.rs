//! `usher-worker mail preview`: the mails as people would get them, as files to look at.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::template::{Templates, Variables};

/// Writes one language, or all that there are. Returns the files.
pub fn write(
    templates: &Templates,
    variables: &Variables<'_>,
    locale: Option<&str>,
    folder: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let locales = locale.map_or_else(|| templates.locales().collect(), |locale| vec![locale]);
    let mut files = Vec::new();
    for locale in locales {
        let words = templates.password_setup(Some(locale), variables)?;
        let text = format!("Subject: {}\n\n{}\n", words.subject.trim(), words.text);
        for (extension, content) in [("txt", text), ("html", words.html)] {
            let file = folder.join(format!("password_setup.{locale}.{extension}"));
            fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
            files.push(file);
        }
    }
    Ok(files)
}
