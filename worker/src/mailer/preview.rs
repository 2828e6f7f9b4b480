//! `usher-worker mail preview`: the mails as people would get them, as files to look at.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::template::{Template, Templates, Variables};

/// Writes one mail and one language, or all that there are. Returns the files.
pub fn write(
    templates: &Templates,
    template: Option<Template>,
    variables: &Variables<'_>,
    locale: Option<&str>,
    folder: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let locales: Vec<&str> = match locale {
        None => templates.locales().collect(),
        Some(wanted) => {
            let closest = templates.closest(Some(wanted));
            vec![closest.with_context(|| format!("there are no templates for the language {wanted}"))?]
        }
    };
    let wanted = template.map_or_else(|| Template::ALL.to_vec(), |template| vec![template]);
    let mut files = Vec::new();
    for (template, locale) in wanted.iter().flat_map(|template| locales.iter().map(move |locale| (template, locale))) {
        let words = templates.words(*template, Some(locale), variables)?;
        let text = format!("Subject: {}\n\n{}\n", words.subject.trim(), words.text);
        for (extension, content) in [("txt", text), ("html", words.html)] {
            let file = folder.join(format!("{}.{locale}.{extension}", template.name()));
            fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
            files.push(file);
        }
    }
    Ok(files)
}
