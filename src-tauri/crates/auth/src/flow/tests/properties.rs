//! What holds in every world, whatever servers answer and people do.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::random_world::{EVIL, MARKER};
use super::ride::{MOST_TURNS, Ride};
use super::world::{ISSUER, form, plain};
use crate::flow::{Memo, Outcome, SignInError};
use crate::server_url::is_usable_endpoint;
use crate::wire::Request;

/// Every other choice is the good one, or hardly any ride would come as far as a token.
fn tape() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![2 => Just(0_u8), 3 => any::<u8>()], 40..120)
}

proptest! {
    #![proptest_config(Config::with_cases(600))]

    #[test]
    fn a_code_goes_only_to_the_token_endpoint_of_the_issuer_that_was_visited(tape in tape()) {
        let ride = Ride::through(tape);
        for sent in ride.telling() {
            let endpoint = sent.visited.as_ref().map(|served| served.token_endpoint.as_str());
            prop_assert_eq!(Some(sent.request.url.as_str()), endpoint, "it is nobody else's");
            let body = form(&sent.request);
            prop_assert_eq!(body.get("code"), sent.approved.as_ref(), "from a believable answer");
            let verifier = body.get("code_verifier");
            prop_assert_eq!(verifier, sent.verifier.as_ref(), "of this very visit");
        }
    }

    #[test]
    fn every_visit_of_the_browser_has_a_listener_that_waits_for_it(tape in tape()) {
        let ride = Ride::through(tape);
        prop_assert!(ride.stray_visits.is_empty(), "{:?}", ride.stray_visits);
    }

    #[test]
    fn a_code_is_sent_once(tape in tape()) {
        let ride = Ride::through(tape);
        let mut codes: Vec<_> =
            ride.telling().iter().filter_map(|s| form(&s.request).remove("code")).collect();
        let sent = codes.len();
        codes.sort();
        codes.dedup();
        prop_assert_eq!(codes.len(), sent, "sending it again would revoke what it bought");
    }

    #[test]
    fn nobody_registers_more_than_twice_nor_twice_with_success_without_cause(tape in tape()) {
        let ride = Ride::through(tape);
        for host in ["127.0.0.1", "localhost"] {
            let asked = ride.sent.iter().filter(|s| {
                s.request.url.ends_with("/register")
                    && String::from_utf8_lossy(&s.request.body).contains(host)
            });
            let asked = asked.count();
            prop_assert!(asked <= 2, "{asked} registrations were asked for with {host}");
        }
        // By redirect URI.
        let mut alive = BTreeSet::new();
        for memo in &ride.memos {
            match memo {
                Memo::Registered(made) => {
                    let is_new = alive.insert(made.redirect_uri.clone());
                    prop_assert!(is_new, "the one before is still good");
                }
                Memo::RegistrationGone { redirect_uri, .. } => {
                    alive.remove(redirect_uri);
                }
                Memo::DocumentRefused(_)
                | Memo::DocumentAccepted(_)
                | Memo::DocumentDoubted(_)
                | Memo::NameWorks(_)
                | Memo::ResourceForm { .. }
                | Memo::ProviderGrant(_)
                | Memo::ProviderGrantGone
                | Memo::Issuers(_) => {}
            }
        }
        let refusals = ride.memos.iter().filter(|m| matches!(m, Memo::DocumentRefused(_))).count();
        prop_assert!(refusals <= 1, "a refusal is remembered once, not {refusals} times");
    }

    #[test]
    fn every_sign_in_ends(tape in tape()) {
        let ride = Ride::through(tape);
        prop_assert!(ride.turns <= MOST_TURNS, "it goes in circles");
        prop_assert!(ride.outcome.is_some());
    }

    #[test]
    fn over_is_over(tape in tape()) {
        let ride = Ride::through(tape);
        prop_assert!(ride.after_over.iter().all(|next| next == "Wait"), "{:?}", ride.after_over);
    }

    #[test]
    fn nothing_that_is_printed_holds_a_secret(tape in tape()) {
        let ride = Ride::through(tape);
        let bindings = ride.bindings();
        for text in &ride.printed {
            prop_assert!(!text.contains(MARKER), "a code, token or client secret: {text}");
            for binding in &bindings {
                prop_assert!(!text.contains(binding.state.expose()), "a state: {text}");
                prop_assert!(!text.contains(binding.verifier.expose()), "a verifier: {text}");
            }
        }
    }

    #[test]
    fn nobody_signs_in_without_an_answer_that_may_be_believed(tape in tape()) {
        let ride = Ride::through(tape);
        if let Some(Outcome::SignedIn(grant)) = &ride.outcome {
            prop_assert!(ride.was_approved, "right state and acceptable iss");
            prop_assert_eq!(grant.access.expose(), "access-MARKER", "the token endpoint's own");
            let last = ride.sent.last().expect("a request");
            prop_assert_eq!(&last.request.url, &grant.token_endpoint);
            let issuer = last.visited.as_ref().and_then(|served| served.issuer.clone());
            let issuer = issuer.unwrap_or_else(|| "https://mcp.test".to_owned());
            prop_assert_eq!(&grant.registration.issuer, &issuer, "the grant is bound to it");
        }
    }

    #[test]
    fn the_secret_of_the_users_own_client_goes_to_its_issuer_alone(tape in tape()) {
        let ride = Ride::through(tape);
        for sent in ride.sent.iter().filter(|sent| tells_own_secret(&sent.request)) {
            let url = &sent.request.url;
            prop_assert!(url.starts_with(&format!("{ISSUER}/")), "{url}");
        }
    }

    #[test]
    fn documents_that_lie_lead_nowhere_and_every_request_is_protected(tape in tape()) {
        let ride = Ride::through(tape);
        for sent in &ride.sent {
            let url = plain(&sent.request.url);
            prop_assert!(!url.starts_with(EVIL), "{url}");
            prop_assert!(is_usable_endpoint(url), "{url}");
        }
    }
}

