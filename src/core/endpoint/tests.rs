use super::*;

fn read(text: &str) -> Endpoint {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn urls_read_back_as_they_were_typed() {
    for text in [
        "http://127.0.0.1:15000/ready",
        "http://localhost:15021/healthz/ready",
        "http://[::1]:9901/ready?x=1&y=%20",
        "unix:/run/admin.sock:/ready",
    ] {
        assert_eq!(read(text).to_string(), text);
    }
}

#[test]
fn what_is_left_out_gets_its_default() {
    assert_eq!(read("http://127.0.0.1").to_string(), "http://127.0.0.1:80/");
    assert_eq!(read("http://[::1]/x").to_string(), "http://[::1]:80/x");
    assert_eq!(read("http://localhost:1?q").to_string(), "http://localhost:1/?q");
    assert_eq!(read("unix:///run/a.sock").to_string(), "unix:/run/a.sock:/");
    assert_eq!(read("unix:////run/a.sock").to_string(), "unix:/run/a.sock:/");
    assert_eq!(read("http://LOCALHOST:1").address, Address::Tcp { host: Host::Localhost, port: 1 });
}

#[test]
fn what_is_no_url_is_refused() {
    type Error = fn(String) -> BadEndpoint;
    let table: [(&str, Error); 18] = [
        ("", BadEndpoint::Scheme),
        ("127.0.0.1:15000", BadEndpoint::Scheme),
        ("HTTP//x", BadEndpoint::Scheme),
        ("https://127.0.0.1:1", BadEndpoint::Tls),
        ("http://", BadEndpoint::Host),
        ("http://:80", BadEndpoint::Host),
        ("http://user@127.0.0.1:80", BadEndpoint::Host),
        ("http://::1:80", BadEndpoint::Host),
        ("http://proxy.example:80/", BadEndpoint::Host),
        ("http://127.1/", BadEndpoint::Host),
        ("http://[::1", BadEndpoint::Host),
        ("http://127.0.0.1:0/", BadEndpoint::Port),
        ("http://127.0.0.1:65536/", BadEndpoint::Port),
        ("http://127.0.0.1:80/a b", BadEndpoint::Path),
        ("http://127.0.0.1:80/a#b", BadEndpoint::Path),
        ("http://127.0.0.1:80/\r\nX: y", BadEndpoint::Path),
        ("unix:admin.sock", BadEndpoint::Socket),
        ("unix:////", BadEndpoint::Socket),
    ];
    for (text, error) in table {
        assert_eq!(text.parse::<Endpoint>(), Err(error(text.to_owned())), "{text}");
    }
}

#[test]
fn a_socket_path_has_107_bytes_at_most() {
    let path = |length: usize| format!("unix:/{}", "a".repeat(length - 1)).parse::<Endpoint>();
    assert!(path(107).is_ok());
    assert!(matches!(path(108), Err(BadEndpoint::LongSocket(_))));
}

#[test]
fn only_what_is_certainly_in_this_pod_is_local() {
    for text in [
        "http://127.8.9.1:1",
        "http://[::1]:1",
        "http://[::ffff:127.0.0.1]:1",
        "http://localhost",
        "unix:/a",
    ] {
        assert!(read(text).address.is_local(), "{text}");
    }
    for text in ["http://10.0.0.1", "http://0.0.0.0", "http://[::]"] {
        let address = read(text).address;
        assert!(!address.is_local(), "{text}");
        assert_eq!(address.is_wildcard(), text != "http://10.0.0.1", "{text}");
    }
}
