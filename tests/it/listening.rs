//! `meshim check` and `--listen` against sockets that are there, or are not, and proxies that tell
//! little or nothing.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use meshim::cmd::check::after_start;
use meshim::core::mesh::Mesh;
use meshim::core::proxy::{Given, Proxy};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::istio::{Admin, clusters, codes, not_seen, original_dst, read, server_info};
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::process::Ended;
use crate::support::reply::Reply;
use crate::support::shared::Shared;
use crate::support::standin::StandIn;

/// The same from an Envoy that does not know `name_regex`: behind `bytes` of outbound clusters, one
/// of which is half of it.
fn clusters_beside(ports: &[u16], bytes: usize) -> Reply {
    let cluster = |name: String, bytes: usize| {
        let hosts = json!({ "endpoints": "x".repeat(bytes) });
        json!({ "cluster": { "name": name, "type": "STRICT_DNS", "load_assignment": hosts } })
    };
    let small = (0..bytes / 2 / 1000).map(|number| cluster(format!("outbound|80||{number}"), 1000));
    let mut configs: Vec<Value> = small.collect();
    configs.push(cluster("outbound|80||large".to_owned(), bytes / 2));
    configs.extend(ports.iter().map(|port| original_dst(&format!("inbound|{port}||"))));
    Reply::envoy(200, json!({ "configs": configs }).to_string())
}

const LOOPBACK: &str = "listens-on-loopback-only";

#[test]
fn a_port_of_a_service_on_loopback_fails_the_check() {
    inside(|| {
        let admin = Admin::naming(&[8080]);
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        let report = read(&admin.check().run().expect_code(1));
        assert_eq!(codes(&report), [(LOOPBACK, "error")]);
        assert_eq!(report["facts"]["mesh"], "istio 1.24.0");
        assert_eq!(report["facts"]["pod_addresses"], "10.0.0.5");
        assert_eq!(not_seen(&report), "[]");
        let text = admin.check().with(["--output=text"]).run().expect_code(1).stdout;
        let begin = "NOT OK: 1 error, 0 warnings\n\nerror: the application (";
        assert!(text.starts_with(begin) && text.contains("fix: let the application"), "{text}");
    });
}

#[test]
fn a_port_that_no_service_names_may_stay_on_loopback() {
    inside(|| {
        let admin = Admin::naming(&[]);
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        assert_eq!(codes(&read(&admin.check().run().expect_code(0))), [(LOOPBACK, "info")]);
        let report = read(&admin.check().env("MESHIM_LISTEN", "0.0.0.0:8080").run().expect_code(1));
        assert_eq!(codes(&report), [(LOOPBACK, "error")]);
    });
}

#[test]
fn a_locked_admin_api_leaves_the_version_or_the_default_and_says_so() {
    inside(|| {
        let admin = Admin::new();
        let locked = || Reply::envoy(403, "Forbidden");
        admin.proxy.says("/config_dump", locked()).says("/server_info", server_info("1.24.0"));
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        let report = read(&admin.check().run().expect_code(0));
        assert_eq!(codes(&report), [(LOOPBACK, "warning")]);
        assert!(not_seen(&report).contains("/config_dump: 403, this path is locked"), "{report}");
        assert!(
            report["facts"]["inbound_traffic"]
                .as_str()
                .unwrap()
                .contains("by Istio's version 1.24.0"),
            "{report}"
        );
        admin.proxy.says("/server_info", locked());
        let report = read(&admin.check().run().expect_code(0));
        assert!(not_seen(&report).contains("/server_info: 403, this path is locked"), "{report}");
        assert!(
            report["facts"]["inbound_traffic"].as_str().unwrap().contains("told neither"),
            "{report}"
        );
    });
}

#[test]
fn an_absent_admin_api_leaves_the_default_and_says_so() {
    inside(|| {
        let report = read(
            &Meshim::does("check").with(["--mesh=istio", "--output=json"]).run().expect_code(1),
        );
        assert_eq!(codes(&report), [("proxy-gone", "error")]);
        assert!(
            not_seen(&report).contains("http://localhost:15000/config_dump: nobody listens there"),
            "{report}"
        );
        assert!(not_seen(&report).contains("no interface has one"), "{report}");
    });
}

#[test]
fn without_clusters_an_old_version_means_loopback() {
    inside(|| {
        let admin = Admin::new();
        admin
            .proxy
            .says("/config_dump", Reply::envoy(404, ""))
            .says("/server_info", server_info("1.9.9"));
        let _loopback = TcpListener::bind("127.0.0.1:8080").unwrap();
        assert_eq!(codes(&read(&admin.check().run().expect_code(0))), []);
        admin.proxy.says("/server_info", server_info("1.10.0"));
        assert_eq!(codes(&read(&admin.check().run().expect_code(0))), [(LOOPBACK, "warning")]);
    });
}