/// In the body, or in the header of HTTP Basic.
fn tells_own_secret(request: &Request) -> bool {
    let basic = request.headers.get("authorization").and_then(|value| value.to_str().ok());
    let basic = basic.and_then(|value| STANDARD.decode(value.strip_prefix("Basic ")?).ok());
    [request.body.clone(), basic.unwrap_or_default()]
        .iter()
        .any(|text| String::from_utf8_lossy(text).contains("own-secret"))
}

/// The properties say nothing if the worlds are dull, so the rides are counted by their endings.
#[test]
fn the_random_worlds_reach_every_ending() {
    let mut runner = TestRunner::deterministic();
    let mut endings: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..3000 {
        let tape = tape().new_tree(&mut runner).expect("a tape").current();
        let ride = Ride::through(tape);
        let ending = match ride.outcome.expect("an ending") {
            Outcome::Open => "open",
            Outcome::Surveyed(_) => "surveyed",
            Outcome::SignedIn(grant) => grant.registration.kind.as_str(),
            Outcome::Failed(error) => match error {
                SignInError::Unreachable { .. } => "unreachable",
                SignInError::OutOfOrder { .. } => "out of order",
                SignInError::NotMcp { .. } => "not mcp",
                SignInError::NoAuthorizationServer => "no authorization server",
                SignInError::Metadata { .. } => "metadata",
                SignInError::Endless { .. } => "endless",
                SignInError::PkceUnsupported { .. } => "pkce",
                SignInError::OtherService { .. } => "other service",
                SignInError::NoRegistrationRoute { .. } => "no route",
                SignInError::NoDocument { .. } => "no document",
                SignInError::Registration { .. } => "registration",
                SignInError::AuthorizationRefused { .. } => "authorization refused",
                SignInError::ClientRefused { .. } => "client refused",
                SignInError::Denied => "denied",
                SignInError::Refused { .. } => "refused",
                SignInError::Issuer(_) => "issuer",
                SignInError::Unnamed { .. } => "unnamed",
                SignInError::Exchange { .. } => "exchange",
                SignInError::UnsafeLink { .. } => "unsafe link",
                SignInError::Browser { .. } => "browser",
                SignInError::TimedOut => "timed out",
                SignInError::DpopUnsupported { .. } => "no dpop",
                SignInError::Cancelled => "cancelled",
            },
        };
        *endings.entry(ending).or_default() += 1;
        for memo in ride.memos {
            *endings
                .entry(match memo {
                    Memo::Registered(_) => "memo registered",
                    Memo::RegistrationGone { .. } => "memo gone",
                    Memo::DocumentRefused(_) => "memo refused",
                    Memo::DocumentAccepted(_) => "memo accepted",
                    Memo::DocumentDoubted(_) => "memo doubted",
                    Memo::NameWorks(_) => "memo name",
                    Memo::ResourceForm { .. } => "memo resource",
                    Memo::ProviderGrant(_) => "memo provider",
                    Memo::ProviderGrantGone => "memo provider gone",
                    Memo::Issuers(_) => "memo issuers",
                })
                .or_default() += 1;
        }
    }
    // Links are checked when the documents are read, so no world gives an unsafe one.
    assert_eq!((endings.len(), endings.get("unsafe link")), (32, None), "{endings:#?}");
    for signed_in in ["cimd", "dcr", "pre-registered"] {
        assert!(endings[signed_in] > 30, "too few sign-ins to say anything: {endings:#?}");
    }
}
