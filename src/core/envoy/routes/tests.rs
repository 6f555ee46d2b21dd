use super::*;
use crate::core::envoy::page::whole;

/// Of real Istio sidecars, cut.
const HEALTHY: &[u8] = include_bytes!("../../../../tests/fixtures/doctor/healthy.routes.json");
const MISSING: &[u8] =
    include_bytes!("../../../../tests/fixtures/doctor/missing-subset.routes.json");
const FAULT: &[u8] = include_bytes!("../../../../tests/fixtures/doctor/fault.routes.json");

#[test]
fn default_routes_are_left_out_where_the_mesh_names_the_others() {
    let routes = whole::<RoutesPage>(HEALTHY).unwrap();
    assert!(routes.routes.is_empty() && !routes.is_cut, "{routes:?}");
    let mut all = RoutesPage::of_all();
    all.take(HEALTHY).unwrap();
    let all = all.end().unwrap();
    assert_eq!((all.routes.len() > 3, all.virtual_hosts), (true, routes.virtual_hosts));
}

#[test]
fn a_virtual_services_routes_say_where_they_lead() {
    let routes = whole::<RoutesPage>(MISSING).unwrap().routes;
    let leads: Vec<(&str, Vec<&str>)> = routes
        .iter()
        .map(|route| {
            let clusters = route.destinations.iter().map(|to| to.cluster.as_str()).collect();
            (route.path.as_str(), clusters)
        })
        .collect();
    let expected = [
        ("/missing*", vec!["outbound|9080|v2-canary|reviews.shop.svc.cluster.local"]),
        ("/nohost*", vec!["outbound|9080||nosuch.shop.svc.cluster.local"]),
        ("/noport*", vec!["outbound|9999||reviews.shop.svc.cluster.local"]),
        (
            "/*",
            vec![
                "outbound|9080||reviews.shop.svc.cluster.local",
                "outbound|9080|v9|reviews.shop.svc.cluster.local",
            ],
        ),
    ];
    assert_eq!(leads, expected);
    let first = &routes[0];
    assert_eq!(first.host, "reviews.shop.svc.cluster.local:9080");
    let config = "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews";
    assert_eq!((first.config.as_deref(), first.timeout), (Some(config), None));
    assert_eq!(first.retry.as_ref().unwrap().retries, Some(2));
    assert_eq!(routes[3].destinations[1].weight, Some(5));
}

#[test]
fn a_fault_is_read_with_its_conditions() {
    let routes = whole::<RoutesPage>(FAULT).unwrap().routes;
    let fault = |at: usize| routes[at].fault.as_ref().unwrap();
    assert!(routes[0].is_conditional && fault(0).aborts == 1_000_000);
    assert!(!routes[1].is_conditional);
    assert_eq!((fault(1).aborts, fault(1).delays), (100_000, 5_000));
    assert_eq!((fault(1).status, fault(1).delay.as_deref()), (Some(503), Some("7s")));
}

#[test]
fn strange_routes_lose_themselves_alone() {
    let body = br#"{"configs":[{"route_config":{"virtual_hosts":[null,7,{"name":null,"routes":[
        null,{"route":null},{"route":{"cluster":7,"weighted_clusters":{"clusters":[null,
        {"name":"none","weight":0},{"name":"outbound|1|s|h","weight":1}]},"timeout":"soon",
        "retry_policy":[]},"match":7,"metadata":{"filter_metadata":[]}}]}]}}]}"#;
    let routes = whole::<RoutesPage>(body).unwrap();
    assert_eq!(routes.routes.len(), 1, "{routes:?}");
    assert_eq!(routes.routes[0].destinations.len(), 1);
    assert_eq!(routes.virtual_hosts, 3);
}

#[test]
fn a_mesh_of_any_size_is_read_within_bounds() {
    let route = r#"{"route":{"cluster":"outbound|1|s|h"}}"#;
    let mut page = RoutesPage::begin();
    page.take(br#"{"configs":[{"route_config":{"virtual_hosts":["#).unwrap();
    for _ in 0..30 {
        let routes = vec![route; 100].join(",");
        page.take(format!("{{\"routes\":[{routes}]}},").as_bytes()).unwrap();
    }
    let large = format!("{{\"x\":\"{}\"}}]}}}}]}}", "x".repeat(MOST_VIRTUAL_HOST));
    page.take(large.as_bytes()).unwrap();
    let routes = page.end().unwrap();
    assert_eq!((routes.routes.len(), routes.virtual_hosts), (MOST_ROUTES, 31));
    assert!(routes.is_cut);
}