#[test]
fn without_proc_it_is_said_that_nobodys_processes_were_seen() {
    inside(|| {
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        let hide = "mount -t tmpfs none /proc && exec \"$@\"";
        let check = Meshim::does("check")
            .with(["--output=json"])
            .env("PATH", "/usr/bin:/bin")
            .behind_shell(hide);
        let report = read(&check.run().expect_code(0));
        assert!(
            not_seen(&report).contains("/proc shows no process, not even this one; mount /proc"),
            "{report}"
        );
        // A socket that might be the application's is taken for it, and not passed over.
        assert!(report["facts"]["listening"].as_str().unwrap().contains("8080"), "{report}");
    });
}

#[test]
fn sockets_of_another_user_are_judged_as_a_warning_and_that_is_said() {
    inside(|| {
        let admin = Admin::naming(&[8080]);
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        // Without capabilities even root's own processes are closed to it, as another user's are in
        // a container.
        let bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
        let report = read(&admin.check().behind(bare).run().expect_code(0));
        assert!(not_seen(&report).contains("the sockets of"), "{report}");
        assert!(
            report["findings"][0]["seen"]
                .as_str()
                .unwrap()
                .contains("its process could not be seen"),
            "{report}"
        );
        assert_eq!(codes(&report), [(LOOPBACK, "warning")]);
    });
}

#[test]
fn an_application_that_never_listens_is_told_where_somebody_wants_it() {
    inside(|| {
        let admin = Admin::naming(&[8080]);
        let report = read(&admin.check().run().expect_code(0));
        assert_eq!(codes(&report), [("nobody-listens", "warning")]);
        let report = read(&admin.check().with(["--listen=0.0.0.0:8080"]).run().expect_code(1));
        assert_eq!(codes(&report), [("nobody-listens", "error")]);
    });
}

#[test]
fn fifty_ports_are_one_finding_and_five_thousand_sockets_are_read() {
    inside(|| {
        let admin = Admin::naming(&[]);
        let fifty: Vec<TcpListener> =
            (9000..9050).map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap()).collect();
        let report = read(&admin.check().run().expect_code(0));
        assert_eq!(codes(&report), [(LOOPBACK, "info")]);
        assert!(
            report["findings"][0]["seen"].as_str().unwrap().ends_with("ports 9000-9049"),
            "{report}"
        );
        drop(fifty);
        setrlimit(Resource::RLIMIT_NOFILE, 8_192, 8_192).expect("the hard limit is at least that");
        let many: Vec<TcpListener> =
            (21_000..26_000).map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap()).collect();
        let report = read(&admin.check().run().expect_code(0));
        assert!(
            report["findings"][0]["seen"].as_str().unwrap().ends_with("ports 21000-25999"),
            "{report}"
        );
        drop(many);
    });
}

#[test]
fn a_config_dump_of_megabytes_costs_a_supervisor_nothing_that_stays() {
    inside(|| {
        let admin = Admin::naming(&[8080]);
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        let socket = admin.url();
        let peak = |dump: Reply| {
            admin.proxy.says("/config_dump", dump);
            let ready = format!("{socket}:/ready");
            let run = Meshim::starts(["sleep", "60"])
                .with(["--supervise", "--mesh=istio", "--ready-url", &ready])
                .with(["--admin-url", &socket])
                .spawn();
            run.wait_for_stderr("listens on 127.0.0.1 only, port 8080");
            let peak = run.peak_memory_kib();
            run.signal(Signal::SIGKILL);
            peak
        };
        let (small, large) = (peak(clusters(&[8080])), peak(clusters_beside(&[8080], 8_000_000)));
        assert!(large < small + 1024, "{large} KiB instead of {small} KiB");
    });
}

#[test]
fn a_listen_address_that_the_mesh_cannot_reach_keeps_the_application_from_starting() {
    inside(|| {
        let admin = StandIn::on_port(15000);
        admin
            .says("/ready", Reply::live())
            .says("/config_dump", clusters(&[8080]))
            .says("/server_info", server_info("1.24.0"));
        let ready = StandIn::on_port(15021);
        ready.says("/healthz/ready", Reply::plain(200, ""));
        let run = |listen: &str| {
            Meshim::starts(["echo", "started"]).with(["--mesh=istio", "--listen", listen])
        };
        let ended = run("127.0.0.1:8080").run().expect_code(125);
        assert_eq!(ended.stdout, "");
        ended.expect_stderr(&["listens on 127.0.0.1 only, port 8080", "--check warn"]);
        assert_eq!(run("0.0.0.0:8080").run().expect_code(0).stdout, "started\n");
        let warned = run("127.0.0.1:8080").with(["--check=warn"]).run().expect_code(0);
        warned.expect_stderr(&["warning: the application, as --listen says,"]);
        assert_eq!(
            run("127.0.0.1:8080")
                .with(["--check=off"])
                .run()
                .expect_code(0)
                .stderr
                .matches("listens")
                .count(),
            0
        );
    });
}

