//! `deploy/grafana/`: what the dashboards ask.

use std::fs;

use serde_json::Value;

use crate::harness::source::root;

pub(super) struct Panel {
    pub(super) title: String,
    /// Of Prometheus, with Grafana's variables in them.
    pub(super) queries: Vec<String>,
}

pub(super) fn panels() -> Vec<Panel> {
    let folder = root().join("deploy/grafana/dashboards");
    let files = fs::read_dir(folder).expect("there are dashboards").map(|file| file.expect("a file").path());
    let dashboards = files.map(|path| fs::read_to_string(path).expect("a dashboard can be read"));
    dashboards.flat_map(|text| panels_of(&serde_json::from_str(&text).expect("a dashboard is JSON"))).collect()
}

fn panels_of(dashboard: &Value) -> Vec<Panel> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let array = |value: &Value| value.as_array().expect("a list").clone();
    let panel = |panel: Value| Panel {
        title: text(&panel["title"]),
        queries: array(&panel["targets"]).iter().map(|target| text(&target["expr"])).collect(),
    };
    array(&dashboard["panels"]).into_iter().map(panel).collect()
}

#[test]
fn every_panel_is_explained_and_every_explained_one_is_there() {
    let readme = fs::read_to_string(root().join("deploy/grafana/README.md")).expect("there is a README");
    let explained = readme.lines().filter_map(|line| line.strip_prefix("- **")?.split("**").next());
    let (mut explained, mut there): (Vec<_>, Vec<_>) =
        (explained.map(str::to_owned).collect(), panels().into_iter().map(|panel| panel.title).collect());
    explained.sort();
    there.sort();
    assert_eq!(explained, there);
}
