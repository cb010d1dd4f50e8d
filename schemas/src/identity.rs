//! Who a request is: its id, its tenant and its source, derived in one place for every role.

use uuid::Uuid;

/// The tenant of requests that name none.
pub const DEFAULT_TENANT: &str = "default";
const MAX_LENGTH: usize = 128;

/// Ids of requests that bring none are UUIDv5 (RFC 9562) of `topic/partition/offset` in this namespace, which itself is
/// the UUIDv5 of `urn:millrace:request` in the URL namespace.
pub const NAMESPACE: Uuid = Uuid::from_u128(0xe62f_4c4c_5e99_5e7c_aa71_7570_7d1f_92ef);

/// Everything that may say who a request is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claims<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    /// Values of the headers `request-id` and `tenant`.
    pub request_id_header: Option<&'a [u8]>,
    pub tenant_header: Option<&'a [u8]>,
    /// Fields of the record, as far as it could be decoded.
    pub request_id_field: Option<&'a str>,
    pub tenant_field: Option<&'a str>,
    /// The tenant that `topics.yaml` binds the topic to.
    pub topic_tenant: Option<&'a str>,
}

/// Who a request is. A run is (tenant, request id, turn).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub request_id: String,
    pub tenant: String,
    /// `topic/partition/offset`
    pub src: String,
}

/// A request that names itself in a way no table or header can hold: poison. It is still somebody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what}: needs 1 to 128 characters of [A-Za-z0-9._:-]")]
pub struct InvalidIdentity {
    /// The request under the part of its identity that is valid, the rest derived.
    pub identity: Identity,
    pub what: &'static str,
}

/// The id: the header, else the field, else derived from the source. The tenant: the topic's binding, else the header,
/// else the field, else [`DEFAULT_TENANT`]; an empty one is none.
///
/// # Errors
/// [`InvalidIdentity`] when the claim that wins is not 1–128 of `[A-Za-z0-9._:-]`.
pub fn identify(claims: &Claims<'_>) -> Result<Identity, InvalidIdentity> {
    let src = format!("{}/{}/{}", claims.topic, claims.partition, claims.offset);
    let request_id = match claims.request_id_header.or(claims.request_id_field.map(str::as_bytes)) {
        Some(claimed) => valid(claimed).ok_or("request id"),
        None => Ok(derived(&src)),
    };
    let topic_tenant = claims.topic_tenant.map(str::as_bytes);
    let tenant = match [
        topic_tenant,
        claims.tenant_header,
        claims.tenant_field.map(str::as_bytes),
    ]
    .into_iter()
    .flatten()
    .find(|claimed| !claimed.is_empty())
    {
        Some(claimed) => valid(claimed).ok_or("tenant"),
        None => Ok(DEFAULT_TENANT.to_owned()),
    };
    let what = request_id.as_ref().err().or(tenant.as_ref().err()).copied();
    let identity = Identity {
        request_id: request_id.unwrap_or_else(|_| derived(&src)),
        tenant: tenant.unwrap_or_else(|_| DEFAULT_TENANT.to_owned()),
        src,
    };
    match what {
        Some(what) => Err(InvalidIdentity { identity, what }),
        None => Ok(identity),
    }
}

fn derived(src: &str) -> String {
    Uuid::new_v5(&NAMESPACE, src.as_bytes()).to_string()
}

fn valid(claimed: &[u8]) -> Option<String> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:-".contains(byte);
    let text = std::str::from_utf8(claimed).ok()?;
    ((1..=MAX_LENGTH).contains(&claimed.len()) && claimed.iter().all(allowed)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Claims<'static> = Claims {
        topic: "millrace.requests",
        partition: 0,
        offset: 0,
        request_id_header: None,
        tenant_header: None,
        request_id_field: None,
        tenant_field: None,
        topic_tenant: None,
    };

    #[test]
    fn golden_vectors_hold_for_ever() {
        assert_eq!(NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:millrace:request"));
        let golden = [
            (AT, "2ad5ac67-abe4-5522-99b8-be99c762d603"),
            (
                Claims {
                    topic: "millrace.requests.interactive",
                    partition: 11,
                    offset: 9_007_199_254_740_993,
                    ..AT
                },
                "ac7e260d-3bd9-5526-9395-eee7d122e2a9",
            ),
        ];
        for (claims, request_id) in golden {
            let identity = identify(&claims).unwrap();
            assert_eq!(identity.request_id, request_id);
            assert_eq!(identity.tenant, "default");
            assert_eq!(
                identity.src,
                format!("{}/{}/{}", claims.topic, claims.partition, claims.offset)
            );
        }
    }

    #[test]
    fn the_header_wins_over_the_field_and_the_binding_over_both() {
        let all = Claims {
            request_id_header: Some(b"header"),
            request_id_field: Some("field"),
            tenant_header: Some(b"key"),
            tenant_field: Some("field"),
            ..AT
        };
        let identity = identify(&all).unwrap();
        assert_eq!(
            (identity.request_id.as_str(), identity.tenant.as_str()),
            ("header", "key")
        );
        let bound = Claims {
            topic_tenant: Some("bound"),
            tenant_field: Some("\0"),
            tenant_header: Some(b""),
            ..all
        };
        assert_eq!(identify(&bound).unwrap().tenant, "bound");
        let fields = Claims {
            request_id_header: None,
            tenant_header: Some(b""),
            ..all
        };
        let identity = identify(&fields).unwrap();
        assert_eq!(
            (identity.request_id.as_str(), identity.tenant.as_str()),
            ("field", "field")
        );
    }

    #[test]
    fn an_invalid_claim_is_poison_under_a_derived_identity() {
        let too_long = "x".repeat(129);
        for claimed in ["", "a b", "ü", "a\0", "a/b", too_long.as_str()] {
            let claims = Claims {
                request_id_field: Some(claimed),
                tenant_field: Some("acme"),
                ..AT
            };
            let invalid = identify(&claims).unwrap_err();
            assert_eq!(invalid.what, "request id");
            assert_eq!(
                invalid.identity,
                identify(&Claims {
                    request_id_field: None,
                    ..claims
                })
                .unwrap()
            );
        }
        let claims = Claims {
            request_id_header: Some(b"\xff"),
            tenant_header: Some(b"a b"),
            ..AT
        };
        assert_eq!(identify(&claims).unwrap_err().identity, identify(&AT).unwrap());
    }
}
