//! How far one sign-in may reach: as far as what the user typed for it. Where a typed name leads,
//! the direct connection to it shows, and never its name service, whose answers belong to whoever
//! owns the name.

use std::net::IpAddr;

use keyfob_auth::reach::Reach;
use url::{Origin, Url};

/// The places that the user typed for one sign-in, and what is known of where they lead.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    origin: Origin,
    reach: Option<Reach>,
}

impl Typed {
    /// One more place; `known` is what an earlier connection to it has shown.
    pub fn add(&mut self, url: &Url, known: Option<Reach>) {
        let reach = Reach::as_written(url).or(known);
        self.places.push(Place { origin: url.origin(), reach });
    }

    /// Whether it is known where all of them lead.
    pub fn is_known(&self) -> bool {
        self.places.iter().all(|place| place.reach.is_some())
    }

    /// How far what they name may reach: as far as the most private of them. One that nothing was
    /// heard from counts as public.
    pub fn reach(&self) -> Reach {
        self.places.iter().filter_map(|place| place.reach).max().unwrap_or(Reach::Public)
    }

    /// How far a request to this URL may reach. The first to a typed name goes where the name
    /// leads.
    pub fn limit(&self, url: &Url) -> Reach {
        let is_first = |place: &Place| place.reach.is_none() && place.origin == url.origin();
        if self.places.iter().any(is_first) { Reach::Loopback } else { self.reach() }
    }

    /// Takes in that this URL was answered from this address; `None` through a proxy, which hides
    /// where the name leads.
    pub fn answered(&mut self, url: &Url, from: Option<IpAddr>) {
        let shown = from.map_or(Reach::Public, Reach::of);
        let origin = url.origin();
        for place in self.places.iter_mut().filter(|place| place.origin == origin) {
            place.reach.get_or_insert(shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use keyfob_auth::reach::Reach;
    use url::Url;

    use super::Typed;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn typed(urls: &[&str]) -> Typed {
        let mut typed = Typed::default();
        for text in urls {
            typed.add(&url(text), None);
        }
        typed
    }

    #[test]
    fn an_address_is_known_as_it_is_typed() {
        for (text, reach) in [
            ("https://8.8.8.8/mcp", Reach::Public),
            ("https://10.0.0.1/mcp", Reach::Private),
            ("http://127.1:8/mcp", Reach::Loopback),
            ("http://x.localhost:8/mcp", Reach::Loopback),
        ] {
            let mut typed = typed(&[text]);
            assert!(typed.is_known());
            assert_eq!(typed.reach(), reach, "{text}");
            typed.answered(&url(text), None);
            assert_eq!((typed.reach(), typed.limit(&url(text))), (reach, reach), "{text}");
        }
    }

    /// attack-B2: the first connection decides, and it decides for what follows it alone.
    #[test]
    fn a_name_counts_as_what_answered_under_it_first() {
        let (server, elsewhere) =
            (url("https://mcp.example/mcp"), url("https://mcp.example:9200/"));
        for (from, reach) in [
            (Some([93, 184, 216, 34]), Reach::Public),
            (Some([192, 168, 1, 1]), Reach::Private),
            (Some([127, 0, 0, 1]), Reach::Loopback),
            (None, Reach::Public),
        ] {
            let mut typed = typed(&[server.as_str()]);
            assert_eq!(typed.limit(&server), Reach::Loopback, "wherever it leads");
            assert_eq!(typed.limit(&elsewhere), Reach::Public, "another port is another place");
            assert_eq!(typed.reach(), Reach::Public, "nothing was heard yet");
            typed.answered(&elsewhere, Some([127, 0, 0, 1].into()));
            assert_eq!(typed.reach(), Reach::Public, "what nobody typed shows nothing");
            typed.answered(&server, from.map(Into::into));
            typed.answered(&server, Some([127, 0, 0, 1].into()));
            assert!(typed.is_known());
            assert_eq!((typed.reach(), typed.limit(&server)), (reach, reach), "{from:?}");
            assert_eq!(typed.limit(&elsewhere), reach, "{from:?}");
        }
    }

    #[test]
    fn of_several_the_most_private_counts() {
        let issuer = url("https://as.corp.example/");
        let mut typed = typed(&["https://mcp.example/mcp", issuer.as_str()]);
        typed.answered(&url("https://mcp.example/"), Some([93, 184, 216, 34].into()));
        assert_eq!((typed.reach(), typed.limit(&issuer)), (Reach::Public, Reach::Loopback));
        typed.answered(&issuer, Some([10, 0, 0, 1].into()));
        assert_eq!(typed.reach(), Reach::Private);
        typed.add(&url("https://idp.corp.example/"), Some(Reach::Private));
        assert!(typed.is_known());
    }
}
