use super::*;

/// What each member of `json` is, read as each type.
fn members(json: &str) -> Vec<(String, Option<String>, Option<u64>, bool)> {
    let mut found: Vec<(String, Option<String>, Option<u64>, bool)> = Vec::new();
    for kind in 0..3 {
        read(json.as_bytes(), &mut |value| {
            let mut at = 0;
            value.fields(&mut |name, value| {
                if kind == 0 {
                    found.push((name.to_owned(), value.text(), None, false));
                } else if kind == 1 {
                    found[at].2 = value.number();
                } else {
                    found[at].3 = value.flag();
                }
                at += 1;
            });
        })
        .unwrap();
    }
    found
}

#[test]
fn a_member_of_another_type_loses_itself_alone() {
    let json = r#"{"a":"x","b":7,"c":"12","d":true,"e":null,"f":[1],"g":{"h":1},"i":-1,"j":1.5}"#;
    let expected = [
        ("a", Some("x"), None, false),
        ("b", None, Some(7), false),
        ("c", Some("12"), Some(12), false),
        ("d", None, None, true),
        ("e", None, None, false),
        ("f", None, None, false),
        ("g", None, None, false),
        ("i", None, None, false),
        ("j", None, None, false),
    ];
    let expected = expected
        .map(|(name, text, number, flag)| (name.to_owned(), text.map(str::to_owned), number, flag));
    assert_eq!(members(json), expected);
}

#[test]
fn what_nobody_reads_is_passed_over() {
    let mut names = Vec::new();
    let json = br#"{"deep":{"a":[{"b":1}]},"list":[{"name":"x"},7,{"name":"y"}],"last":0}"#;
    read(json, &mut |value| {
        value.fields(&mut |name, value| {
            if name == "list" {
                value.items(&mut |item| {
                    item.at(&["name"], &mut |name| names.extend(name.text()));
                });
            }
        });
    })
    .unwrap();
    assert_eq!(names, ["x", "y"]);
}

#[test]
fn fractions_are_read_however_they_are_written() {
    let mut found = Vec::new();
    let json = br#"[1, 0.5, "2", "2.5", "NaN", true, null, -1.5]"#;
    read(json, &mut |value| value.items(&mut |item| found.push(item.millionths()))).unwrap();
    let (one, half) = (Some(1_000_000), Some(500_000));
    assert_eq!(found, [one, half, Some(2_000_000), None, None, None, None, Some(0)]);
}

#[test]
fn foreign_text_cannot_leave_its_line() {
    let mut text = None;
    read(br#""a\n\u001b[31mb""#, &mut |value| text = value.text()).unwrap();
    assert_eq!(text.as_deref(), Some("a  [31mb"));
    let long = format!("\"{}\"", "ä".repeat(1000));
    read(long.as_bytes(), &mut |value| text = value.text()).unwrap();
    assert_eq!(text.map(|text| text.chars().count()), Some(300));
}

#[test]
fn what_is_no_json_is_refused() {
    let deep = "[".repeat(1000);
    for json in ["", "{", "{\"a\":}", "[1,]", "x", "{} {}", deep.as_str()] {
        let mut nothing = |value: Json<'_>| {
            value.fields(&mut |_, _| ());
        };
        assert!(matches!(read(json.as_bytes(), &mut nothing), Err(Unread::Garbage(_))), "{json}");
    }
}
