use super::*;

const FOREIGN: Sent<'_> = Sent {
    is_foreign: true,
    has_page: true,
    destination: "empty",
    mode: "",
    is_aside: false,
    method: "GET",
    content_type: "",
    authorization: "",
    has_field: false,
    has_cookie: false,
    is_admitted: false,
};
const OWN: Sent<'_> = Sent { is_foreign: false, ..FOREIGN };

#[test]
fn what_a_page_of_another_site_can_have_a_browser_send_is_its_doing() {
    for method in ["GET", "HEAD", "OPTIONS", "POST"] {
        assert_eq!(Sent { method, ..FOREIGN }.source(), Source::Site, "{method}");
    }
    for content_type in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "Text/Plain;charset=UTF-8",
        "text/ping",
        "application/csp-report",
        "application/reports+json",
    ] {
        assert_eq!(Sent { method: "POST", content_type, ..FOREIGN }.source(), Source::Site, "{content_type}");
    }
    for authorization in ["Basic eDp4", "negotiate YII", "NTLM x", "Digest username=\"x\""] {
        assert_eq!(Sent { authorization, ..FOREIGN }.source(), Source::Site, "{authorization}");
    }
}

#[test]
fn what_needs_a_preflight_is_the_senders_own_unless_its_page_is_admitted() {
    let sent = [
        Sent { method: "PUT", ..FOREIGN },
        Sent { method: "POST", content_type: "application/json", ..FOREIGN },
        Sent { authorization: "Bearer x.y.z", ..FOREIGN },
        Sent { has_field: true, ..FOREIGN },
    ];
    for each in sent {
        assert_eq!(each.source(), Source::Sender, "{each:?}");
        assert_eq!(Sent { is_admitted: true, ..each }.source(), Source::Site, "{each:?}");
        assert_eq!(
            Sent { is_admitted: true, is_foreign: false, ..each }.source(),
            Source::Sender,
            "{each:?}"
        );
    }
}

#[test]
fn a_field_proves_nothing_where_the_browser_says_the_mode_as_a_proxy_has_added_it() {
    for mode in ["no-cors", "navigate", "cors", "websocket"] {
        let said = Sent { mode, destination: "image", ..FOREIGN };
        for each in [Sent { authorization: "Bearer x.y.z", ..said }, Sent { has_field: true, ..said }] {
            assert_eq!(each.source(), Source::Site, "{each:?}");
            assert_eq!(Sent { is_foreign: false, ..each }.source(), Source::Content, "{each:?}");
        }
    }
}

#[test]
fn each_source_is_known_by_its_name() {
    for source in [Source::Content, Source::Sender, Source::Site] {
        assert_eq!(Source::named(source.name()), Some(source));
    }
    assert_eq!(Source::named("sites"), None);
}

#[test]
fn a_part_of_a_page_is_its_contents_doing_and_a_document_and_a_fetch_are_the_readers() {
    for destination in
        ["audio", "embed", "font", "iframe", "image", "manifest", "object", "script", "style", "track"]
    {
        assert_eq!(Sent { destination, ..OWN }.source(), Source::Content, "{destination}");
        assert_eq!(Sent { destination, has_page: false, ..OWN }.source(), Source::Sender, "{destination}");
        assert_eq!(Sent { destination, method: "DELETE", ..OWN }.source(), Source::Sender, "{destination}");
    }
    for destination in ["", "document", "empty"] {
        assert_eq!(Sent { destination, ..OWN }.source(), Source::Sender, "{destination}");
        assert_eq!(Sent { destination, is_aside: true, ..OWN }.source(), Source::Content, "{destination}");
    }
}

#[test]
fn what_a_page_fetches_without_a_script_that_reads_it_is_its_contents_doing() {
    for (destination, mode, source) in [
        ("empty", "no-cors", Source::Content),
        ("", "no-cors", Source::Content),
        ("empty", "cors", Source::Sender),
        ("empty", "same-origin", Source::Sender),
        ("document", "navigate", Source::Sender),
    ] {
        assert_eq!(Sent { destination, mode, ..OWN }.source(), source, "{destination} {mode}");
    }
}

#[test]
fn a_credential_that_an_admitted_page_has_is_its_principals_and_what_a_cookie_was_made_into_is_not() {
    let admitted = Sent { is_admitted: true, mode: "cors", ..FOREIGN };
    for each in [Sent { authorization: "Bearer x.y.z", ..admitted }, Sent { has_field: true, ..admitted }] {
        assert!(each.is_of_principal(), "{each:?}");
        assert!(Sent { mode: "", ..each }.is_of_principal());
        for other in [
            Sent { has_cookie: true, ..each },
            Sent { is_admitted: false, ..each },
            Sent { is_foreign: false, ..each },
            Sent { mode: "no-cors", ..each },
            Sent { mode: "navigate", ..each },
        ] {
            assert!(!other.is_of_principal(), "{other:?}");
        }
    }
    assert!(!Sent { authorization: "Basic eDp4", ..admitted }.is_of_principal());
    assert!(!admitted.is_of_principal());
}
