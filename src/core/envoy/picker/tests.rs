use super::*;

const WANTED: &[Path] = &[
    &["state"],
    &["node", "metadata", "ISTIO_VERSION"],
    &["configs", EACH, "cluster", "name"],
    &["configs", EACH, "hosts", EACH],
];

/// The parts of `json`, which comes in pieces of `size` bytes.
fn picked(json: &str, size: usize, most: usize) -> Result<Vec<String>, Unread> {
    let (mut picker, mut parts) = (Picker::new(WANTED, most), Vec::new());
    for piece in json.as_bytes().chunks(size) {
        picker.feed(piece, &mut |path, part| {
            let part = part.map_or("too long".into(), String::from_utf8_lossy);
            parts.push(format!("{} = {part}", path.join("/")));
        })?;
    }
    picker.finish().map(|()| parts)
}

#[test]
fn wanted_parts_are_found_however_the_bytes_arrive() {
    let json = r#" { "other": [1, {"state": "no"}], "state" : "LI\"VE\\", "x": {},
        "node": {"metadata": {"A": [[]], "ISTIO_VERSION": 1.24, "ISTIO_VERSION2": 0}},
        "configs": [{"cluster": {"name": null, "hosts": [9]}, "hosts": [{"a": [1, "}"]}, true]},
                    7, {"cluster": [], "hosts": []}, {"hosts": "h"}] } "#;
    let expected = [
        r#"state = "LI\"VE\\""#,
        "node/metadata/ISTIO_VERSION = 1.24",
        "configs/*/cluster/name = null",
        r#"configs/*/hosts/* = {"a":[1,"}"]}"#,
        "configs/*/hosts/* = true",
    ];
    for size in [1, 2, 3, 7, 1000] {
        assert_eq!(picked(json, size, 100).unwrap(), expected, "{size}");
    }
}

#[test]
fn a_part_that_is_too_long_is_told_and_not_held() {
    let json = r#"{"state": "0123456789", "configs": [{"hosts": ["0123456789", 1]}]}"#;
    let expected = ["state = too long", "configs/*/hosts/* = too long", "configs/*/hosts/* = 1"];
    assert_eq!(picked(json, 5, 8).unwrap(), expected);
    assert_eq!(picked(json, 5, 12).unwrap()[0], r#"state = "0123456789""#);
}

#[test]
fn what_is_no_complete_object_is_refused() {
    let deep = format!("{{\"a\":{}", "[".repeat(1000));
    let refused = [
        "",
        " ",
        "LIVE",
        "[]",
        "7",
        "\"x\"",
        "{",
        "{\"a\"",
        "{\"a\":1",
        "{]",
        "{\"a\":1}}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"a\":[1}",
        "{\"a\":1 2}",
        "{a:1}",
        "{\"a\":<html>}",
        &deep,
    ];
    for json in refused {
        for size in [1, 1000] {
            let read = picked(json, size, 100);
            assert!(matches!(read, Err(Unread::Garbage(_))), "{json}: {read:?}");
        }
    }
}

#[test]
fn it_agrees_with_serde_on_real_shapes() {
    let name = "x".repeat(500);
    let cluster = |number| serde_json::json!({"cluster": {"name": format!("c{number}")}});
    let clusters = (0..50).map(cluster);
    let json = serde_json::json!({
        name: 1, "state": {"a": [null, -1.5e3, "é\u{1f600}\n"]},
        "configs": clusters.collect::<Vec<_>>(),
    });
    for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
        let parts = picked(&text, 11, 1000).unwrap();
        assert_eq!(parts.len(), 51);
        let state = parts.iter().find_map(|part| part.strip_prefix("state = ")).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(state).unwrap(), json["state"]);
        assert!(parts.contains(&"configs/*/cluster/name = \"c49\"".to_owned()));
    }
}

/// The next of a row of numbers that look random and are the same each time (Knuth's LCG).
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    usize::try_from(*state >> 40).unwrap()
}

/// JSON of the tokens that matter here, nested at random.
fn value(state: &mut u64, depth: usize) -> serde_json::Value {
    const NAMES: [&str; 7] =
        ["state", "node", "metadata", "ISTIO_VERSION", "configs", "cluster", "hosts"];
    let names = |state: &mut u64| NAMES[next(state) % NAMES.len()].to_owned();
    match next(state) % if depth == 0 { 3 } else { 6 } {
        0 => serde_json::Value::Null,
        1 => serde_json::json!(next(state)),
        2 => serde_json::json!("a\"\\}{][,:\n\u{e9}"),
        3 => (0..next(state) % 4).map(|_| value(state, depth - 1)).collect(),
        _ => {
            let members = (0..next(state) % 5).map(|_| (names(state), value(state, depth - 1)));
            serde_json::Value::Object(members.collect())
        }
    }
}

/// The values at `path`, as serde sees them, in order.
fn at<'a>(value: &'a serde_json::Value, path: &[&str], found: &mut Vec<&'a serde_json::Value>) {
    match (path, value) {
        ([], value) => found.push(value),
        ([EACH, rest @ ..], serde_json::Value::Array(items)) => {
            for item in items {
                at(item, rest, found);
            }
        }
        ([name, rest @ ..], serde_json::Value::Object(members)) => {
            members.get(*name).into_iter().for_each(|member| at(member, rest, found));
        }
        _ => {}
    }
}

#[test]
fn of_any_json_it_picks_what_serde_finds_at_the_same_paths() {
    let mut state = 7;
    for _ in 0..2_000 {
        let members = (0..4).map(|_| value(&mut state, 5));
        let names = ["state", "node", "configs", "x"].map(str::to_owned);
        let json = serde_json::Value::Object(names.into_iter().zip(members).collect());
        let text = json.to_string();
        for path in WANTED {
            let mut expected = Vec::new();
            at(&json, path, &mut expected);
            let (mut picker, mut parts) = (Picker::new(WANTED, 100_000), Vec::new());
            for piece in text.as_bytes().chunks(1 + next(&mut state) % 20) {
                picker
                    .feed(piece, &mut |found, part| {
                        if found == *path {
                            let part: serde_json::Value =
                                serde_json::from_slice(part.unwrap()).unwrap();
                            parts.push(part);
                        }
                    })
                    .unwrap();
            }
            picker.finish().unwrap();
            assert_eq!(parts.iter().collect::<Vec<_>>(), expected, "{path:?} of {text}");
        }
    }
}

#[test]
fn broken_json_ends_without_a_panic_and_without_a_part_that_is_too_long() {
    let mut state = 11;
    for _ in 0..20_000 {
        let mut text = value(&mut state, 6).to_string().into_bytes();
        for _ in 0..=next(&mut state) % 4 {
            let at = next(&mut state) % text.len();
            text[at] = b"{}[],:\"\\x0\xff"[next(&mut state) % 11];
        }
        text.truncate(1 + next(&mut state) % text.len());
        let mut picker = Picker::new(WANTED, 50);
        let each = &mut |_: Path, part: Option<&[u8]>| {
            assert!(part.is_none_or(|part| part.len() <= 50));
        };
        let fed = text.chunks(7).try_for_each(|piece| picker.feed(piece, each));
        let ended = fed.and_then(|()| picker.finish());
        if let Ok(serde_json::Value::Object(_)) = serde_json::from_slice(&text) {
            assert_eq!(ended, Ok(()), "{}", String::from_utf8_lossy(&text));
        }
    }
}
