//! Names with several parts: of clusters, of Kubernetes resources, of policies.
//!
//! Owns taking them apart; must never judge.

use std::fmt;

/// A Kubernetes resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// `VirtualService`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl Resource {
    /// As istiod writes it beside a route:
    /// `/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews`.
    #[must_use]
    pub fn of_config(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix("/apis/")?.split('/').skip(2);
        let is_namespaced = parts.next()? == "namespaces";
        let (namespace, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        // A kind is written with hyphens: `http-route`, `virtual-service`.
        let words = kind.split('-').map(|word| match word {
            "http" | "grpc" | "tls" | "tcp" | "udp" => word.to_ascii_uppercase(),
            word => capitalized(word),
        });
        let kind = words.collect();
        is_namespaced.then(|| Self { kind, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// As istiod names a policy in Envoy's RBAC filter: `ns[shop]-policy[allow]-rule[0]`, with
    /// `istio-ext-authz-PROVIDER-` before it for CUSTOM ones.
    #[must_use]
    pub fn of_policy(name: &str) -> Option<Self> {
        let (_, rest) = name.split_once("ns[")?;
        let (namespace, rest) = rest.split_once("]-policy[")?;
        let (name, _) = rest.split_once(']')?;
        let kind = "AuthorizationPolicy".to_owned();
        Some(Self { kind, namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A cluster as Istio names it: `outbound|9080|v2|reviews.shop.svc.cluster.local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterName<'a> {
    /// The Service's port.
    pub port: &'a str,
    /// The subset, or nothing.
    pub subset: &'a str,
    /// The host.
    pub host: &'a str,
}

impl<'a> ClusterName<'a> {
    /// Takes it apart; `None` for a name of another form.
    #[must_use]
    pub fn read(name: &'a str) -> Option<Self> {
        let mut parts = name.strip_prefix("outbound|")?.splitn(3, '|');
        Some(Self { port: parts.next()?, subset: parts.next()?, host: parts.next()? })
    }
}

/// Numbers as people list them: `8080, 9000 and 9001`.
#[must_use]
pub fn listed(items: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match &items[..] {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 request`, `2 requests`.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    let number = grouped(count);
    if count == 1 { format!("{number} {noun}") } else { format!("{number} {noun}s") }
}

/// A number with its thousands apart: `1,432`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_named_as_kubectl_does() {
        let table = [
            (
                "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews",
                Some("VirtualService shop/reviews"),
            ),
            (
                "/apis/gateway.networking.k8s.io/v1/namespaces/shop/http-route/r",
                Some("HTTPRoute shop/r"),
            ),
            ("/apis/x/v1/cluster-thing/y", None),
            ("", None),
        ];
        for (path, expected) in table {
            let named = Resource::of_config(path).map(|resource| resource.to_string());
            assert_eq!(named.as_deref(), expected, "{path}");
        }
        let policies = [
            ("ns[shop]-policy[allow]-rule[0]", Some("AuthorizationPolicy shop/allow")),
            (
                "istio-ext-authz-nosuch-ns[shop]-policy[ext]-rule[0]-deny-due-to-bad-CUSTOM-action",
                Some("AuthorizationPolicy shop/ext"),
            ),
            ("consul-intentions-layer4", None),
        ];
        for (name, expected) in policies {
            let named = Resource::of_policy(name).map(|resource| resource.to_string());
            assert_eq!(named.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn clusters_and_numbers_are_read_and_said() {
        let cluster = ClusterName::read("outbound|9080|v2|reviews.shop").unwrap();
        assert_eq!((cluster.port, cluster.subset, cluster.host), ("9080", "v2", "reviews.shop"));
        assert_eq!(ClusterName::read("inbound|8080||"), None);
        assert_eq!(ClusterName::read("outbound|8080"), None);
        assert_eq!(listed([1]), "1");
        assert_eq!(listed([1, 2, 3]), "1, 2 and 3");
        assert_eq!(
            (counted(1, "cat"), counted(1_234_567, "cat")),
            ("1 cat".to_owned(), "1,234,567 cats".to_owned())
        );
    }
}