#[test]
fn a_port_of_the_proxys_is_refused_before_the_wait() {
    let run = Meshim::starts(["true"])
        .with(["--mesh=istio", "--timeout=0"])
        .env("MESHIM_LISTEN", "0.0.0.0:15090");
    run.run().expect_code(125).expect_stderr(&["port 15090, the istio proxy's own"]);
}

#[test]
fn sockets_that_come_and_go_while_they_are_read_do_no_harm() {
    inside(|| {
        let admin = Admin::naming(&[8080]);
        let _app = TcpListener::bind("0.0.0.0:8080").unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let batch: Vec<TcpListener> =
                        (0..50).flat_map(|_| TcpListener::bind("127.0.0.1:0")).collect();
                    drop(batch);
                }
            });
            let ran: Vec<Ended> = (0..20).map(|_| admin.check().run()).collect();
            over.store(true, Ordering::SeqCst);
            for ended in ran {
                let report = read(&ended.expect_code(0));
                // What was there at that moment is on loopback and no Service names it.
                assert!(codes(&report).iter().all(|code| *code == (LOOPBACK, "info")), "{report}");
            }
        });
    });
}

#[test]
fn an_ambient_pod_has_no_sidecar_and_its_addresses_count() {
    inside(|| {
        let ztunnel =
            [15001, 15006, 15008].map(|port| TcpListener::bind(("0.0.0.0", port)).unwrap());
        let report = read(&Meshim::does("check").with(["--output=json"]).run().expect_code(0));
        assert!(report["facts"]["mesh"].as_str().unwrap().contains("ambient"), "{report}");
        assert!(
            report["facts"]["inbound_traffic"].as_str().unwrap().contains("the kernel delivers it"),
            "{report}"
        );
        drop(ztunnel);
    });
}

#[test]
fn how_another_meshs_proxy_forwards_is_not_guessed_at() {
    inside(|| {
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        let proxy = StandIn::on_port(19000);
        proxy.says("/ready", Reply::live());
        let check = Meshim::does("check").with(["--mesh=consul", "--output=json"]);
        let report = read(&check.run().expect_code(1));
        assert_eq!(codes(&report), [("port-is-the-proxys", "error")]);
        assert!(
            not_seen(&report).contains("how the consul proxy forwards inbound traffic"),
            "{report}"
        );
    });
}

/// Every warning that meshim's library logs in this process.
#[derive(Clone, Debug, Default)]
struct Warnings(Shared<Vec<String>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }
    fn event(&self, event: &tracing::Event<'_>) {
        let mut keep = |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            if field.name() != "message" {
                return;
            }
            self.0.change(|lines| lines.push(format!("{value:?}")));
        };
        event.record(&mut keep);
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn after_start_the_listen_addresses_are_judged_once_and_only_logged() {
    inside(|| {
        let admin = Admin::naming(&[8080]);
        let url = format!("{}:/", admin.url());
        let given = Given { mesh: Some(Mesh::Istio), admin: url.parse().ok(), ready: None };
        let proxy = Proxy::given(&given).expect("it is named");
        let warnings = Warnings::default();
        let _guard = tracing::subscriber::set_default(warnings.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let look = after_start(&proxy, &[], Duration::from_secs(5));
            let mut app = None;
            let late = async {
                tokio::task::yield_now().await;
                assert_eq!(
                    admin.proxy.count("/config_dump"),
                    0,
                    "nobody listens yet: there is nothing to ask for"
                );
                app = Some(TcpListener::bind("127.0.0.1:8080").unwrap());
            };
            tokio::join!(look, late);
        });
        let said = warnings.0.look(Clone::clone);
        assert!(
            said.len() == 1 && said[0].contains("listens on 127.0.0.1 only, port 8080"),
            "{said:?}"
        );
        assert_eq!(admin.proxy.count("/config_dump"), 1);
    });
}

#[test]
fn a_supervised_application_that_nobody_can_reach_is_told_of_and_goes_on() {
    inside(|| {
        let admin = Admin::naming(&[8080]);
        admin.proxy.says("/ready", Reply::live());
        let _app = TcpListener::bind("127.0.0.1:8080").unwrap();
        let url = format!("unix:{}", admin.directory.join("admin.sock").display());
        let options = [
            "--supervise",
            "--mesh=istio",
            "--admin-url",
            &url,
            "--ready-url",
            &format!("{url}:/ready"),
        ];
        let run =
            Meshim::starts(["sleep", "1000"]).with(options).env("PATH", "/usr/bin:/bin").spawn();
        run.wait_for_stderr(LOOPBACK);
        assert!(!run.has_ended());
        run.signal(nix::sys::signal::Signal::SIGTERM);
        run.wait().expect_code(143);
    });
}
