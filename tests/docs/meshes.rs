//! Each mesh stands wherever a reader looks for it.

use clap::CommandFactory as _;
use meshim::cli::Cli;
use meshim::core::mesh::Mesh;

use super::page;

#[test]
fn readme_has_a_row_for_each_mesh() {
    let readme = page::read("README.md");
    let table = page::table(page::section(&readme, "## Meshes"));
    for mesh in Mesh::ALL {
        let name = mesh.to_string();
        let listed = table.iter().any(|cells| page::code(&cells[0]).contains(&name.as_str()));
        assert!(listed, "README.md, Meshes: {name} is missing");
    }
}

#[test]
fn help_names_each_mesh() {
    let command = Cli::command();
    let option = command.get_arguments().find(|arg| arg.get_long() == Some("mesh"));
    let help = option.and_then(|arg| arg.get_help()).expect("--mesh has help").to_string();
    for mesh in Mesh::ALL {
        let words = help.split(|letter: char| !letter.is_alphanumeric());
        assert!(words.into_iter().any(|word| word == mesh.to_string()), "--mesh: {mesh}: {help}");
    }
}
