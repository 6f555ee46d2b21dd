//! One small tree for each refusal: the rules are only worth something if they refuse.

use std::path::Path;

use super::rules::{House, Place, Read, Room};

const SMALL: House = House {
    library: "house",
    rooms: &[
        Room { name: "core", holds: &["core/"], uses: &[] },
        Room { name: "core/rules", holds: &["core/rules/"], uses: &["core"] },
        Room { name: "io", holds: &["io/"], uses: &["core", "core/rules"] },
        Room { name: "lib", holds: &["lib.rs"], uses: &[] },
    ],
    crates: &[
        Place { path: "sys", allowed: &["io/"] },
        Place { path: "wire_format", allowed: &["io/files.rs"] },
    ],
    effects: &[
        Place { path: "std::fs", allowed: &["io/"] },
        Place { path: "std::time::Instant", allowed: &["io/"] },
    ],
};

fn fixture(name: &str) -> Read<'static> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layers/fixtures").join(name);
    Read::new(&SMALL, &folder)
}

#[test]
fn a_good_tree_passes() {
    let good = fixture("good");
    assert_eq!(good.without_a_room(), [""; 0]);
    assert_eq!(good.arrows_up(), [""; 0]);
    assert_eq!(good.rooms_out_of_order(), [""; 0]);
    assert_eq!(good.circles(), [""; 0]);
    assert_eq!(good.types_defined_twice(), [""; 0]);
    assert_eq!(good.crates(), [""; 0]);
    assert_eq!(good.effects(), [""; 0]);
}

#[test]
fn an_arrow_to_the_layer_above_is_refused() {
    let wrong = ["core/words.rs:1: core may not use io/files.rs (io)"];
    assert_eq!(fixture("up_a_layer").arrows_up(), wrong);
}

#[test]
fn an_arrow_to_the_room_above_is_refused() {
    let wrong = ["core/words.rs:1: core may not use core/rules/judge.rs (core/rules)"];
    assert_eq!(fixture("up_a_room").arrows_up(), wrong);
}

#[test]
fn an_arrow_up_is_seen_however_it_is_written() {
    for (name, line) in [
        ("up_by_super", 1),
        ("up_in_a_group", 1),
        ("up_by_a_full_path", 2),
        ("up_in_a_macro", 2),
        ("up_by_a_glob", 1),
    ] {
        let wrong =
            [format!("core/rules/judge.rs:{line}: core/rules may not use io/files.rs (io)")];
        assert_eq!(fixture(name).arrows_up(), wrong, "{name}");
    }
}

#[test]
fn an_arrow_up_is_seen_behind_another_name() {
    let wrong = [
        "core/rules/judge.rs:5: core/rules may not use io/files.rs (io)",
        "core/rules/judge.rs:2: core/rules may not use io/mod.rs (io)",
    ];
    assert_eq!(fixture("up_through_a_name").arrows_up(), wrong);
}

#[test]
fn a_re_export_does_not_hide_where_the_arrow_ends() {
    let wrong = [
        "core/rules/judge.rs:1: core/rules may not use io/files.rs (io)",
        "core/words.rs:1: core may not use io/files.rs (io)",
    ];
    assert_eq!(fixture("up_by_a_re_export").arrows_up(), wrong);
}

#[test]
fn a_circle_inside_one_folder_is_refused() {
    let wrong = ["core/rules/judge.rs -> core/rules/messages.rs -> core/rules/judge.rs"];
    assert_eq!(fixture("circle_in_a_folder").circles(), wrong);
    assert_eq!(fixture("circle_in_a_folder").arrows_up(), [""; 0]);
}

#[test]
fn a_circle_of_three_is_one_circle() {
    let wrong = ["core/rules/judge.rs -> core/rules/messages.rs -> core/rules/sockets.rs -> \
         core/rules/judge.rs"];
    assert_eq!(fixture("circle_of_three").circles(), wrong);
}

#[test]
fn a_child_that_uses_the_parent_that_uses_it_is_a_circle() {
    let wrong = ["core/rules/judge.rs -> core/rules/mod.rs -> core/rules/judge.rs"];
    assert_eq!(fixture("circle_with_the_parent").circles(), wrong);
}

#[test]
fn a_circle_is_seen_through_re_exports() {
    let wrong = ["core/rules/judge.rs -> core/rules/messages.rs -> core/rules/judge.rs"];
    assert_eq!(fixture("circle_by_a_re_export").circles(), wrong);
}

#[test]
fn a_file_outside_of_every_room_is_refused() {
    let wrong = ["core/attic/mod.rs: stands in no room", "helpers.rs: stands in no room"];
    assert_eq!(fixture("file_without_a_room").without_a_room(), wrong);
}

#[test]
fn a_type_that_is_defined_twice_is_refused() {
    let wrong = ["Plan: core/rules/judge.rs:1, io/files.rs:6"];
    assert_eq!(fixture("type_defined_twice").types_defined_twice(), wrong);
}

#[test]
fn a_crate_that_is_not_listed_is_refused() {
    let wrong = ["Cargo.toml: surprise is not in the list of crates"];
    assert_eq!(fixture("crate_not_listed").crates(), wrong);
}

#[test]
fn a_crate_that_is_not_used_is_refused() {
    assert_eq!(fixture("crate_not_used").crates(), ["Cargo.toml: sys is used nowhere"]);
}

#[test]
fn a_listed_crate_that_is_gone_is_refused() {
    let wrong = ["the list of crates: wire_format is not in Cargo.toml"];
    assert_eq!(fixture("crate_not_there").crates(), wrong);
}

#[test]
fn a_crate_out_of_its_place_is_refused() {
    let wrong = ["core/words.rs:1: sys::Word does not belong here"];
    assert_eq!(fixture("crate_out_of_place").crates(), wrong);
}

#[test]
fn an_effect_in_core_is_refused() {
    let wrong = [
        "core/rules/judge.rs:3: std::fs does not belong here",
        "core/rules/judge.rs:6: std::fs::read does not belong here",
        "core/rules/judge.rs:1: std::time::Instant does not belong here",
    ];
    assert_eq!(fixture("effect_in_core").effects(), wrong);
}
