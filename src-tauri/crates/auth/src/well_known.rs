//! Where metadata lies (RFC 9728 section 3.1, RFC 8414 section 3.1, OpenID Connect Discovery
//! section 4), built on strings so that no identifier is changed on the way.

use crate::server_url::ServerUrl;

/// By which way protected resource metadata was found; each has its own rule for `resource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceRoute {
    /// The challenge's `resource_metadata`.
    Challenge,
    /// The well-known location with the server's path behind it.
    Path,
    /// The well-known location at the root of the host.
    Root,
}

/// The locations of protected resource metadata, in the order in which they are asked.
pub fn protected_resource(
    server: &ServerUrl,
    challenged: Option<&str>,
) -> Vec<(ResourceRoute, String)> {
    const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
    let mut places = Vec::new();
    if let Some(url) = challenged {
        places.push((ResourceRoute::Challenge, url.to_owned()));
    }
    let origin = server.origin();
    let path = if server.path() == "/" { "" } else { server.path() };
    if !path.is_empty() {
        let path_form = format!("{origin}{WELL_KNOWN}{path}{}", server.query());
        places.push((ResourceRoute::Path, path_form));
    }
    places.push((ResourceRoute::Root, format!("{origin}{WELL_KNOWN}")));
    places
}

/// The two forms of authorization server metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataForm {
    /// RFC 8414.
    OAuth,
    /// OpenID Connect Discovery.
    OpenId,
}

/// The locations of an authorization server's metadata, in the order of MCP "Authorization Server
/// Metadata Discovery". The issuer's final slash is removed before a suffix is set in.
pub fn authorization_server(issuer: &str) -> Vec<(MetadataForm, String)> {
    let (origin, path) = split_origin(issuer);
    let path = path.trim_end_matches('/');
    let mut places = vec![(
        MetadataForm::OAuth,
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    )];
    places.push((MetadataForm::OpenId, format!("{origin}/.well-known/openid-configuration{path}")));
    if !path.is_empty() {
        places.push((
            MetadataForm::OpenId,
            format!("{origin}{path}/.well-known/openid-configuration"),
        ));
    }
    places
}

fn split_origin(url: &str) -> (&str, &str) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    match url[authority..].find('/') {
        Some(at) => url.split_at(authority + at),
        None => (url, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::{MetadataForm, ResourceRoute, authorization_server, protected_resource};
    use crate::server_url::ServerUrl;

    fn resource(server: &str, challenged: Option<&str>) -> Vec<(ResourceRoute, String)> {
        protected_resource(&ServerUrl::parse(server).expect("a server URL"), challenged)
    }

    #[test]
    fn resource_metadata_is_looked_for_in_order() {
        assert_eq!(
            resource("https://h/public/mcp", Some("https://h/m")),
            [
                (ResourceRoute::Challenge, "https://h/m".to_owned()),
                (
                    ResourceRoute::Path,
                    "https://h/.well-known/oauth-protected-resource/public/mcp".to_owned()
                ),
                (ResourceRoute::Root, "https://h/.well-known/oauth-protected-resource".to_owned()),
            ]
        );
    }

    #[test]
    fn a_server_without_path_has_one_location() {
        for server in ["https://h", "https://h/"] {
            assert_eq!(
                resource(server, None),
                [(
                    ResourceRoute::Root,
                    "https://h/.well-known/oauth-protected-resource".to_owned()
                )]
            );
        }
    }

    #[test]
    fn a_slash_at_the_end_of_a_longer_path_and_a_query_stay() {
        let places = resource("https://h/mcp/?a=1", None);
        assert_eq!(places[0].1, "https://h/.well-known/oauth-protected-resource/mcp/?a=1");
    }

    #[test]
    fn metadata_of_an_issuer_with_a_path() {
        let places = authorization_server("https://a/tenant1");
        assert_eq!(
            places,
            [
                (
                    MetadataForm::OAuth,
                    "https://a/.well-known/oauth-authorization-server/tenant1".to_owned()
                ),
                (
                    MetadataForm::OpenId,
                    "https://a/.well-known/openid-configuration/tenant1".to_owned()
                ),
                (
                    MetadataForm::OpenId,
                    "https://a/tenant1/.well-known/openid-configuration".to_owned()
                ),
            ]
        );
        assert_eq!(authorization_server("https://a/tenant1/"), places);
    }

    #[test]
    fn metadata_of_an_issuer_without_a_path() {
        let places = authorization_server("https://a:8443/");
        assert_eq!(places.len(), 2);
        assert_eq!(places[0].1, "https://a:8443/.well-known/oauth-authorization-server");
        assert_eq!(places[1].1, "https://a:8443/.well-known/openid-configuration");
    }
}
