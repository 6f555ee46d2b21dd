//! The page on support says how each cell is known, and names tests that exist.

use std::collections::BTreeSet;

use meshim::core::mesh::Mesh;

use super::page;

/// Each row of each table below a head that has the columns `how` and `held by`: the two cells.
fn rows(text: &str) -> Vec<(String, String)> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let cells = rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect());
    let cells = cells.filter(|cells: &Vec<&str>| {
        cells.last() != Some(&"held by") && !cells.iter().all(|cell| *cell == "---")
    });
    let last_two = |cells: Vec<&str>| {
        let [.., how, held] = &cells[..] else { panic!("a row of less than two cells") };
        ((*how).to_owned(), (*held).to_owned())
    };
    cells.map(last_two).collect()
}

/// The tests that a text names: file and function.
fn named(text: &str) -> Vec<(&str, &str)> {
    page::code(text).into_iter().filter_map(|name| name.split_once("::")).collect()
}

#[test]
fn each_row_says_how_it_is_known_and_what_holds_it() {
    let text = page::read("docs/support.md");
    let rows = rows(&text);
    assert!(rows.len() > 30, "{} rows", rows.len());
    for (how, held) in rows {
        assert!(["real", "recorded", "read"].contains(&how.as_str()), "{how}: {held}");
        let is_held = held.contains(".ci/run") || held.starts_with("all ") || held.contains("::");
        assert!(is_held, "nothing holds it: {held}");
    }
}

#[test]
fn each_test_that_is_named_exists() {
    let text = page::read("docs/support.md");
    let tests = named(&text);
    assert!(tests.len() > 30, "{} tests", tests.len());
    for (file, function) in tests {
        let source = page::read(file);
        let is_there =
            ["fn", "def"].iter().any(|word| source.contains(&format!("{word} {function}(")));
        assert!(is_there, "{file} has no {function}");
    }
}

/// A version on the page: the file that says what is really used, and where in it.
const VERSIONS: [(&str, &str, &str); 14] = [
    ("v0.0.0-20260827124520-eed52ebb66ad", "tests/istio/tools/go.mod", "istio.io/istio {}"),
    ("1.36.3", "tests/cluster/tools/go.mod", "k8s.io/kubernetes v{}\n"),
    ("1.36.3", "tests/cluster/run.py", "KUBERNETES = \"v{}\""),
    ("containerd 2.2", "tests/cluster/tools/go.mod", "github.com/containerd/containerd/v2 v2.2."),
    ("1.40.0", "tests/it/support/envoy.rs", "\"{}\""),
    ("1.36.4", "tests/it/support/envoy.rs", "\"{}\""),
    ("1.36.4", ".ci/run", "MESHIM_TEST_ENVOY={}"),
    ("2026-08-21", "tests/it/support/meshes/linkerd.rs", "release of {}"),
    ("2.14.3", "tests/it/support/meshes/kuma.rs", "kuma-dp {}"),
    ("28a963a", "tests/it/support/meshes/consul.rs", "{}"),
    ("1.30 to 1.37", "tests/manifests/schemas.py", "[\"1.30\", \"1.37\"]"),
    ("from 1.35", "tests/manifests/schemas.py", "WITH_IMAGE_VOLUMES = [\"1.35\""),
    ("the policy from 1.36", "tests/manifests/schemas.py", "\"policy.yaml\": [\"1.36\""),
    ("podman 4.3", "tests/pod/pods.py", "PLAYED_BY = \"{}\""),
];

#[test]
fn the_versions_that_it_tells_are_those_that_are_tried() {
    let text = page::read("docs/support.md");
    for (version, file, form) in VERSIONS {
        assert!(text.contains(version), "docs/support.md does not tell {version}");
        let used = form.replace("{}", version);
        assert!(page::read(file).contains(&used), "docs/support.md: {version} is not in {file}");
    }
}

/// A case that nobody mentions is support that nobody hears of.
#[test]
fn each_case_beside_a_real_istio_about_traffic_and_stopping_is_named() {
    let text = page::read("docs/support.md");
    let told: BTreeSet<(&str, &str)> = named(&text).into_iter().collect();
    for subject in ["stopping", "listening", "doctoring"] {
        let file = format!("tests/istio/cases/{subject}.py");
        let source = page::read(&file);
        let cases = source.split("@case\ndef ").skip(1);
        let names = cases.map(|rest| rest.split('(').next().unwrap_or_default());
        for name in names {
            assert!(told.contains(&(file.as_str(), name)), "docs/support.md: {file}: {name}");
        }
    }
}

#[test]
fn each_mesh_is_on_the_page() {
    let text = page::read("docs/support.md").to_lowercase().replace(' ', "");
    for mesh in Mesh::ALL {
        let name = mesh.to_string();
        assert!(name == "none" || text.contains(&name), "docs/support.md: {name} is missing");
    }
}
