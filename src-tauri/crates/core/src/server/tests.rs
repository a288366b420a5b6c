use keyfob_auth::Timestamp;
use proptest::prelude::*;

use super::{Effect, Event, Kind, LastSaid, State, Why};

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::TurnedOn),
        Just(Event::TurnedOff),
        Just(Event::GrantFound),
        (any::<bool>(), any::<bool>()).prop_map(|(has_worked, is_open)| Event::GrantAbsent {
            has_worked,
            last: is_open.then_some(LastSaid::Open),
        }),
        Just(Event::VaultFailed),
        Just(Event::Answered),
        Just(Event::Challenged),
        any::<u64>().prop_map(|at| Event::Unreachable { retry_at: Timestamp(at) }),
        Just(Event::SignInBegan),
        Just(Event::SignedIn),
        Just(Event::SignInFailed),
        Just(Event::RefreshBegan),
        Just(Event::Renewed),
        Just(Event::Refused),
        Just(Event::ScopeWanted { wanted: vec!["x".into()] }),
        Just(Event::SignedOut),
    ]
}

fn run(events: impl IntoIterator<Item = Event>) -> State {
    events.into_iter().fold(State::start(true).0, |state, event| state.step(event).0)
}

proptest! {
    #[test]
    fn off_stays_off_and_does_nothing_until_turned_on(
        before in proptest::collection::vec(event(), 0..20),
        after in proptest::collection::vec(event(), 0..20),
    ) {
        let mut state = run(before).step(Event::TurnedOff).0;
        prop_assert_eq!(state.kind(), Kind::Off);
        for event in after.into_iter().filter(|event| *event != Event::TurnedOn) {
            let (next, effect) = state.step(event);
            prop_assert_eq!((next.kind(), effect), (Kind::Off, None));
            state = next;
        }
    }

    #[test]
    fn from_anywhere_turning_on_and_signing_in_leads_to_ready(
        before in proptest::collection::vec(event(), 0..30),
    ) {
        let state = run(before.into_iter().chain([Event::TurnedOn, Event::SignInBegan, Event::SignedIn]));
        prop_assert_eq!(state.kind(), Kind::Ready);
    }

    #[test]
    fn signing_out_never_leaves_a_grant_in_use(before in proptest::collection::vec(event(), 0..30)) {
        let state = run(before.into_iter().chain([Event::SignedOut]));
        prop_assert!(
            matches!(state.kind(), Kind::SignedOut | Kind::Open | Kind::Off),
            "{:?}", state
        );
    }

    #[test]
    fn red_only_for_what_has_worked(events in proptest::collection::vec(event(), 0..30)) {
        let has_worked = events.iter().any(|event| matches!(
            event,
            Event::GrantFound | Event::SignedIn | Event::Renewed | Event::Refused
                | Event::GrantAbsent { has_worked: true, .. } | Event::RefreshBegan
                | Event::ScopeWanted { .. }
        ));
        if let State::SignedOut(state) = run(events)
            && state.why == Why::Refused {
            prop_assert!(has_worked);
        }
    }
}

#[test]
fn the_usual_life_of_a_server() {
    let (state, effect) = State::start(true);
    assert_eq!((state.kind(), effect), (Kind::Probing, Some(Effect::LoadGrant)));
    let (state, effect) = state.step(Event::GrantAbsent { has_worked: false, last: None });
    assert_eq!((state.kind(), effect), (Kind::Probing, Some(Effect::Probe)));
    for (event, kind) in [
        (Event::Challenged, Kind::SignedOut),
        (Event::SignInBegan, Kind::SigningIn),
        (Event::SignedIn, Kind::Ready),
        (Event::RefreshBegan, Kind::Refreshing),
        (Event::Renewed, Kind::Ready),
        (Event::ScopeWanted { wanted: vec!["w".into()] }, Kind::NeedsScope),
        (Event::SignInBegan, Kind::SigningIn),
        (Event::SignInFailed, Kind::Ready),
        (Event::Unreachable { retry_at: Timestamp(1) }, Kind::Offline),
        (Event::Answered, Kind::Ready),
        (Event::Refused, Kind::SignedOut),
    ]
    .iter()
    .cloned()
    .scan(state, |state, (event, kind)| {
        *state = state.clone().step(event).0;
        Some((state.kind(), kind))
    }) {
        assert_eq!(event, kind);
    }
}

#[test]
fn a_sign_in_that_is_no_longer_wanted_is_ended() {
    let state = run([Event::Challenged, Event::SignInBegan]);
    for event in [Event::TurnedOff, Event::SignedOut] {
        assert_eq!(state.clone().step(event).1, Some(Effect::CancelSignIn));
    }
}
