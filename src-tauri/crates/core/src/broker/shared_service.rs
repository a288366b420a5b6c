//! Sign-in services that serve a server of another site here already. Whoever is signed in there
//! presses *Allow* easily, so a server that names such a service is not let use it without a yes.

use super::controller::Controller;
use super::new_server::check_issuer;
use crate::problem::{Code, Problem};
use crate::site;

/// A sign-in service that serves another server here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharedService {
    /// Its issuer.
    pub(super) issuer: String,
    /// The name of that server.
    pub(super) serves: String,
}

/// Those that a server may not use yet.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedServices(Vec<SharedService>);

impl SharedServices {
    /// Why a sign-in of this server to this service needs a yes, where it does.
    pub(super) fn question(&self, name: &str, server: &str, issuer: &str) -> Option<Problem> {
        let mut all = self.0.iter();
        let shared = all.find(|shared| site::is_same_service(&shared.issuer, issuer))?;
        let problem = Problem::new(Code::SharedService)
            .with("server", name)
            .with("host", site::host(server))
            .with("service", site::host(issuer))
            // Not the whole issuer: this stands in a command that is to be copied into a shell.
            .with("issuer", site::origin(issuer))
            .with("other", &shared.serves);
        (!site::is_same(server, issuer)).then_some(problem)
    }
}

impl Controller {
    /// The services of other servers that this one may not use without a yes.
    pub(super) fn shared_services(&self, id: &str) -> SharedServices {
        let Some(slot) = self.slots.get(id) else { return SharedServices::default() };
        let own = self.remembered.facts.servers.get(id);
        let is_accepted = |issuer: &str| {
            let same = |known: &String| site::is_same_service(known, issuer);
            let typed = slot.config.issuer.iter();
            // Whoever has signed in there before has said yes.
            let signed_in = own.and_then(|facts| facts.chosen_issuer.as_ref());
            let accepted = own.map(|facts| facts.accepted_services.as_slice());
            typed.chain(signed_in).chain(accepted.unwrap_or_default()).any(same)
        };
        let others = self.slots.iter().filter(|(other, _)| *other != id);
        let shared = others.filter_map(|(other, slot_of_other)| {
            if site::is_same(&slot.config.url, &slot_of_other.config.url) {
                return None;
            }
            let issuer = match &slot_of_other.grant {
                Some(grant) => grant.registration.issuer.clone(),
                None => {
                    let facts = self.remembered.facts.servers.get(other)?;
                    let holds = facts.has_worked || facts.registration.is_some();
                    facts.chosen_issuer.clone().filter(|_| holds)?
                }
            };
            let serves = slot_of_other.config.name.clone();
            (!is_accepted(&issuer)).then_some(SharedService { issuer, serves })
        });
        SharedServices(shared.collect())
    }

    /// Remembers the person's yes to a sign-in of this server to this service.
    pub(super) fn accept_service(&mut self, name: &str, issuer: &str) -> Result<(), Problem> {
        check_issuer(issuer)?;
        let id = self.id_of(name)?;
        let accepted = &mut self.remembered.server(&id).accepted_services;
        if !accepted.iter().any(|known| site::is_same_service(known, issuer)) {
            accepted.push(issuer.to_owned());
            self.remembered.save();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{SharedService, SharedServices};

    #[test]
    fn a_service_of_another_server_is_asked_about_and_no_other() {
        let issuer = "https://github.com/login/oauth".to_owned();
        let shared = SharedServices(vec![SharedService { issuer, serves: "github".to_owned() }]);
        let asked = |server: &str, issuer: &str| shared.question("new", server, issuer);
        let evil = "https://mcp.evil.example/mcp";
        let problem = asked(evil, "https://github.com/login/oauth").expect("a question");
        for said in ["github.com", "mcp.evil.example", "github"] {
            assert!(problem.message.contains(said), "{problem}");
        }
        assert!(problem.remedy.contains("--accept https://github.com new"), "{problem}");
        assert!(asked(evil, "https://github.com/another/tenant").is_some());
        assert_eq!(asked(evil, "https://auth.evil.example"), None);
        assert_eq!(asked(evil, "https://gitlab.com"), None);
        assert_eq!(asked("https://mcp.github.com/mcp", "https://github.com/login/oauth"), None);
    }
}
