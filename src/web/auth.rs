//! HTTP basic authentication (RFC 7617), with supervisord's `{SHA}` passwords. Pure.

use sha1_smol::Sha1;

use crate::base64;
use crate::control::web_process::ServerSettings;

/// Whether the value of `Authorization` names the user of this server and its password. A server without a user asks for
/// none.
pub(super) fn is_permitted(server: &ServerSettings, authorization: Option<&[u8]>) -> bool {
    let (Some(username), Some(password)) = (&server.username, &server.password) else {
        return server.username.is_none();
    };
    let Some((scheme, credentials)) = authorization.and_then(|value| value.split_at_checked(6)) else {
        return false;
    };
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return false;
    }
    let Some(given) = base64::decode(credentials) else { return false };
    let Some(colon) = given.iter().position(|byte| *byte == b':') else { return false };
    let (name, secret) = given.split_at(colon);
    let secret = secret.get(1..).unwrap_or_default();
    let is_secret = match password.strip_prefix("{SHA}") {
        Some(digest) => is_equal(hex(secret).as_bytes(), digest.to_ascii_lowercase().as_bytes()),
        None => is_equal(secret, password.as_bytes()),
    };
    is_equal(name, username.as_bytes()) & is_secret
}

fn hex(secret: &[u8]) -> String {
    Sha1::from(secret).digest().to_string()
}

/// In a time that depends on the lengths alone.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let difference = one.iter().zip(other).fold(0, |sum, (one, other)| sum | (one ^ other));
    std::hint::black_box(difference) == 0 && one.len() == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(password: Option<&str>) -> ServerSettings {
        let username = password.map(|_| "user".to_owned());
        let password = password.map(str::to_owned);
        ServerSettings { username, password, ..ServerSettings::default() }
    }

    #[test]
    fn only_the_user_with_the_password_is_permitted() {
        // `user:123`, `user:124`, `user:`, `user`.
        let (good, wrong) = (b"Basic dXNlcjoxMjM=".as_slice(), b"Basic dXNlcjoxMjQ=".as_slice());
        for password in [
            "123",
            "{SHA}40bd001563085fc35165329ea1ff5c5ecbdbbeef",
            "{SHA}40BD001563085FC35165329EA1FF5C5ECBDBBEEF",
        ] {
            let server = server(Some(password));
            assert!(is_permitted(&server, Some(good)), "{password}");
            assert!(is_permitted(&server, Some(b"basic dXNlcjoxMjM=")));
            for refused in [
                wrong,
                b"Basic dXNlcjo=",
                b"Basic dXNlcg==",
                b"Basic ",
                b"Bearer dXNlcjoxMjM=",
                b"Basic !",
                b"",
            ] {
                assert!(!is_permitted(&server, Some(refused)), "{password}");
            }
            assert!(!is_permitted(&server, None));
        }
        assert!(is_permitted(&server(None), None) && is_permitted(&server(None), Some(wrong)));
        // A password that could not be read permits nothing.
        let unread = ServerSettings { password: None, ..server(Some("123")) };
        assert!(!is_permitted(&unread, Some(good)) && !is_permitted(&unread, None));
    }
}
