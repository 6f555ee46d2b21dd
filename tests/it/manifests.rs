//! What the manifests say to meshim, read by the parser that will read it: every command line,
//! every variable.

use std::fs;
use std::path::{Path, PathBuf};

use meshim::config;

fn manifests() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("deploy"), root.join("examples")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of ours") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                found.push(path);
            }
        }
    }
    found
}

/// `[/meshim-bin/meshim, --, "a b"]` in a line, as words.
fn flow_list(line: &str) -> Option<Vec<String>> {
    let (start, end) = (line.find('[')?, line.rfind(']')?);
    let words =
        line.get(start + 1..end)?.split(',').map(|word| word.trim().trim_matches('"').to_owned());
    Some(words.collect())
}

/// Loads a command line as meshim would.
fn load(words: &[String]) -> Result<(), String> {
    read(&words.iter().map(String::as_str).collect::<Vec<&str>>(), &[])
}

fn read(words: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    let input = config::Input {
        args: words.iter().map(Into::into).collect(),
        variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
    };
    config::load(&input).job.map(|_| ()).map_err(|failure| failure.sentence)
}

#[test]
fn every_command_line_and_every_variable_in_the_manifests_is_understood() {
    let (mut commands, mut variables) = (0, 0);
    for path in manifests() {
        let text = fs::read_to_string(&path).unwrap();
        let mut image_is_meshim = false;
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line.starts_with("image:") {
                image_is_meshim = line.contains("/meshim:") || line.ends_with("/meshim");
            }
            let told = |error: String| panic!("{}: {line}: {error}", path.display());
            let is_command = (line.starts_with("command:") || line.contains("exec: { command:"))
                && line.contains("meshim");
            let is_install = line.starts_with("args:") && image_is_meshim;
            if is_command || is_install {
                let mut words = flow_list(line)
                    .unwrap_or_else(|| panic!("{}: write in one line: {line}", path.display()));
                if is_install {
                    words.insert(0, "meshim".to_owned());
                }
                load(&words).unwrap_or_else(told);
                commands += 1;
            }
            if let Some(after) = line.split("name: MESHIM_").nth(1) {
                let (name, value) = after
                    .split_once(", value: ")
                    .unwrap_or_else(|| panic!("write in one line: {line}"));
                let value = value.trim_end_matches('}').trim().trim_matches('"');
                let variable = (format!("MESHIM_{name}"), value);
                read(&["meshim", "--supervise", "--", "app"], &[(&variable.0, variable.1)])
                    .unwrap_or_else(told);
                variables += 1;
            }
        }
        let mentioned = text.matches("MESHIM_").count()
            - text.matches("MESHIM_*").count()
            - text.matches("MESHIM_POD_GRACE tells").count()
            - text.matches("name: \"MESHIM_POD_GRACE\"").count();
        assert_eq!(
            mentioned,
            text.matches("{ name: MESHIM_").count(),
            "{}: a variable was not seen",
            path.display()
        );
    }
    assert!(
        commands >= 8 && variables >= 6,
        "only {commands} command lines and {variables} variables were found"
    );
}
