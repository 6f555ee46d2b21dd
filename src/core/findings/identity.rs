//! Does this process run as the proxy? User and group in, findings out.
//!
//! Owns the judgement and its words; must never look at the system itself.

use crate::core::findings::codes::Code;
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;

/// Who this process is, and who owns the proxy's sockets.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Our effective user id.
    pub uid: u32,
    /// Our effective primary group id.
    pub gid: u32,
    /// The user that owns the listening sockets on the proxy's own ports, where there are any.
    pub proxy_owner: Option<u32>,
}

/// Root owns the proxy's sockets under TPROXY (istio: `inject.go`, `GetProxyIDs`); its traffic is
/// then let through by its group, and the application may well be root.
const ROOT: u32 = 0;

/// What the kernel shows for a user that our user namespace does not map: nobody in particular.
const OVERFLOW: u32 = 65_534;

/// Judges user and group against the ids whose traffic this mesh's rules let pass.
#[must_use]
pub fn judge(mesh: Mesh, ours: Identity) -> Vec<Finding> {
    let profile = mesh.profile();
    let uid = proxy_uid(mesh, ours.proxy_owner)
        .filter(|reserved| *reserved == ours.uid)
        .map(|uid| reserved("uid", "user", mesh, uid));
    let gid = profile
        .gid
        .filter(|reserved| *reserved == ours.gid)
        .map(|gid| reserved("gid", "group", mesh, gid));
    uid.into_iter().chain(gid).collect()
}

/// The user whose traffic this mesh's rules let pass: the owner of the proxy's sockets, where that
/// tells anything, else the mesh's usual one.
#[must_use]
pub fn proxy_uid(mesh: Mesh, proxy_owner: Option<u32>) -> Option<u32> {
    let usual = mesh.profile().uid;
    let learned = proxy_owner.filter(|uid| !matches!(*uid, ROOT | OVERFLOW) && usual.is_some());
    learned.or(usual)
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

    const NONE: [Code; 0] = [];

    fn codes(mesh: Mesh, uid: u32, gid: u32, proxy_owner: Option<u32>) -> Vec<Code> {
        judge(mesh, Identity { uid, gid, proxy_owner })
            .into_iter()
            .map(|finding| finding.code)
            .collect()
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
        let text =
            judge(Mesh::Istio, Identity { uid: 1337, gid: 0, proxy_owner: None })[0].to_string();
        for part in ["user id 1337", "bypasses the mesh", "set runAsUser", "[uid-is-the-proxys]"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
