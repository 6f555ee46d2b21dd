"""What marks a case, and resources that more than one subject needs."""


def case(function):
    function.is_case = True
    return function


REJECTED = """apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: broken, namespace: shop }
spec:
  workloadSelector: { labels: { app: shop } }
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      listener:
        filterChain: { filter: { name: envoy.filters.network.http_connection_manager } }
    patch:
      operation: INSERT_BEFORE
      value:
        name: broken
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          default_source_code: { inline_string: "this is no Lua" }
"""
