//! Does this process run as the proxy? User and group in, findings out.
//!
//! Owns the judgement and its words; must never look at the system itself.

use crate::core::findings::codes::Code;
use crate::core::findings::finding::{Finding, Severity};
use crate::core::findings::judged::Judged;
use crate::core::findings::pod::Pod;
use crate::core::mesh::Mesh;

/// Judges user and group against the ids whose traffic this mesh's rules let pass.
#[must_use]
pub fn judge(pod: &Pod) -> Judged {
    let Some(ours) = pod.identity else { return Judged::default() };
    let mesh = pod.proxy.mesh;
    let uid = pod
        .owners()
        .proxy_uid()
        .filter(|reserved| *reserved == ours.uid)
        .map(|uid| reserved("uid", "user", mesh, uid));
    let gid = mesh
        .profile()
        .gid
        .filter(|reserved| *reserved == ours.gid)
        .map(|gid| reserved("gid", "group", mesh, gid));
    uid.into_iter().chain(gid).collect::<Vec<Finding>>().into()
}

fn reserved(short: &str, long: &str, mesh: Mesh, id: u32) -> Finding {
    let (code, field) = match short {
        "uid" => (Code::UidIsTheProxys, "runAsUser (or the image's USER)"),
        _ => (Code::GidIsTheProxys, "runAsGroup (or the group of the image's USER)"),
    };
    Finding {
        code,
        severity: Severity::Error,
        seen: format!("this process runs with {long} id {id}, which is the {mesh} proxy's own"),
        why: "so its traffic bypasses the mesh: no mTLS, no policy, no telemetry".to_owned(),
        remedy: format!("set {field} to another number than {id}"),
        source: "xt_owner compares the ids of the socket's creator; istio-iptables lets the \
                 proxy's own pass",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::core::findings::pod::Identity;
    use crate::core::proxy::Proxy;
    use crate::core::sockets::bound::Bound;
    use crate::core::sockets::owner::{Holder, Socket};

    const NONE: [Code; 0] = [];

    /// `proxy_owner` has a socket on each of the proxy's ports.
    fn pod(mesh: Mesh, uid: u32, gid: u32, proxy_owner: Option<u32>) -> Pod {
        let mut pod = Pod::of(Proxy::of(mesh));
        pod.identity = Some(Identity { uid, gid });
        for (uid, port) in proxy_owner.into_iter().zip(mesh.profile().owned_ports) {
            let bound = Bound { address: ([0, 0, 0, 0], *port).into(), v6only: None };
            pod.sockets.all.push(Socket { bound, uid, holder: Holder::Nobody });
        }
        pod
    }

    fn codes(mesh: Mesh, uid: u32, gid: u32, proxy_owner: Option<u32>) -> Vec<Code> {
        let judged = judge(&pod(mesh, uid, gid, proxy_owner));
        judged.findings.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn the_proxys_own_ids_are_refused() {
        let table = [
            (Mesh::Istio, 1337, 1337),
            (Mesh::AppMesh, 1337, 0),
            (Mesh::Linkerd, 2102, 0),
            (Mesh::Consul, 5995, 5995),
            (Mesh::Kuma, 5678, 5678),
            (Mesh::Osm, 1500, 0),
        ];
        for (mesh, uid, gid) in table {
            assert_eq!(codes(mesh, uid, 7, None), [Code::UidIsTheProxys], "{mesh}");
            assert_eq!(codes(mesh, 7, 7, None), NONE, "{mesh}");
            let by_group = if gid == 0 { vec![] } else { vec![Code::GidIsTheProxys] };
            assert_eq!(codes(mesh, 7, if gid == 0 { uid } else { gid }, None), by_group, "{mesh}");
        }
        assert_eq!(
            codes(Mesh::Istio, 1337, 1337, None),
            [Code::UidIsTheProxys, Code::GidIsTheProxys]
        );
    }

    #[test]
    fn no_rules_no_reserved_ids() {
        for mesh in [Mesh::Envoy, Mesh::None] {
            assert_eq!(codes(mesh, 1337, 1337, Some(1337)), NONE, "{mesh}");
        }
    }

    #[test]
    fn where_the_proxys_user_differs_its_sockets_tell() {
        assert_eq!(
            codes(Mesh::Istio, 1_000_729_999, 0, Some(1_000_729_999)),
            [Code::UidIsTheProxys]
        );
        assert_eq!(codes(Mesh::Istio, 1337, 0, Some(1_000_729_999)), NONE);
    }

    #[test]
    fn root_and_unmapped_owners_tell_nothing() {
        for owner in [0, 65_534] {
            assert_eq!(codes(Mesh::Istio, owner, 0, Some(owner)), NONE, "{owner}");
            assert_eq!(codes(Mesh::Istio, 1337, 0, Some(owner)), [Code::UidIsTheProxys], "{owner}");
        }
    }

    #[test]
    fn a_finding_says_what_why_and_what_to_do() {
        let text = judge(&pod(Mesh::Istio, 1337, 0, None)).findings[0].to_string();
        for part in ["user id 1337", "bypasses the mesh", "set runAsUser", "[uid-is-the-proxys]"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
